"""What every detector keeps, and each of them against loops over plain rows."""

import doctest
import importlib
import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.contract import Instant, Operator
from operators.detectors import DETECTORS, detector_operator
from operators.state import dump, restore
from tocsin.model.rows import ID, TIME, Schema
from tocsin.model.types import FLOAT64, INT64, STRING, Type, decimal

HOUR = 3_600_000
Row = dict[str, Any]
SCHEMA = Schema({"unit": STRING, "kind": STRING, "load": decimal(1, "kW")})
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "baseline": {"history": "12h", "refresh": "3h", "accept": "5h", "least": "2"},
    "peers": {"class": "kind", "least": "2"},
    "forecast": {"ahead": "2h", "history": "4h"},
}


def detector(kind: str, schema: Schema = SCHEMA, **more: str) -> Operator:
    return detector_operator(kind, "d", ("unit",), "load", {**OPTIONS[kind], **more}, schema)


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA.physical).sort(TIME, ID)


def run(operator: Operator, rows: pl.DataFrame, watermarks: Sequence[int]) -> pl.DataFrame:
    """Call the detector at these watermarks, its state written to bytes and read back between."""
    state, before = operator.initial(), -1
    given = [operator.output.empty()]
    for watermark in sorted({*watermarks, 10_000 * HOUR}):
        part = rows.filter((pl.col(TIME) > before) & (pl.col(TIME) <= watermark))
        step = operator.step(part, state, Instant(watermark))
        assert step.rows.schema == pl.Schema(operator.output.physical)
        given.append(step.rows)
        state, before = restore(dump(step.state)), watermark
    return pl.concat(given)


def readings(most: int = 40) -> st.SearchStrategy[list[Row]]:
    """Draw rows of three units in two classes at half hours, with nulls and wild values; one per unit and time."""
    load = st.one_of(st.none(), st.integers(40, 60), st.integers(40, 60), st.sampled_from([50, 50, 0, 5000]))
    one = st.tuples(st.integers(0, 80), st.sampled_from("abc"), load)
    return st.lists(one, max_size=most, unique_by=lambda row: row[:2]).map(_rows)


