"""Every metric that is declared is recorded by a run that has something to record."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest
from local_runs import BEGIN, DOORS, MINUTE, House, alarm, busy_hour, entry

from monitoring import registry
from sinks.contract import Sink
from sinks.delivery import Delivery
from sinks.pending import Limits
from tocsin.cli.summary import show_metrics
from tocsin.errors import SinkError, SinkUnavailable, StateError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give a busy hour, with something of all that can be wrong with records."""
    house = busy_hour(tmp_path)
    house.add("entries", [entry(3000, 3600, 1), entry(3000, 3600, 1), entry(4000, 60, 1), {"people": 1}])
    house.add("entries", [entry(5000, 3600, 1, None), entry(6000, 3600, 60), entry(6000, 3600, 1)])
    house.add("entries", [entry(7000 + n, 3600, people, f"d{n}") for n in range(8) for people in (60, 1)])
    house.add("entries", [entry(8000, 7200, 1)])
    return house


class Grudging(Sink):
    """A sink that is down at first, and refuses for good when it is up."""

    def __init__(self) -> None:
        self.tries = 0

    def open(self, bookmark: str = "") -> None:
        """Be ready."""

    def deliver(self, batch: pl.DataFrame) -> None:
        """Refuse."""
        self.tries += bool(batch.height)
        raise SinkUnavailable("down") if self.tries == 1 else SinkError("gone")

    def close(self) -> None:
        """Be done."""


def exposition(house: House, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """Give what `tocsin run --metrics` prints."""
    show_metrics(house.metrics)
    lines = [line.rpartition(" ") for line in capsys.readouterr().out.splitlines()]
    return {name: float(value) for name, _, value in lines}


class TestWhatIsExposed:
    """Numbers as `--metrics` prints them."""

    def test_each_step_of_a_stage_counts_its_rows_and_its_time(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        house.run(batch_rows=11, wall=lambda: 1000.0)
        found = exposition(house, capsys)
        assert found['tocsin_stage_rows_total{stage="rule crowd"}'] == found_transitions(house, "crowd")
        assert found['tocsin_step_seconds_count{stage="minutes"}'] > 3
        assert found['tocsin_step_seconds_sum{stage="minutes"}'] > 0
        assert found['tocsin_heartbeat_timestamp_seconds{stage="minutes"}'] == 1000

    def test_look_ups_without_a_row_are_counted_by_table(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        house.write("crowded", [{"door": "north", "most": 10}])
        house.run()
        found = exposition(house, capsys)
        assert found['tocsin_lookup_misses_total{table="crowded"}'] == 8  # one minute of each other door
        assert house.metrics.value(registry.LOOKUP_MISSES.of({"table": "other"})) == 0

    def test_membership_is_no_miss(self, house: House, capsys: pytest.CaptureFixture[str]) -> None:
        house.topology = DOORS.replace("seen >= coalesce(crowded(door).most, 10)", "seen >= 10 and door in crowded")
        house.run()
        assert 'tocsin_lookup_misses_total{table="crowded"}' not in exposition(house, capsys)

    def test_the_bytes_of_records_are_those_of_their_file(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        house.run(batch_rows=11)
        size = (house.folder / "entries.ndjson").stat().st_size
        assert exposition(house, capsys)['tocsin_record_bytes_total{stream="entries"}'] == size

    def test_the_age_of_an_alert_counts_from_the_batch_that_reached_its_time(
        self, house: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clock = iter(range(10_000))
        house.write("entries", [])
        house.write("alarms", [alarm(n, 60 * n) for n in range(3)] + [alarm(10 + n, 1200 + n) for n in range(3)])
        house.run(batch_rows=1, wall=lambda: float(next(clock)))
        found = exposition(house, capsys)
        assert found['tocsin_event_to_alert_seconds_count{rule="bell"}'] == 2
        assert found['tocsin_event_to_alert_seconds_sum{rule="bell"}'] > 0


def found_transitions(house: House, rule: str) -> int:
    """Give how many transitions of a rule the sink has."""
    return house.log().filter(rule=rule).height


class TestEveryMetric:
    """None is declared in vain."""

    def test_it_is_recorded_by_a_run_that_exercises_it(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        house.run(early=True, batch_rows=11, commit_seconds=0.0, until=BEGIN + 100 * MINUTE)
        with monkeypatch.context() as full:
            full.setattr(os, "fsync", no_space)
            with pytest.raises(StateError):
                house.run("full")
        refuse_all(house)
        recorded = {name for name, _ in [*house.metrics.values, *house.metrics.histograms]}
        elsewhere = {metric.name for metric in (*registry.OF_KAFKA, *registry.OF_STAGE_TOPICS)}
        assert {metric.name for metric in registry.declared()} - elsewhere == recorded


def no_space(_: int) -> None:
    """Be a disk that is full when a commit comes to it."""
    if threading.current_thread().name.startswith("tocsin-commit"):
        raise OSError(errno.ENOSPC, "No space left on device")


def refuse_all(house: House) -> None:
    """Offer alerts to a sink that takes none, more than wait for it."""
    rows = house.log().drop("at")
    delivery = Delivery("s", Grudging(), limits=Limits(rows=rows.height), metrics=house.metrics, pause=lambda _: False)
    assert delivery.offer(rows, rows.height)
    assert not delivery.offer(rows, 2 * rows.height)
    delivery.offer_early(rows)
    delivery.start()
    with pytest.raises(SinkError):
        delivery.close()
