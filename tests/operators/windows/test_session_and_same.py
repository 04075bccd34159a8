"""Session windows and `same` against loops over all events."""

import json
from collections.abc import Sequence
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_oracle import (
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

from operators.contract import Operator
from operators.expressions.division import over, ratio
from operators.windows.build import windows_operator
from tocsin.model.rows import EVIDENCE, ID, TIME, WINDOW_COLUMNS, WINDOW_END, WINDOW_START
from tocsin.model.windows import Same, Session

GAP, FAR = 7, 10_000


def operator(chosen: Sequence[int] = EVERY) -> Operator:
    return windows_operator("s", ("key",), [(Session(GAP), columns(chosen))], SCHEMA)


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row[TIME], row[ID].encode()))


def sessions(rows: Sequence[Row], chosen: Sequence[int] = EVERY) -> list[Row]:
    wanted = []
    for key, own in by_key(rows).items():
        cut = [0, *(n for n in range(1, len(own)) if own[n][TIME] - own[n - 1][TIME] >= GAP), len(own)]
        for low, high in pairwise(cut):
            inside = own[low:high]
            end = inside[-1][TIME] + GAP
            row = {TIME: end - 1, ID: json.dumps([key], ensure_ascii=False), WINDOW_START: inside[0][TIME]}
            row |= {WINDOW_END: end, "key": key, EVIDENCE: evidence(inside)}
            wanted.append({**row, **expected(inside, chosen)})
    return in_order(wanted)


class TestSession:
    """A session ends when its gap has passed."""

    @settings(max_examples=8, deadline=None)
    @given(rows=events(100))
    def test_every_aggregate_is_what_a_loop_over_the_session_gives(self, rows: list[Row]) -> None:
        assert not differences(run(operator(), frame(rows), [FAR]).to_dicts(), sessions(rows))

    @settings(max_examples=40, deadline=None)
    @given(rows=events(100), cuts=st.lists(st.integers(0, 120), max_size=12), chosen=some())
    def test_a_session_does_not_depend_on_where_the_stream_is_cut(
        self, rows: list[Row], cuts: list[int], chosen: list[int]
    ) -> None:
        cut = run(operator(chosen), frame(rows), [*cuts, FAR])
        assert cut.equals(run(operator(chosen), frame(rows), [FAR]))
        assert not differences(cut.to_dicts(), sessions(rows, chosen))

    @settings(max_examples=20, deadline=None)
    @given(rows=events(100), cuts=st.lists(st.integers(0, 120), max_size=30), chosen=some())
    def test_a_session_comes_when_the_operator_is_called_only_when_due(
        self, rows: list[Row], cuts: list[int], chosen: list[int]
    ) -> None:
        whole = run(operator(chosen), frame(rows), [FAR])
        assert run_when_due(operator(chosen), frame(rows), [*cuts, FAR]).equals(whole)

    @settings(max_examples=20, deadline=None)
    @given(rows=events(60), cuts=st.lists(st.integers(0, 60), max_size=5), chosen=some())
    def test_closing_gives_all_open_sessions(self, rows: list[Row], cuts: list[int], chosen: list[int]) -> None:
        given_rows = run(operator(chosen), frame(rows), cuts, 60)
        assert not differences(in_order(given_rows.to_dicts()), sessions(rows, chosen))

    def test_a_gap_of_exactly_the_width_ends_the_session(self) -> None:
        base = {"amount": 1, "heat": None, "place": None, "flag": None, "key": "a", "__position": 0}
        rows = [{**base, TIME: 0, ID: "x"}, {**base, TIME: GAP - 1, ID: "y"}, {**base, TIME: 2 * GAP - 1, ID: "z"}]
        given_rows = run(operator([0]), frame(rows), [FAR])
        assert given_rows.select(WINDOW_START, WINDOW_END, "c0").rows() == [(0, 13, 2), (13, 20, 1)]

    def test_a_session_of_the_whole_stream_needs_no_key(self) -> None:
        base = {"amount": 1, "heat": None, "place": None, "flag": None, "__position": 0}
        rows = [{**base, "key": key, TIME: time, ID: key} for time, key in ((0, "a"), (3, "b"))]
        whole = windows_operator("s", (), [(Session(GAP), columns([0]))], SCHEMA)
        assert run(whole, frame(rows), [1, FAR]).select(ID, "c0").rows() == [("[]", 2)]


class TestSame:
    """Rows of windows are aggregated once more."""

    SCHEMA_OF_WINDOWS = SCHEMA.plus(WINDOW_COLUMNS)

    @settings(max_examples=8, deadline=None)
    @given(rows=events(12), cuts=st.lists(st.integers(0, 12), max_size=5))
    def test_rows_of_one_window_are_aggregated_once_more(self, rows: list[Row], cuts: list[int]) -> None:
        rows = [{**row, WINDOW_START: row[TIME] - 9, WINDOW_END: row[TIME] + 1} for row in rows]
        same = windows_operator("r", ("key",), [(Same(), columns())], self.SCHEMA_OF_WINDOWS)
        wanted = []
        for key, own in by_key(rows).items():
            for time in sorted({row[TIME] for row in own}):
                inside = [row for row in own if row[TIME] == time]
                row = {TIME: time, ID: json.dumps([key], ensure_ascii=False), WINDOW_END: time + 1, "key": key}
                wanted.append({**row, EVIDENCE: evidence(inside), **expected(inside)})
        given_rows = run(same, frame(rows, self.SCHEMA_OF_WINDOWS), [*cuts, FAR])
        assert not differences(given_rows.to_dicts(), in_order(wanted))


class TestDivision:
    """Results must not depend on how many rows a batch has; Polars' own division does."""

    @pytest.mark.parametrize("rows", [1, 2, 5])
    def test_a_constant_divisor_gives_the_same_in_any_batch(self, rows: int) -> None:
        values = pl.DataFrame({"x": [35.0] * rows})
        assert values.select(over(pl.col("x"), 100.0)).to_series().to_list() == [0.35] * rows

    @pytest.mark.parametrize("rows", [1, 2, 5])
    def test_a_divisor_from_a_table_of_one_row_gives_the_same_in_any_batch(self, rows: int) -> None:
        values = pl.DataFrame({"x": [35.0] * rows, "k": ["a"] * rows})
        joined = values.join(pl.DataFrame({"k": ["a"], "by": [100.0]}), on="k", how="left")
        assert joined.select(ratio(pl.col("x"), pl.col("by"))).to_series().to_list() == [0.35] * rows