def _rows(drawn: list[tuple[int, str, int | None]]) -> list[Row]:
    rows = [
        {TIME: time * HOUR // 2, ID: f'["{unit}"]', "unit": unit, "kind": "x" if unit < "c" else "y", "load": load}
        for time, unit, load in drawn
    ]
    return sorted(rows, key=lambda row: (row[TIME], row[ID]))


@pytest.mark.parametrize("kind", DETECTORS)
class TestEveryDetector:
    """The contract that every kind keeps."""

    @settings(max_examples=30, deadline=None)
    @given(rows=readings(), cuts=st.lists(st.integers(0, 80), max_size=10))
    def test_does_not_depend_on_where_the_stream_is_cut(self, kind: str, rows: list[Row], cuts: list[int]) -> None:
        whole = run(detector(kind), frame(rows), [])
        assert run(detector(kind), frame(rows), [cut * HOUR // 2 for cut in cuts]).equals(whole)

    @settings(max_examples=15, deadline=None)
    @given(rows=readings(), cuts=st.lists(st.integers(0, 80), max_size=5))
    def test_does_not_depend_on_which_keys_share_its_bucket(self, kind: str, rows: list[Row], cuts: list[int]) -> None:
        marks = [cut * HOUR // 2 for cut in cuts]
        apart = [[row for row in rows if row["kind"] == name] for name in "xy"]
        parts = [run(detector(kind), frame(part), marks) for part in apart]
        assert pl.concat(parts).sort(TIME, ID).equals(run(detector(kind), frame(rows), marks))

    @settings(max_examples=20, deadline=None)
    @given(rows=readings())
    def test_keeps_the_rows_as_they_are(self, kind: str, rows: list[Row]) -> None:
        given_rows = run(detector(kind), frame(rows), [20 * HOUR])
        assert given_rows.select(list(SCHEMA.physical)).equals(frame(rows))

    @pytest.mark.parametrize("load", [0, 7])
    def test_is_silent_on_constant_input(self, kind: str, load: int) -> None:
        rows = _rows([(time, unit, load) for time in range(80) for unit in "ab"])
        scores = run(detector(kind), frame(rows), [17 * HOUR])["d.score"].drop_nulls()
        assert scores.len() > 0
        assert (scores == 0).all()

    def test_its_state_does_not_grow_with_time(self, kind: str) -> None:
        operator, sizes = detector(kind), []
        state = operator.initial()
        for hour in range(120):
            rows = _rows([(2 * hour, f"{unit}{hour // 15}", 50 + hour % 3) for unit in "ab"])
            state = operator.step(frame(rows), state, Instant(hour * HOUR)).state
            sizes.append(sum(part.height for part in state.values()))
        assert max(sizes[60:]) <= max(sizes[:60])

    def test_explains_itself_by_the_columns_it_declares(self, kind: str) -> None:
        added = [name for name in detector(kind).output.columns if name not in SCHEMA.columns]
        assert added == [f"d.{suffix}" for suffix in DETECTORS[kind].columns]
        assert {"d.value", "d.score", "d.low", "d.high"} <= set(added)
        rows = _rows([(time, unit, 50 + (7 * time) % 5) for time in range(80) for unit in "ab"])
        last = run(detector(kind), frame(rows), []).tail(1)
        assert not [name for name in added if last[name].has_nulls()]
        assert last["d.low"].item() <= last["d.value"].item() <= last["d.high"].item()

    def test_the_values_have_the_unit_of_the_column(self, kind: str) -> None:
        assert detector(kind).output.columns["d.value"].unit == "kW"

    def test_its_options_are_declared_with_a_reason_and_a_typed_default(self, kind: str) -> None:
        for option in DETECTORS[kind].options:
            assert option.doc
            assert not (option.required and option.default is not None)

    def test_the_scores_in_its_description_are_real(self, kind: str) -> None:
        assert doctest.testmod(importlib.import_module(f"operators.detectors.{kind}")).attempted > 0
        assert doctest.testmod(importlib.import_module(f"operators.detectors.{kind}")).failed == 0


class TestOptions:
    """What is wrong with an option is said when the topology is checked."""

    @pytest.mark.parametrize(
        ("kind", "options", "says"),
        [
            ("baseline", {}, "needs history"),
            ("baseline", {"history": "8w", "saison": "none"}, "no option 'saison'"),
            ("baseline", {"history": "8w", "season": "month"}, "season is one of none, hour of day"),
            ("baseline", {"history": "long"}, "history"),
            ("baseline", {"history": "1d", "accept": "2d"}, "cannot be longer"),
            ("baseline", {"history": "1d", "ignore": "-1"}, "ignore cannot be -1"),
            ("peers", {"least": "many"}, "least is a whole number"),
            ("peers", {"class": "colour"}, "no column"),
            ("forecast", {"ahead": "15m"}, "needs history"),
        ],
    )
    def test_a_wrong_option_is_told(self, kind: str, options: Mapping[str, str], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            detector_operator(kind, "d", ("unit",), "load", options, SCHEMA)

    def test_only_numbers_are_watched(self) -> None:
        with pytest.raises(ValueError, match="no column of numbers"):
            detector_operator("peers", "d", ("unit",), "kind", {}, SCHEMA)


def spread(values: Sequence[float]) -> tuple[float, float]:
    median = statistics.median(values)
    return median, max(1.4826 * statistics.median(abs(value - median) for value in values), 0.01 * abs(median))


def judged(value: float | None, median: float, width: float) -> float | None:
    if value is None:
        return None
    return 0.0 if value == median else (value - median) / width if width else None


def close(a: float | None, b: float | None) -> bool:
    return a == b if a is None or b is None else math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)


class TestBaseline:
    """Medians of the key's own history, without what was flagged."""

    HISTORY, REFRESH, ACCEPT = 12 * HOUR, 3 * HOUR, 5 * HOUR

    def oracle(self, rows: Sequence[Row], season: str, zone: str) -> list[float | None]:
        """Walk over each unit's rows one by one."""
        scores: list[float | None] = []
        known: dict[str, dict[str, Any]] = {}
        for row in rows:
            unit = known.setdefault(row["unit"], {"block": None, "since": None, "values": [], "baselines": {}})
            block = row[TIME] // self.REFRESH * self.REFRESH
            if unit["block"] != block:
                self.refresh(unit, block)
            load = None if row["load"] is None else row["load"] / 10
            cell = self.cell(row[TIME], season, zone)
            base = unit["baselines"].get(cell)
            score = judged(load, *base) if base else None
            scores.append(score)
            if load is not None:
                flagged = score is not None and abs(score) > 3.5
                unit["values"].append({"time": row[TIME], "cell": cell, "load": load, "flagged": flagged})
        return scores

    def cell(self, time: int, season: str, zone: str) -> int:
        local = datetime.fromtimestamp(time / 1000, tz=UTC).astimezone(ZoneInfo(zone))
        return {"none": 0, "hour of day": local.hour, "day of week": local.weekday()}[season]

    def refresh(self, unit: dict[str, Any], block: int) -> None:
        values = [value for value in unit["values"] if value["time"] >= block - self.HISTORY]
        first = min((value["time"] for value in values), default=None)
        unit["since"] = first if first is None or unit["since"] is None else min(first, unit["since"])
        kept, baselines = [], {}
        for cell in {value["cell"] for value in values}:
            own = [value for value in values if value["cell"] == cell]
            recent = [value for value in own if value["time"] >= block - self.ACCEPT]
            if recent and 2 * sum(value["flagged"] for value in recent) > len(recent):
                own = [{**value, "flagged": False} for value in recent]
            kept += own
            loads = [value["load"] for value in own if not value["flagged"]]
            if len(loads) >= 2 and unit["since"] is not None and unit["since"] <= block - self.HISTORY:
                baselines[cell] = spread(loads)
        unit.update(block=block, values=kept, baselines=baselines)

    @settings(max_examples=30, deadline=None)
    @given(
        rows=readings(120),
        cuts=st.lists(st.integers(0, 80), max_size=5),
        season=st.sampled_from(["none", "hour of day", "day of week"]),
        zone=st.sampled_from(["UTC", "Asia/Shanghai"]),
    )
    def test_scores_are_those_of_a_walk_over_the_rows(
        self, rows: list[Row], cuts: list[int], season: str, zone: str
    ) -> None:
        options = {**OPTIONS["baseline"], "season": season}
        operator = detector_operator("baseline", "d", ("unit",), "load", options, SCHEMA, zone=zone)
        scores = run(operator, frame(rows), [cut * HOUR // 2 for cut in cuts])["d.score"].to_list()
        assert all(map(close, scores, self.oracle(rows, season, zone)))

    def test_a_new_level_is_flagged_first_and_learnt_in_the_end(self) -> None:
        rows = _rows([(2 * hour, "a", (50 if hour < 30 else 90) + hour % 3) for hour in range(60)])
        scores = run(detector("baseline"), frame(rows), [])["d.score"].to_list()
        assert scores[30] > 3.5
        assert all(abs(score) < 3.5 for score in scores[-12:])

    def test_a_short_burst_is_not_learnt(self) -> None:
        calm = [(2 * hour, "a", 50 + hour % 3) for hour in range(40)]
        wild = [(time, unit, 900 if time in {40, 42} else load) for time, unit, load in calm]
        last = [run(detector("baseline"), frame(_rows(rows)), []).tail(10)["d.high"].max() for rows in (calm, wild)]
        assert last[0] == pytest.approx(last[1], abs=0.2)

    def test_a_key_that_was_silent_for_a_history_is_new_again(self) -> None:
        hours = [*range(20), *range(60, 80)]
        rows = _rows([(2 * hour, "a", 50 + hour % 3) for hour in hours])
        scores = dict(zip(hours, run(detector("baseline"), frame(rows), [])["d.score"].to_list(), strict=True))
        assert scores[19] is not None
        assert all(scores[hour] is None for hour in range(60, 72))
        assert scores[75] is not None


class TestPeers:
    """Medians of the rows of one time and class."""

    @settings(max_examples=30, deadline=None)
    @given(rows=readings())
    def test_scores_are_those_of_a_loop_over_each_class(self, rows: list[Row]) -> None:
        wanted = []
        for row in rows:
            fleet = [
                other["load"] / 10
                for other in rows
                if (other[TIME], other["kind"]) == (row[TIME], row["kind"]) and other["load"] is not None
            ]
            load = None if row["load"] is None else row["load"] / 10
            wanted.append(judged(load, *spread(fleet)) if len(fleet) >= 2 else None)
        found = run(detector("peers"), frame(rows), [])
        assert all(map(close, found["d.score"].to_list(), wanted))
        assert found.filter(pl.col("load").is_null())["d.members"].null_count() == found["load"].null_count()


class TestForecast:
    """Least squares over the last history."""

    AHEAD, HISTORY = 2 * HOUR, 4 * HOUR

    def oracle(self, own: Sequence[Row], row: Row) -> tuple[float | None, float | None]:
        """Give the forecast and the upper bound from this unit's rows up to `row`."""
        values = [(r[TIME] / HOUR, r["load"] / 10) for r in own if r["load"] is not None and r[TIME] <= row[TIME]]
        now, history = row[TIME] / HOUR, self.HISTORY / HOUR
        window = [(t, x) for t, x in values if t > now - history]
        if len(window) < 3 or not any(now - 2 * history < t <= now - history for t, _ in values):
            return None, None
        t = statistics.fmean(point[0] for point in window)
        x = statistics.fmean(point[1] for point in window)
        over = sum((point[0] - t) ** 2 for point in window)
        slope = sum((point[0] - t) * (point[1] - x) for point in window) / over
        about = sum((point[1] - x - slope * (point[0] - t)) ** 2 for point in window)
        away = now + self.AHEAD / HOUR - t
        error = math.sqrt(about / (len(window) - 2))
        half = 2 * error * math.sqrt(1 + 1 / len(window) + away**2 / over)
        return x + slope * away, x + slope * away + half

    @settings(max_examples=30, deadline=None)
    @given(rows=readings(120), cuts=st.lists(st.integers(0, 80), max_size=8))
    def test_forecasts_are_those_of_the_textbook(self, rows: list[Row], cuts: list[int]) -> None:
        given_rows = run(detector("forecast"), frame(rows), [cut * HOUR // 2 for cut in cuts]).to_dicts()
        for row in given_rows:
            value, high = self.oracle([other for other in rows if other["unit"] == row["unit"]], row)
            assert close(row["d.value"], value)
            assert close(row["d.high"], high)

    def test_a_line_is_continued_exactly(self) -> None:
        rows = _rows([(time, "a", 10 * time) for time in range(30)])
        last = run(detector("forecast"), frame(rows), []).tail(1).to_dicts()[0]
        assert last["d.value"] == pytest.approx(29 + 4)
        assert last["d.low"] == pytest.approx(last["d.high"])
        assert last["d.rise"] == pytest.approx(2)
        assert last["d.ahead"] == self.AHEAD


class TestColumnTypes:
    """Decimals and floats alike."""

    @pytest.mark.parametrize(("type_", "factor"), [(INT64, 1), (FLOAT64, 0.5), (decimal(3), 1000)])
    def test_values_are_in_units_whatever_the_column_lies_in(self, type_: Type, factor: float) -> None:
        schema = Schema({"unit": STRING, "load": type_})
        operator = detector_operator("peers", "d", ("unit",), "load", {"least": "2"}, schema)
        rows = pl.DataFrame({"unit": ["a", "b", "c"], TIME: [0] * 3, ID: ["a", "b", "c"]})
        loads = pl.Series("load", [4 * factor, 6 * factor, 8 * factor], dtype=type_.physical, strict=False)
        value = operator.step(rows.with_columns(loads), {}, Instant(0)).rows["d.value"].to_list()
        assert value == [6 * factor / (1000 if type_.scale else 1)] * 3


def test_seasons_follow_the_clock_of_the_zone() -> None:
    hours = [int(datetime(2025, 3, 29, 12, tzinfo=UTC).timestamp()) * 1000 + hour * HOUR for hour in range(24)]
    from operators.detectors.baseline import season_cell  # noqa: PLC0415  # only here

    cells = pl.DataFrame({TIME: hours}).select(season_cell("hour of day", "Europe/Berlin")).to_series().to_list()
    steps = {(b - a) % 24 for a, b in pairwise(cells)}
    assert steps == {1, 2}
