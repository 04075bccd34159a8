"""What a job would lack is found before it is submitted, and told with what to do."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from streams.flink import preflight, probe
from streams.flink.jars import VARIABLE
from streams.flink.preflight import require_java, require_packages, require_slots, require_version
from streams.flink.rest import ask, is_here, place_of
from tests.streams.flink.pages import answering
from tocsin.errors import SourceError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("pyflink", reason="the runtime flink is an extra")

NAME = "tocsin shop (g)"
OVERVIEW = {"flink-version": "2.3.1", "slots-total": 8, "slots-available": 4, "taskmanagers": 1}


@contextmanager
def cluster(
    jobs: list[dict[str, str | int]] | None = None,
    config: dict[str, str] | None = None,
    hosts: tuple[str, ...] = (),
    **overview: str | int,
) -> Iterator[str]:
    """Answer as the REST of a cluster does; give its HOST:PORT."""
    pages = {
        "/overview": OVERVIEW | {name.replace("_", "-"): value for name, value in overview.items()},
        "/jobs/overview": {"jobs": jobs or []},
        "/jobmanager/config": [{"key": key, "value": value} for key, value in (config or {}).items()],
        "/taskmanagers": {
            "taskmanagers": [{"path": f"pekko.tcp://flink@{host}:6122/user/rpc/taskmanager_0"} for host in hosts]
        },
        "/text": "hello",
    }
    with answering(pages) as here:
        yield here


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "SLOT_SECONDS", 0.0)


@pytest.fixture
def said() -> list[str]:
    return []


class TestJava:
    def java(self, folder: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
        program = folder / "bin/java"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{says}\nEND\n")
        program.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(folder))

    def test_none_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        with pytest.raises(
            SourceError, match=f"{tmp_path}/bin/java cannot be run: .*install Java 11, 17 or 21.*JAVA_HOME"
        ):
            require_java(said.append)

    def test_none_on_the_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(SourceError, match=r"java cannot be run: .*install Java 11, 17 or 21, and put it on PATH"):
            require_java(said.append)

    @pytest.mark.parametrize(
        ("says", "version"),
        [
            ('java version "1.8.0_392"\nJava(TM) SE Runtime Environment', 8),
            ('Picked up JAVA_TOOL_OPTIONS: -Dx="1"\nopenjdk version "9.0.4"', 9),
        ],
    )
    def test_one_that_is_too_old(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], says: str, version: int
    ) -> None:
        self.java(tmp_path, monkeypatch, says)
        with pytest.raises(
            SourceError, match=f"is Java {version}, which Flink cannot run on; install Java 11, 17 or 21"
        ):
            require_java(said.append)

    @pytest.mark.parametrize("says", ['openjdk version "17.0.15" 2025-04-15', 'openjdk version "21" 2023-09-19 LTS'])
    def test_one_that_flink_is_tested_with(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], says: str
    ) -> None:
        self.java(tmp_path, monkeypatch, says)
        require_java(said.append)
        assert said == []

    def test_of_one_that_flink_is_not_tested_with_there_is_a_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
    ) -> None:
        self.java(tmp_path, monkeypatch, 'openjdk version "26-ea" 2026-03-17')
        require_java(said.append)
        (warning,) = said
        assert warning.startswith(
            f"{tmp_path}/bin/java is Java 26, with which Flink is not tested; install Java 11, 17"
        )

    def test_something_else_that_is_called_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
    ) -> None:
        self.java(tmp_path, monkeypatch, "no such jvm")
        with pytest.raises(SourceError, match="does not say which Java it is, but no such jvm; install Java"):
            require_java(said.append)


def test_without_pyflink_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda _: None)
    with pytest.raises(SourceError, match=r"pip install 'tocsin\[flink,kafka\]'"):
        require_packages()


class TestCluster:
    def test_that_is_as_it_should_be(self, said: list[str]) -> None:
        with cluster() as here:
            preflight.look(here, NAME, 4, {}, said.append)
        assert said == []

    def test_without_one_its_address_is_told(self, said: list[str]) -> None:
        with pytest.raises(SourceError, match=r"no Flink cluster answers at 127.0.0.1:1: .*address of its REST"):
            preflight.look("127.0.0.1:1", NAME, 1, {}, said.append)

    def test_an_address_is_host_and_port(self) -> None:
        assert place_of("h1") == ("h1", 8081)
        assert place_of("h1:99") == ("h1", 99)
        for wrong in ("http://h1:8081", ":8081", "h1:web"):
            with pytest.raises(SourceError, match="expected HOST:PORT, such as"):
                place_of(wrong)

    def test_another_flink(self) -> None:
        with cluster(flink_version="1.20.1") as here, pytest.raises(SourceError) as told:
            require_version(here)
        assert f"the cluster at {here} runs Flink 1.20.1, and the jobs of this tocsin are of Flink 2.3.0" in str(
            told.value
        )
        assert "take a cluster of Flink 2.3" in str(told.value)

    def test_something_else_that_speaks_json(self) -> None:
        with cluster(flink_version="2.3.1") as here:
            assert ask(here, "/text") == "hello"
            with pytest.raises(SourceError, match="no Flink cluster answers"):
                ask(here, "/nothing")
        with pytest.raises(SourceError, match="is no Flink cluster: it says nothing of 'flink-version'"):
            preflight._of("hello", "flink-version", here)

    def test_a_job_of_the_same_name_is_told_before_the_slots_that_it_has(self, said: list[str]) -> None:
        jobs: list[dict[str, str | int]] = [
            {"name": NAME, "state": "FINISHED", "jid": "a", "start-time": 1},
            {"name": NAME, "state": "RUNNING", "jid": "b", "start-time": 2},
        ]
        with (
            cluster(jobs, slots_available=0) as here,
            pytest.raises(StateError, match=r"runs the job .* already, as b"),
        ):
            preflight.look(here, NAME, 4, {}, said.append)


class TestSlots:
    def test_too_few(self, said: list[str]) -> None:
        with cluster() as here, pytest.raises(SourceError) as told:
            require_slots(here, 5, {}, said.append)
        assert str(told.value) == (
            f"the cluster at {here} has 4 of 8 slots free, and --parallelism 5 needs 5: take a smaller --parallelism, "
            "end other jobs, or give it more task managers or slots (taskmanager.numberOfTaskSlots)"
        )

    def test_a_cluster_without_task_managers(self, said: list[str]) -> None:
        with cluster(slots_total=0, slots_available=0) as here, pytest.raises(SourceError, match="0 of 0 slots free"):
            require_slots(here, 1, {}, said.append)

    @pytest.mark.parametrize(
        "config",
        [
            {"kubernetes.internal.jobmanager.entrypoint.class": "x"},
            {"high-availability.cluster-id": "application_1700000000000_0001"},
        ],
    )
    def test_where_task_managers_come_when_they_are_needed_it_is_a_warning(
        self, said: list[str], config: dict[str, str]
    ) -> None:
        with cluster(config=config, slots_total=0, slots_available=0) as here:
            require_slots(here, 2, {}, said.append)
        assert len(said) == 1
        assert said[0].endswith("it has to start more task managers first")

    def test_a_job_that_makes_do_with_less_is_only_warned_of(self, said: list[str]) -> None:
        with cluster(config={"jobmanager.scheduler": "Adaptive"}) as here:
            require_slots(here, 6, {}, said.append)
        assert [sentence.rpartition(": ")[2] for sentence in said] == ["the job begins with fewer subtasks"]

    def test_what_the_settings_say_counts_before_the_parallelism(self, said: list[str]) -> None:
        with cluster() as here, pytest.raises(SourceError, match="--parallelism 6 needs 6"):
            preflight.look(here, NAME, 1, {"parallelism.default": "6"}, said.append)


def test_of_all_that_is_missing_what_is_on_this_machine_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(SourceError, match="stack fetch flink"):
        preflight.look("127.0.0.1:1", NAME, 1, {}, said.append)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SourceError, match="install Java"):
        preflight.look("127.0.0.1:1", NAME, 1, {}, said.append)


class TestPythonOfTaskManagers:
    @pytest.mark.parametrize(
        ("hosts", "here"),
        [
            (("127.0.0.1", "localhost"), True),
            (("127.0.0.1", "203.0.113.7"), False),
            (("no.such.host.invalid",), False),
            ((), False),
        ],
    )
    def test_is_that_of_this_machine_where_all_of_them_are_on_it(self, hosts: tuple[str, ...], *, here: bool) -> None:
        with cluster(hosts=hosts) as there:
            assert is_here(there) == here

    def test_is_not_asked_for_where_it_is_this_one(self) -> None:
        with cluster(hosts=("127.0.0.1",)) as there:
            probe.probe(there, {})

    def test_that_has_the_same_versions(self) -> None:
        probe.refuse_others([json.loads(probe.tell(0))], "h:1", "python")

    def test_that_has_others(self) -> None:
        there = probe.versions() | {"tocsin": "0.0.1", "python": "3.9"}
        with pytest.raises(SourceError) as told:
            probe.refuse_others([probe.versions(), there], "h:1", "/opt/python")
        said, here = str(told.value), probe.versions()
        assert f"/opt/python on the task managers of h:1 has python 3.9 instead of {here['python']}" in said
        assert f"tocsin 0.0.1 instead of {here['tocsin']}" in said
        assert "--flink python.executable=PATH" in said
