"""The program that Flink starts itself: whose settings count, and what it needs to be told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from streams.flink import application, submitting
from streams.flink.jars import jars
from streams.flink.preflight import refuse_settings
from streams.flink.submitting import Run
from tests.streams.faust.shop_runs import TOPOLOGY, topology_in
from tocsin.compiler import compile_topology
from tocsin.errors import SourceError
from tocsin.language import loads

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fixtures import Topics

environment = pytest.importorskip("streams.flink.environment", reason="the runtime flink is an extra")

OURS = {
    "pipeline.jars": "file:///ours.jar",
    "pipeline.object-reuse": "true",
    "execution.checkpointing.interval": "2000 ms",
    "state.backend.type": "hashmap",
    "parallelism.default": "2",
}


class TestSettings:
    def test_that_flink_was_given_count_before_ours(self) -> None:
        given = {"execution.checkpointing.interval": "10 s", "pipeline.object-reuse": "false"}
        assert environment._beside(given, OURS) == {
            "pipeline.jars": "file:///ours.jar",
            "pipeline.object-reuse": "true",
            "state.backend.type": "hashmap",
        }

    @pytest.mark.parametrize("there", ["file:///a.jar;file:///b.jar", "['file:///a.jar', 'file:///b.jar']"])
    def test_our_jar_comes_beside_those_that_are_there(self, there: str) -> None:
        found = environment._beside({"pipeline.jars": there}, OURS)
        assert found["pipeline.jars"] == "file:///a.jar;file:///b.jar;file:///ours.jar"


class TestSettingsOfTheCommand:
    def test_that_operators_cannot_do_with_are_refused(self) -> None:
        refuse_settings({"pipeline.generic-types": "TRUE"})
        with pytest.raises(SourceError, match=r"--flink pipeline\.operator-chaining\.enabled=false: a job needs true"):
            refuse_settings({"pipeline.operator-chaining.enabled": "false"})

    def test_that_name_jars_do_not_hide_ours(self, tmp_path: Path) -> None:
        run = TestPlaces().run(tmp_path)
        run.settings["pipeline.jars"] = "file:///a.jar"
        assert submitting._settings(run, 128)["pipeline.jars"].split(";") == [
            *(jar.as_uri() for jar in jars()),
            "file:///a.jar",
        ]


class TestPlaces:
    def run(self, folder: Path) -> Run:
        path = topology_in(folder, TOPOLOGY)
        return Run(compile_topology(loads(TOPOLOGY, str(path))), path, folder / "state")

    def test_of_checkpoints_are_said_somewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(environment, "given_settings", dict)
        with pytest.raises(SourceError, match=r"has no execution\.checkpointing\.dir: .* with --state"):
            application.start(self.run(tmp_path), lasting=False)
        assert not (tmp_path / "state").exists()

    def test_of_dead_letters_outlive_machines(self, kafka: str, kafka_topics: Topics, unique: str) -> None:
        order: Any = SimpleNamespace(servers=kafka, topics={"payments": kafka_topics(unique)})
        with pytest.raises(SourceError, match=rf"has no topic {unique}\.dlq: dead letters would stay .* with --state"):
            application._require_dead_letter_topics(order)
        kafka_topics(f"{unique}.dlq")
        application._require_dead_letter_topics(order)
