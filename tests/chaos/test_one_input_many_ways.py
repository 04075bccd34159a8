"""One input, many ways: real runs of the command line end with the canonical form of a run over files."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from stack import KafkaBroker
from tests.chaos import reading
from tests.chaos.cases import HOSTS, Case, every, seed
from tests.chaos.disturbing import disturb
from tests.chaos.material import Absent, load
from tests.chaos.staging import Stage, idle_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FEWEST = 20
"""Transitions that a reference must have, for a comparison to mean something."""


@pytest.fixture
def store(clickhouse_server: tuple[str, int], unique: str) -> Iterator[str]:
    """Give the address of a database of the test's own."""
    from sinks.clickhouse_address import parse_address  # noqa: PLC0415  # the driver is an extra
    from sinks.clickhouse_connection import Connection  # noqa: PLC0415  # as above

    uri = f"clickhouse://{clickhouse_server[0]}:{clickhouse_server[1]}/{unique}"
    yield uri
    with Connection(parse_address(uri)) as connection:
        connection.run(f"DROP DATABASE IF EXISTS {unique}")


@pytest.fixture(scope="session")
def reference(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case, str], pl.DataFrame]:
    """Give the canonical form of a run over files in one process, as the data comes, without disturbance."""
    known: dict[tuple[str, str], pl.DataFrame] = {}

    def give(case: Case, name: str) -> pl.DataFrame:
        wanted = case.data, idle_of(case)
        if wanted not in known:
            folder = tmp_path_factory.mktemp("reference")
            plain = Case(case.data, HOSTS[0], "asis", "calm")
            stage = Stage(plain, load(case.data), folder, kafka, f"{name}.reference", f"clickhouse:{folder / 'house'}")
            stage.topology = stage.material.write_topology(folder, idle=idle_of(case), direct=False)
            with stage.run() as run:
                assert run.wait() == 0, run.said()
                assert late(run.out.read_text()) == 0
            known[wanted] = reading.of_file(stage.file)
        return known[wanted]

    return give


@contextmanager
def how_again(case: Case) -> Iterator[None]:
    """Say below every failure how exactly this is done again."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"the seed was {seed()}; again: {case.again}")
        raise


def late(said: str) -> int:
    """Count late records by the summary of a run of `local`."""
    summary: dict[str, Any] = json.loads(said)
    return sum(one["records"] for one in summary["put_aside"] if one["reason"] == "late")


def compare(stage: Stage, wanted: pl.DataFrame) -> dict[str, str]:
    """Say of each sink how it differs; nothing of those that do not."""
    topic, copies = reading.of_topic(stage.servers, stage.alerts)
    house, counted = reading.of_clickhouse(stage.store)
    found = {"topic": reading.difference(topic, wanted), "clickhouse": reading.difference(house, wanted)}
    if counted != wanted.height:
        found["counts"] = f"{counted} of {wanted.height} transitions"
    if stage.case.writes_file:
        found["file"] = reading.difference(reading.of_file(stage.file), wanted)
    print(f"{stage.case.name}: {wanted.height} transitions, {copies} copies on the topic")  # noqa: T201  # shown with -s
    return {name: how for name, how in found.items() if how}


def test_the_alerts_are_those_of_a_run_over_files(  # fixtures
    case: Case, tmp_path: Path, kafka: str, store: str, unique: str, reference: Callable[[Case, str], pl.DataFrame]
) -> None:
    """In the alert topic, in ClickHouse, and in a file where one process writes."""
    try:
        material = load(case.data)
    except Absent as absent:
        pytest.skip(f"real data: NOT RUN ({absent})")
    wanted = reference(case, unique)
    assert wanted.height >= FEWEST
    assert {"raised", "cleared"} <= set(wanted["kind"])
    with how_again(case), ExitStack() as open_until_end:
        broker = open_until_end.enter_context(KafkaBroker(tmp_path / "kafka")) if case.disturbance == "broker" else None
        servers = kafka if broker is None else broker.servers
        stage = Stage(case, material, tmp_path, servers, unique, store)
        trickles = case.host.partitions and case.disturbance != "calm" and case.order != "silent"
        if case.host.partitions and not trickles:
            stage.feed_all()
        with stage.feeding() if trickles else nullcontext(), stage.run() as run:
            done = disturb(stage, run, broker)
        differs = compare(stage, wanted)
        told = "\n".join(f"{name}: {how}" for name, how in differs.items())
        assert not differs, f"{case.name}, {done}\n{told}\n{run.said()}"
        if case.host.runtime in {"files", "local"} and case.disturbance != "kill":
            assert late(run.out.read_text()) == 0


class TestTheTable:
    def test_has_every_host_order_and_disturbance_for_all_data(self) -> None:
        cases = every()
        for data in {case.data for case in cases}:
            of_data = [case for case in cases if case.data == data]
            assert {case.host for case in of_data} == set(HOSTS)
            assert {case.disturbance for case in of_data} == {"calm", "kill", "broker", "rebalance"}
        assert len({case.name for case in cases}) == len(cases)

    def test_a_comparison_sees_a_missing_a_doubled_and_a_changed_transition(
        self, unique: str, reference: Callable[[Case, str], pl.DataFrame]
    ) -> None:
        wanted = reference(replace(every()[0], data="city"), unique)
        first = wanted.head(1)
        assert reading.difference(wanted, wanted) == ""
        assert "1 missing" in reading.difference(wanted[1:], wanted)
        assert reading.difference(first.vstack(wanted).sort("alert_id", "sequence"), wanted)
        assert "1 more, 1 missing" in reading.difference(
            first.with_columns(sequence=pl.col("sequence") + 1_000).vstack(wanted[1:]), wanted
        )
