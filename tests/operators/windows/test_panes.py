"""Tumbling, hopping, cumulating and calendar windows against loops over all events."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_oracle import (
    ALL,
    EVERY,
    SCHEMA,
    Row,
    by_key,
    columns,
    differences,
    events,
    evidence,
    expected,
    frame,
    run,
    run_when_due,
    some,
)

from operators.contract import Instant, Operator
from operators.windows.build import mixes, windows_operator
from operators.windows.for_all import ForAll
from operators.windows.panes import PaneWindows
from tocsin.model.rows import EVIDENCE, ID, POSITION, TIME, WINDOW_END, WINDOW_START
from tocsin.model.windows import Calendar, Cumulating, Hopping, Session, Trailing, Window

SPAN = 100
FAR = 10_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW, IN_2099 = 1_767_225_600_000, 4_070_908_800_000
Bounds = Callable[[int], tuple[int, int]]

SHAPES: dict[str, tuple[Window, Sequence[tuple[int, int]]]] = {
    "tumbling": (Hopping(10, 10), [(e - 10, e) for e in range(10, 300, 10)]),
    "hopping": (Hopping(30, 10), [(e - 30, e) for e in range(10, 300, 10)]),
    "hopping with a rest": (Hopping(25, 10), [(e - 25, e) for e in range(10, 300, 10)]),
    "hopping over gaps": (Hopping(4, 10), [(e - 4, e) for e in range(10, 300, 10)]),
    "cumulating": (Cumulating(30, 10), [((e - 1) // 30 * 30, e) for e in range(10, 300, 10)]),
}


def operator(window: Window, chosen: Sequence[int] = EVERY) -> Operator:
    return windows_operator("w", ("key",), [(window, columns(chosen))], SCHEMA)


def oracle(
    rows: Sequence[Row], bounds: Sequence[tuple[int, int]], chosen: Sequence[int] = EVERY, until: int | None = None
) -> list[Row]:
    """Give the row of every key and window that has events, by looking at each event for each window."""
    wanted = []
    for key, own in by_key(rows).items():
        if until is not None:
            latest = max(until, own[-1][TIME])
            least_end = min(end for _, end in bounds if end > latest)
        for start, end in bounds:
            inside = [row for row in own if start <= row[TIME] < end]
            if inside and (until is None or end <= least_end):
                row = {TIME: end - 1, ID: json.dumps([key], ensure_ascii=False), WINDOW_START: start, WINDOW_END: end}
                wanted.append({**row, "key": key, EVIDENCE: evidence(inside), **expected(inside, chosen)})
    return sorted(wanted, key=lambda row: (row[TIME], row[ID].encode()))


@pytest.mark.parametrize("shape", SHAPES)
class TestEveryAggregate:
    """Each aggregate in each kind of window, however the stream is cut."""

    @settings(max_examples=10, deadline=None)
    @given(rows=events(SPAN))
    def test_is_what_a_loop_over_all_events_gives(self, shape: str, rows: list[Row]) -> None:
        window, bounds = SHAPES[shape]
        given_rows = run(operator(window), frame(rows), [FAR]).to_dicts()
        assert not differences(given_rows, oracle(rows, bounds))

    @settings(max_examples=25, deadline=None)
    @given(rows=events(SPAN), cuts=st.lists(st.integers(0, 140), max_size=12), chosen=some())
    def test_does_not_depend_on_where_the_stream_is_cut(
        self, shape: str, rows: list[Row], cuts: list[int], chosen: list[int]
    ) -> None:
        window, bounds = SHAPES[shape]
        cut = run(operator(window, chosen), frame(rows), [*cuts, FAR])
        assert cut.equals(run(operator(window, chosen), frame(rows), [FAR]))
        assert not differences(cut.to_dicts(), oracle(rows, bounds, chosen))

    @settings(max_examples=12, deadline=None)
    @given(rows=events(SPAN), cuts=st.lists(st.integers(0, 200), max_size=40), chosen=some())
    def test_comes_when_the_operator_is_called_only_when_due(
        self, shape: str, rows: list[Row], cuts: list[int], chosen: list[int]
    ) -> None:
        window, _ = SHAPES[shape]
        whole = run(operator(window, chosen), frame(rows), [FAR])
        assert run_when_due(operator(window, chosen), frame(rows), [*cuts, FAR]).equals(whole)

    @settings(max_examples=12, deadline=None)
    @given(rows=events(SPAN), cuts=st.lists(st.integers(0, 140), max_size=6), chosen=some())
    def test_is_the_same_when_rows_come_by_key(
        self, shape: str, rows: list[Row], cuts: list[int], chosen: list[int]
    ) -> None:
        window, _ = SHAPES[shape]
        usual = operator(window, chosen)
        assert isinstance(usual, PaneWindows)
        state, given_rows, before = usual.initial(), [], -1
        for cut in sorted({*cuts, FAR}):
            fresh = frame(rows).filter((pl.col(TIME) > before) & (pl.col(TIME) <= cut))
            taken = replace(usual, by_key=True).step(fresh.sort("key", maintain_order=True), state, Instant(cut))
            state, before = taken.state, cut
            given_rows.append(taken.rows)
        assert pl.concat(given_rows).sort(TIME, ID).equals(run(usual, frame(rows), [FAR]))

    @settings(max_examples=20, deadline=None)
    @given(rows=events(SPAN), until=st.integers(0, 120), cuts=st.lists(st.integers(0, 120), max_size=6), chosen=some())
    def test_closing_gives_each_key_its_window_in_progress(
        self, shape: str, rows: list[Row], until: int, cuts: list[int], chosen: list[int]
    ) -> None:
        window, bounds = SHAPES[shape]
        early = [cut for cut in cuts if cut <= until]
        given_rows = run(operator(window, chosen), frame(rows), early, until).to_dicts()
        assert not differences(given_rows, oracle(rows, bounds, chosen, until))


def test_the_oracle_asks_for_every_aggregate_of_the_language() -> None:
    asked = {call.function for call, _ in ALL}
    assert asked >= {"count", "count_distinct", "sum", "avg", "min", "max", "first", "last", "previous", "arg_min"}
    assert asked >= {"arg_max", "stddev_pop", "stddev_samp", "quantile", "top_k", "slope"}


class TestSeveralWindowsOfOneHop:
    """One row per key and hop with the columns of all windows; the bounds are those of the widest."""

    SIZES = (10, 40, 25)

    def operator(self, chosen: Sequence[int]) -> Operator:
        words = [(Hopping(size, 10), columns(chosen, f"s{size}_")) for size in self.SIZES]
        return windows_operator("w", ("key",), words, SCHEMA)

    def oracle(self, rows: Sequence[Row], chosen: Sequence[int], until: int | None = None) -> list[Row]:
        wide = oracle(rows, [(e - 40, e) for e in range(10, 300, 10)], (), until)
        groups = by_key(rows)
        for row in wide:
            for size in self.SIZES:
                end = row[WINDOW_END]
                inside = [event for event in groups[row["key"]] if end - size <= event[TIME] < end]
                row.update(expected(inside, chosen, f"s{size}_"))
        return wide

    @settings(max_examples=25, deadline=None)
    @given(rows=events(SPAN), cuts=st.lists(st.integers(0, 140), max_size=8), chosen=some())
    def test_each_column_is_that_of_its_own_window(self, rows: list[Row], cuts: list[int], chosen: list[int]) -> None:
        given_rows = run(self.operator(chosen), frame(rows), [*cuts, FAR])
        assert given_rows.equals(run(self.operator(chosen), frame(rows), [FAR]))
        assert not differences(given_rows.to_dicts(), self.oracle(rows, chosen))

    @settings(max_examples=20, deadline=None)
    @given(rows=events(SPAN), until=st.integers(0, 120), chosen=some())
    def test_closing_gives_the_hop_in_progress(self, rows: list[Row], until: int, chosen: list[int]) -> None:
        given_rows = run(self.operator(chosen), frame(rows), [until // 2], until)
        assert not differences(given_rows.to_dicts(), self.oracle(rows, chosen, until))


class TestCalendarDays:
    """Days of a zone that begin at a minute of the local day; clocks change within the drawn span."""

    ZONE, MINUTE = ZoneInfo("Europe/Berlin"), 5 * 60

    def bounds(self) -> list[tuple[int, int]]:
        begin = datetime(2025, 3, 28, 5, 0)  # noqa: DTZ001  # local wall time
        days = [(begin + timedelta(days=n)).replace(tzinfo=self.ZONE) for n in range(6)]
        starts = [int(day.timestamp() * 1000) for day in days]
        return list(pairwise(starts))

    @settings(max_examples=20, deadline=None)
    @given(rows=events(4 * 24), cuts=st.lists(st.integers(0, 120), max_size=8), chosen=some())
    def test_a_day_has_the_rows_between_its_local_beginnings(
        self, rows: list[Row], cuts: list[int], chosen: list[int]
    ) -> None:
        bounds = self.bounds()
        origin, hour = bounds[0][0], 3_600_000
        rows = [{**row, TIME: origin + row[TIME] * hour} for row in rows]
        day = operator(Calendar(self.MINUTE, "Europe/Berlin"), chosen)
        marks = [*(origin + cut * hour for cut in cuts), origin + 1000 * hour]
        given_rows = run(day, frame(rows), marks)
        assert not differences(given_rows.to_dicts(), oracle(rows, bounds, chosen))
        assert run_when_due(day, frame(rows), marks).equals(given_rows)

    def test_the_day_of_the_clock_change_is_23_hours_long(self) -> None:
        assert [(end - start) // 3_600_000 for start, end in self.bounds()] == [24, 23, 24, 24, 24]


class TestForAll:
    """Every key of a table gets a row at every end, from its first window with rows or the start that the host says."""

    TABLE = pl.DataFrame(
        {
            "unit": ["a", "b", "b", "b", "c"],
            TIME: [-(2**63), 20, 47, 72, -(2**63)],
            "__gone": [False, False, True, False, False],
        }
    )

    def alive(self, key: str, time: int) -> bool:
        versions = [row for row in self.TABLE.to_dicts() if row["unit"] == key and row[TIME] <= time]
        return bool(versions) and not versions[-1]["__gone"]

    def born(self, key: str, time: int) -> int:
        return max(row[TIME] for row in self.TABLE.to_dicts() if row["unit"] == key and row[TIME] <= time)

    def oracle(
        self, rows: Sequence[Row], size: int, start: int | None, horizon: int, until: int
    ) -> list[tuple[str, int, int]]:
        wanted = []
        for key in ("a", "b", "c", 'q"\\'):
            since: int | None = None
            for end in range(10, until + 1, 10):
                count = sum(1 for row in rows if row["key"] == key and end - size <= row[TIME] < end)
                there = self.alive(key, end - 1)
                since = None if not there else end if count else since
                seen = start is None and since is not None and end - since <= horizon
                counts = there and start is not None and end > start
                known = [time for time in (start, since) if time is not None]
                said = counts and end - max(*known, self.born(key, end - 1)) <= horizon
                if count or seen or said:
                    wanted.append((key, end, count))
        return sorted(wanted, key=lambda row: (row[1], json.dumps([row[0]])))

    @settings(max_examples=40, deadline=None)
    @given(
        rows=events(SPAN, 12),
        cuts=st.lists(st.integers(0, 140), max_size=8),
        size=st.sampled_from([10, 30]),
        start=st.sampled_from([None, 0, 35]),
        horizon=st.sampled_from([1_000, 25]),
    )
    def test_keys_of_the_table_are_given_in_empty_windows_too(
        self, rows: list[Row], cuts: list[int], size: int, start: int | None, horizon: int
    ) -> None:
        everyone = ForAll("units", ("unit",), horizon)
        word = (Hopping(size, 10), columns([0, 2]))
        node = windows_operator("w", ("key",), [word], SCHEMA, for_all=everyone)
        said = pl.DataFrame({"time": [] if start is None else [start]}, schema={"time": pl.Int64})
        begin = {**node.initial(), "start": said}
        given_rows = run(node, frame(rows), [*cuts, 149], tables={"units": self.TABLE}, begin=begin)
        assert given_rows.select("key", WINDOW_END, "c0").rows() == self.oracle(rows, size, start, horizon, 150)
        empty = given_rows.filter(pl.col("c0") == 0)
        assert empty["c2"].null_count() == empty.height

    @pytest.mark.parametrize("window", [Hopping(MINUTE, MINUTE), Hopping(HOUR, MINUTE), Calendar(0, "Europe/Berlin")])
    def test_a_watermark_long_before_the_first_row_lists_no_windows(self, window: Window) -> None:
        rows = frame([self.at(NOW)])
        given_rows = run(self.operator(window), rows, [0, NOW + 5 * MINUTE], tables={"units": self.TABLE})
        assert given_rows.filter(pl.col(WINDOW_END) <= NOW).is_empty()

    @pytest.mark.parametrize("window", [Hopping(MINUTE, MINUTE), Hopping(HOUR, MINUTE), Calendar(0, "Europe/Berlin")])
    def test_a_record_of_the_far_future_ends_in_a_horizon_of_empty_windows(self, window: Window) -> None:
        rows = frame([self.at(NOW), self.at(IN_2099)])
        given_rows = run(self.operator(window), rows, [NOW - 1, IN_2099 + 2 * DAY], tables={"units": self.TABLE})
        empty = given_rows.filter(pl.col("c0") == 0)
        last = given_rows.filter(pl.col("c0") > 0)[WINDOW_END]
        after = last.max() - NOW  # type: ignore[operator]  # Int64 column
        assert after > 70 * 365 * DAY
        assert empty.filter(pl.col(WINDOW_END) < IN_2099)[WINDOW_END].max() <= NOW + HOUR + 2 * DAY + DAY  # type: ignore[operator]
        assert 0 < empty.height <= 2 * (2 * DAY // MINUTE)

    @staticmethod
    def at(time: int) -> Row:
        values = {"amount": 1, "heat": None, "place": None, "flag": None}
        return {TIME: time, ID: str(time), "key": "a", POSITION: 0, **values}

    @staticmethod
    def operator(window: Window) -> Operator:
        everyone = ForAll("units", ("unit",), 2 * DAY)
        return windows_operator("w", ("key",), [(window, columns([0]))], SCHEMA, for_all=everyone)

    def test_a_table_with_another_key_is_refused(self) -> None:
        with pytest.raises(ValueError, match="parts of `by`"):
            windows_operator("w", ("key",), [(Hopping(9, 9), columns([0]))], SCHEMA, for_all=ForAll("t", ("a", "b")))


class TestMixes:
    """Which windows may stand in one feature."""

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([Hopping(60, 10), Hopping(60, 20)], "the same `every`"),
            ([Hopping(60, 10), Session(5)], "a session window must be the only window"),
            ([Hopping(60, 10), Trailing(5)], "make them two features"),
            ([Cumulating(60, 25)], "a whole number of times"),
            ([Calendar(0, "UTC"), Calendar(60, "UTC")], "a calendar day must be the only window"),
            ([Hopping(0, 10)], "more than nothing"),
            ([], "needs one at least"),
        ],
    )
    def test_windows_that_do_not_mix_are_explained(self, words: list[Window], says: str) -> None:
        assert says in str(mixes(words))
        with pytest.raises(ValueError, match=says):
            windows_operator("w", ("key",), [(word, columns([0])) for word in words], SCHEMA)

    def test_windows_of_one_hop_mix(self) -> None:
        assert mixes([Hopping(60, 10), Hopping(10, 10)]) is None
        assert mixes([Session(3)]) is None
