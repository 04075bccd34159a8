"""The simulator gives the same bytes for the same seed, and what it gives is in order."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from streams.simulator import SCENARIOS, generate, read_labels, simulate, source_arguments
from streams.simulator.arrival import FORMS
from streams.simulator.setting import OFFSET
from tocsin.errors import SinkError

ROOT = Path(__file__).parents[3]
SMALL = [name for name in SCENARIOS if name != "city"]


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def event_time(name: str, rows: pl.DataFrame) -> pl.Series:
    """Read `at` as the producers of the stream write it; malformed times are null."""
    if FORMS[name].time == "epoch":
        return rows["at"].replace(-62_135_596_800_000, None)
    text = rows["at"].str.slice(0, 23).str.to_datetime("%Y-%m-%dT%H:%M:%S%.3f", time_unit="ms", strict=False)
    return text.cast(pl.Int64) - (OFFSET if FORMS[name].time == "shanghai" else 0)


class TestAFolderThatHoldsSomething:
    """What lies in the folder would be read along with what is written."""

    def test_an_earlier_simulation_is_replaced_whatever_its_format(self, tmp_path: Path) -> None:
        simulate("wangiri", 7, tmp_path / "again", scale=0.1, format="parquet")
        simulate("wangiri", 7, tmp_path / "again", scale=0.1)
        simulate("wangiri", 7, tmp_path / "once", scale=0.1)
        assert hashes(tmp_path / "again") == hashes(tmp_path / "once")

    def test_another_simulation_is_left_alone(self, tmp_path: Path) -> None:
        simulate("wangiri", 7, tmp_path, scale=0.1)
        before = hashes(tmp_path)
        with pytest.raises(SinkError, match=r"streams/calls\.ndjson of another simulation: take an empty folder"):
            simulate("card-velocity", 7, tmp_path)
        assert hashes(tmp_path) == before

    def test_files_of_somebody_else_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "streams").mkdir()
        (tmp_path / "streams" / "calls.parquet").write_text("mine")
        with pytest.raises(SinkError, match=r"streams/calls\.parquet that no simulation wrote"):
            simulate("wangiri", 7, tmp_path, scale=0.1)
        assert (tmp_path / "streams" / "calls.parquet").read_text() == "mine"

    def test_a_folder_in_the_place_of_a_file_is_left_alone(self, tmp_path: Path) -> None:
        simulate("wangiri", 7, tmp_path, scale=0.1)
        (tmp_path / "streams" / "calls.parquet").mkdir()
        before = hashes(tmp_path)
        with pytest.raises(SinkError, match=r"streams/calls\.parquet, which is a folder: remove it"):
            simulate("wangiri", 7, tmp_path, scale=0.1)
        assert hashes(tmp_path) == before


class TestSameSeedSameBytes:
    """What a seed fixes."""

    @pytest.mark.parametrize("form", ["ndjson", "parquet"])
    @pytest.mark.parametrize("scenario", SMALL)
    def test_two_runs_write_the_same_files(self, scenario: str, form: str, tmp_path: Path) -> None:
        for name in ("one", "two"):
            simulate(scenario, 7, tmp_path / name, format=form)  # type: ignore[arg-type]  # parametrised
        assert hashes(tmp_path / "one") == hashes(tmp_path / "two")

    def test_the_number_of_threads_does_not_matter(self, tmp_path: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from streams.simulator import simulate; "
            "simulate('city', 3, Path(sys.argv[1]), scale=0.02); "
            "simulate('card-velocity', 3, Path(sys.argv[1]) / 'parquet', format='parquet')"
        )
        for threads in ("1", "2"):
            environment = os.environ | {"POLARS_MAX_THREADS": threads, "PYTHONPATH": str(ROOT)}
            subprocess.run([sys.executable, "-c", program, str(tmp_path / threads)], check=True, env=environment)
        assert hashes(tmp_path / "1") == hashes(tmp_path / "2")

    def test_another_seed_gives_other_events(self) -> None:
        one, two = (generate("wangiri", seed).streams["calls"] for seed in (1, 2))
        assert not one.equals(two)

    def test_another_scale_leaves_the_labels(self) -> None:
        small, large = (generate("venue-energy", 5, scale=scale).labels for scale in (0.1, 1.0))
        assert small.equals(large)


class TestArrival:
    """The order in which records reach their reader."""

    @pytest.mark.parametrize("scenario", SMALL)
    def test_nothing_is_late(self, scenario: str) -> None:
        for name, rows in generate(scenario, 11).streams.items():
            times = event_time(name, rows)
            behind = times.cum_max().forward_fill().shift(1) - times
            assert behind.max() <= FORMS[name].lateness  # type: ignore[operator]  # not empty

    @pytest.mark.parametrize("scenario", SMALL)
    def test_the_order_is_disturbed(self, scenario: str) -> None:
        for name, rows in generate(scenario, 11).streams.items():
            times = event_time(name, rows).drop_nulls()
            assert (times.diff().drop_nulls() < 0).mean() > 0.05  # type: ignore[operator]  # not empty

    def test_late_records_come_when_asked_for(self) -> None:
        rows = generate("wangiri", 11, late=0.01).streams["calls"]
        times = event_time("calls", rows)
        late = (times.cum_max().forward_fill().shift(1) - times) > FORMS["calls"].lateness
        assert 0.002 < late.mean() < 0.02  # type: ignore[operator]  # not empty

    def test_one_record_in_a_thousand_comes_twice_as_an_exact_copy(self) -> None:
        rows = generate("card-velocity", 2).streams["payments"]
        double = rows.height - rows.unique().height
        assert 5 <= double <= 35
        assert rows.unique().height == rows["payment_id"].n_unique()

    def test_malformed_records_have_ids_of_their_own(self) -> None:
        rows = generate("card-velocity", 2).streams["payments"]
        bad = rows.filter(
            (event_time("payments", rows).is_null()) | (pl.col("amount") <= 0) | (pl.col("amount") == 10.005)
        )
        assert bad.height == 3
        assert rows.filter(pl.col("payment_id").is_in(bad["payment_id"].implode())).height == 3

    def test_events_lie_within_the_run(self) -> None:
        for scenario in SMALL:
            chosen = SCENARIOS[scenario]
            for name, rows in generate(scenario, 4, scale=0.2).streams.items():
                times = event_time(name, rows).drop_nulls()
                assert times.min() >= chosen.start  # type: ignore[operator]  # not empty
                assert times.max() < chosen.start + chosen.minutes * 60_000  # type: ignore[operator]  # not empty


class TestFiles:
    """A simulation on disk."""

    def test_every_stream_and_table_is_a_source(self, tmp_path: Path) -> None:
        made = simulate("wangiri", 7, tmp_path, scale=0.1)
        arguments = source_arguments(tmp_path)
        named = dict(text.split("=", 1) for text in arguments[1::2])
        assert set(arguments[::2]) == {"--source"}
        assert set(named) == set(made.streams) | set(made.tables)
        assert named["calls"] == f"ndjson:{tmp_path}/streams/calls.ndjson"

    def test_labels_come_back_as_they_were(self, tmp_path: Path) -> None:
        made = simulate("wangiri", 7, tmp_path, scale=0.1)
        assert read_labels(tmp_path).equals(made.labels)

    def test_an_unknown_scenario_is_a_key_error(self) -> None:
        with pytest.raises(KeyError, match="wangri"):
            generate("wangri", 1)


class TestSize:
    """How much there is."""

    def test_the_city_has_more_than_a_million_events(self) -> None:
        made = generate("city", 1)
        assert 1_000_000 <= sum(rows.height for rows in made.streams.values()) <= 1_500_000
        assert set(made.streams) == {"calls", "signaling", "payments", "meters"}

    @pytest.mark.parametrize("scenario", SMALL)
    def test_a_scenario_of_its_own_is_small(self, scenario: str) -> None:
        made = generate(scenario, 1)
        assert 10_000 <= sum(rows.height for rows in made.streams.values()) <= 55_000
