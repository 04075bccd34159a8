"""The benchmark runs, on inputs too small to measure anything; nothing here is timed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from bench.__main__ import MEASUREMENTS, main
from bench.context import Bench
from bench.events import JSON_BYTES, Load, frames, write_ndjson
from bench.flink_commits import sum_of
from bench.peer import Alert, Ran
from bench.rows import Row
from bench.standard import WrongError, _measured
from bench.steady import around, fullest

if TYPE_CHECKING:
    from pathlib import Path

    from bench.job import Report

TINY = ["--scale", "0.02"]


class TestTheEvents:
    def test_every_line_has_98_bytes(self, tmp_path: Path) -> None:
        write_ndjson(Load(5_000), tmp_path / "events.ndjson")
        lines = (tmp_path / "events.ndjson").read_bytes().splitlines()
        assert len(lines) == 5_000
        assert {len(line) for line in lines} == {JSON_BYTES}

    def test_they_are_the_same_for_the_same_seed(self) -> None:
        first, second = (pl.concat(frames(Load(2_000), seed=3)) for _ in range(2))
        assert first.equals(second)

    def test_none_is_more_than_two_seconds_behind(self) -> None:
        events = pl.concat(frames(Load(50_000)))
        behind = events["at"].cum_max() - events["at"]
        assert 1_900 < behind.max() < 2_000  # type: ignore[operator]  # Int64 column


class TestARow:
    def test_a_bound_from_below_is_missed_below_it(self) -> None:
        assert Row("rate", 2.9, "", 3.0).verdict == "missed"
        assert Row("rate", 3.0, "", 3.0).verdict == "ok"

    def test_a_bound_from_above_is_missed_above_it(self) -> None:
        assert Row("time", 1.1, "s", 1.0, most=True).verdict == "missed"
        assert Row("time", 1.0, "s", 1.0, most=True).verdict == "ok"

    def test_what_was_not_measured_says_so(self) -> None:
        assert Row("cards", None, "", 1.0).verdict == "NOT RUN"


class TestASteadyRun:
    def test_is_compared_with_itself_when_it_was_warm(self) -> None:
        samples = [*range(30), *([50.0] * 220), *([60.0] * 50)]
        assert (around(samples, 5 / 30), around(samples, 1.0)) == (50.0, 60.0)

    def test_has_blocks_whose_fullest_states_are_compared(self) -> None:
        window = [float(size) for size in range(1, 11)]
        assert fullest([0.0] * 50 + window * 25) == [10.0] * 5
        assert fullest([0.0] * 50 + window * 20 + [20.0] * 50) == [10.0] * 4 + [20.0]

    def test_metrics_are_added_up_over_labels(self) -> None:
        assert sum_of({'a{b="1"}': 1.0, 'a{b="2"}': 2.0, "ab": 4.0}, "a") == 3.0


class TestTheMeasurements:
    @pytest.mark.parametrize("name", ["standard", "hopping"])
    def test_it_runs_and_writes_its_rows(self, name: str, tmp_path: Path) -> None:
        out = tmp_path / "results.json"
        main([name, *TINY, "--folder", str(tmp_path), "--out", str(out)])
        written = json.loads(out.read_text())
        assert written["rows"]
        assert all(row["value"] is not None for row in written["rows"])
        assert {"date", "machine", "versions"} <= written.keys()

    def test_without_the_real_data_it_says_not_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOCSIN_DATA", str(tmp_path))
        (row,) = MEASUREMENTS["cards"](Bench(tmp_path))
        assert row.verdict == "NOT RUN"

    def test_it_fails_where_the_runtime_and_the_loop_found_different_alerts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def nothing(job: object) -> Report:
            del job
            (tmp_path / "run" / "alerts.ndjson").touch()
            return None  # type: ignore[return-value]  # it is not looked at

        monkeypatch.setattr("bench.standard.measure", nothing)
        loop = Ran(1, 1.0, 1.0, [Alert(1, "k", "raised", 1, 1)])
        with pytest.raises(WrongError, match="found 0 alerts, the loop 1"):
            _measured(Bench(tmp_path), "standard", "ndjson:none", None, loop)
