"""What the local runtime tells of its streams, commits and state."""

from __future__ import annotations

from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING

import polars as pl
import pytest

from monitoring import registry
from monitoring.health import Health
from streams.local.inputs import Inputs
from streams.local.tally import sizes_of
from tests.streams.local.local_runs import BEGIN, HOUR, busy_hour, entry
from tocsin.kafka import parse_address as parse_kafka

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring.metrics import MemoryMetrics

NOW = BEGIN / 1000 + 5_000


class TestAFinishedRun:
    """One over files, at a wall clock that stands still."""

    @pytest.fixture(scope="class")
    @classmethod
    def metrics(cls, tmp_path_factory: pytest.TempPathFactory) -> MemoryMetrics:
        house = busy_hour(tmp_path_factory.mktemp("house"))
        house.run(wall=lambda: NOW)
        return house.metrics

    def test_a_watermark_is_the_greatest_time_of_the_run_when_all_was_read(self, metrics: MemoryMetrics) -> None:
        for stream in ("entries", "alarms"):
            assert metrics.value(registry.WATERMARK.of({"stream": stream})) == (BEGIN + HOUR) / 1000
            assert metrics.value(registry.WATERMARK_LAG.of({"stream": stream})) == 5_000 - 3_600

    def test_the_age_of_the_last_commit_can_be_told(self, metrics: MemoryMetrics) -> None:
        assert metrics.value(registry.COMMIT_TIME) == NOW

    def test_the_program_and_the_topology_are_named(self, metrics: MemoryMetrics) -> None:
        ((_, labels),) = [key for key in metrics.values if key[0] == registry.PROCESS_INFO.name]
        found = dict(labels)
        assert len(found.pop("topology_version")) == 16
        assert found == {"version": version("tocsin"), "runtime": "local", "topology": "doors"}


class TestAStreamWithoutRecords:
    def test_it_has_no_watermark_to_tell(self, tmp_path: Path) -> None:
        house = busy_hour(tmp_path)
        house.write("alarms", [])
        house.run(keep=True)
        told = {dict(labels)["stream"] for name, labels in house.metrics.values if name == registry.WATERMARK.name}
        assert told == {"entries"}


class TestStateKeys:
    def test_keys_are_counted_once_however_many_rows_and_frames_they_have(self, tmp_path: Path) -> None:
        house = busy_hour(tmp_path)
        doors = [f"d{number}" for number in range(30)]
        house.write("entries", [entry(n, n, 1, door) for n, door in enumerate([*doors, *doors])])
        house.write("alarms", [])
        house.run(commit_seconds=0.0, batch_rows=10)
        assert house.metrics.value(registry.STATE_KEYS.of({"stage": "minutes"})) == pytest.approx(30, abs=1)

    def test_frames_without_the_key_and_stages_without_one_count_none(self) -> None:
        frames = {
            ("state", "a", "0", "x"): pl.DataFrame({"key": [1, 2]}),
            ("state", "a", "1", "x"): pl.DataFrame({"key": [2, 3], "more": [0, 0]}),
            ("state", "a", "0", "clock"): pl.DataFrame({"at": [7]}),
            ("state", "whole", "0", "x"): pl.DataFrame({"sum": [1, 2, 3]}),
            ("feed", "s", "x"): pl.DataFrame({"key": [9]}),
        }
        sizes = sizes_of(frames, {"a": ("key",), "whole": ()})
        assert {stage: (size.rows, size.keys) for stage, size in sizes.items()} == {"a": (5, 3), "whole": (3, 0)}


class TestHealthOfARun:
    def test_it_is_at_work_while_it_reads_and_drains_when_it_has_read(self, tmp_path: Path) -> None:
        health, house = Health(), busy_hour(tmp_path)
        seen = []

        def stop() -> bool:
            seen.append(health.at_work)
            return False

        assert not health.at_work.good
        house.run(health=health, stop=stop, batch_rows=50)
        assert len(seen) > 2
        assert all(report.good for report in seen)
        assert health.at_work.checks["draining"] == "everything was read"

    def test_it_says_when_it_was_told_to_stop(self, tmp_path: Path) -> None:
        health = Health()
        busy_hour(tmp_path).run(health=health, stop=lambda: True)
        assert health.at_work.checks["draining"] == "told to stop"

    def test_each_round_is_a_beat(self, tmp_path: Path) -> None:
        beats: list[float] = []

        class Counting(Health):
            def beat(self) -> None:
                beats.append(0.0)

        busy_hour(tmp_path).run(health=Counting(), batch_rows=20)
        assert len(beats) > 6


class TestTopicsWithoutBroker:
    def test_they_are_named_without_their_addresses(self) -> None:
        def topic(name: str, trouble: str) -> SimpleNamespace:
            address = parse_kafka(f"kafka://broker:9092/{name}?from=earliest")
            return SimpleNamespace(reader=SimpleNamespace(address=address, trouble=trouble))

        good, bad = topic("shop.payment.v1", ""), topic("shop.return.v1", "broker:9092/1: Connection refused")
        assert Inputs({}, [good, bad]).silent == "no broker answers for shop.return.v1"  # type: ignore[list-item]  # all that is asked of them
        assert Inputs({}, [good]).silent == ""  # type: ignore[list-item]  # as above
