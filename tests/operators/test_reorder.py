"""The head of a stage: complete, ordered, once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.reorder import Reorder
from tocsin.model.rows import HASH, ID, POSITION, SOURCE_SYSTEM, TIME, Schema
from tocsin.model.types import INT64, STRING

SCHEMA = Schema({"key": STRING, "value": INT64}, SOURCE_SYSTEM)
HEAD = Reorder(("key",), SCHEMA, source=True)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2", "10"]), st.integers(0, 20), st.integers(0, 3)),
    max_size=40,
)


def batch(events: list[tuple[str, str, int, int]]) -> pl.DataFrame:
    """Rows (key, id, time, value); the value is the content hash too."""
    rows = [{"key": k, ID: i, TIME: t, "value": v, HASH: v, POSITION: n} for n, (k, i, t, v) in enumerate(events)]
    return SCHEMA.conform(pl.DataFrame(rows, schema=SCHEMA.physical)) if rows else SCHEMA.empty()


def plain(rows: pl.DataFrame) -> list[tuple[str, str, int, int]]:
    return list(rows.select("key", ID, TIME, "value").iter_rows())


class TestOrder:
    def test_rows_wait_until_the_watermark_has_passed_their_time(self) -> None:
        released = HEAD.step([batch([("a", "1", 5, 0), ("a", "2", 6, 0)])], SCHEMA.empty(), 5)
        assert plain(released.rows) == [("a", "1", 5, 0)]
        assert plain(released.waiting) == [("a", "2", 6, 0)]

    def test_rows_of_one_time_leave_in_the_order_of_the_bytes_of_their_ids(self) -> None:
        released = HEAD.step([batch([("a", "2", 5, 0), ("a", "10", 5, 0), ("a", "é", 5, 0)])], SCHEMA.empty(), 9)
        assert [row[1] for row in plain(released.rows)] == ["10", "2", "é"]

    def test_without_a_watermark_everything_leaves(self) -> None:
        released = HEAD.step([batch([("a", "1", 5, 0)])], SCHEMA.empty(), None)
        assert released.rows.height == 1
        assert released.waiting.is_empty()

    @pytest.mark.parametrize("unit", [1_000, 1_000 * 86_400 * 365, 1, 999_999_937])
    @given(EVENTS)
    def test_no_span_of_time_is_too_long(self, unit: int, events: list[tuple[str, str, int, int]]) -> None:
        """Whole seconds over years, and times that are none: in the order of what they are, each once."""
        far = [(k, i, t * unit, v) for k, i, t, v in events]
        released = HEAD.step([batch([*far, *far])], SCHEMA.empty(), None)
        given_times = [row[2] for row in plain(released.rows)]
        assert given_times == sorted(given_times)
        once = [(k, i, t) for k, i, t, _ in plain(released.rows)]
        assert len(once) == len(set(once))
        assert set(once) == {(k, i, t) for k, i, t, _ in far}

    @given(events=EVENTS, source=st.booleans())
    def test_rows_that_come_in_order_of_time_leave_as_others_do(
        self, events: list[tuple[str, str, int, int]], *, source: bool
    ) -> None:
        """Of those only ties are looked at."""
        head = replace(HEAD, source=source)
        rising = sorted(events, key=lambda event: event[2])
        usual, sorted_ = (head.step([batch(some)], SCHEMA.empty(), 15) for some in (rising[::-1], rising))
        assert sorted_.duplicates == usual.duplicates
        assert sorted(plain(sorted_.waiting)) == sorted(plain(usual.waiting))
        for key in "ab":
            own = [[row for row in plain(one.rows) if row[0] == key] for one in (sorted_, usual)]
            assert own[0] == own[1]

    def test_rows_in_order_leave_as_they_came(self) -> None:
        rows = batch([("a", "1", 5, 0), ("b", "1", 5, 0), ("a", "2", 5, 0), ("b", "2", 6, 0)])
        assert plain(HEAD.step([rows], SCHEMA.empty(), 9).rows) == plain(rows)


class TestDuplicates:
    def test_of_differing_copies_the_least_content_hash_stays(self) -> None:
        released = HEAD.step([batch([("a", "1", 5, 3), ("a", "1", 5, 1), ("a", "1", 5, 2)])], SCHEMA.empty(), 9)
        assert plain(released.rows) == [("a", "1", 5, 1)]
        assert released.duplicates == 2

    @given(st.permutations(range(6)))
    def test_of_equal_copies_the_one_of_the_least_position_stays_in_whatever_order_they_arrive(
        self, order: list[int]
    ) -> None:
        copies = batch([("a", "1", 5, 1)] * 3 + [("a", "2", 5, value) for value in (3, 2, 2)])
        batches = [copies[place : place + 1] for place in order]
        kept = HEAD.step(batches, SCHEMA.empty(), 9).rows
        assert kept.select(ID, POSITION).rows() == [("1", 0), ("2", 4)]

    def test_the_same_id_under_another_key_or_at_another_time_is_another_row(self) -> None:
        events = [("a", "1", 5, 0), ("b", "1", 5, 0), ("a", "1", 6, 0)]
        assert HEAD.step([batch(events)], SCHEMA.empty(), 9).rows.height == 3

    def test_equal_rows_of_a_stream_without_ids_are_all_kept_and_numbered(self) -> None:
        head = Reorder(("key",), SCHEMA, source=True, numbered=True)
        rows = batch([("a", "", 5, 7), ("a", "", 5, 7), ("a", "", 5, 8)]).with_columns(
            pl.lit(None, pl.String).alias(ID)
        )
        ids = head.step([rows], SCHEMA.empty(), 9).rows.get_column(ID).to_list()
        assert ids == ["7#0", "7#1", "8#0"]


class TestOrderByKey:
    """For operators that group rows by key: those of a key beside each other."""

    @given(EVENTS, st.one_of(st.none(), st.integers(0, 20)))
    def test_the_same_rows_leave_those_of_a_key_together_and_in_the_same_order(
        self, events: list[tuple[str, str, int, int]], watermark: int | None
    ) -> None:
        by_key = replace(HEAD, by_key=True)
        usual = HEAD.step([batch(events)], SCHEMA.empty(), watermark)
        other = by_key.step([batch(events)], SCHEMA.empty(), watermark)
        assert other.duplicates == usual.duplicates
        assert other.waiting.equals(usual.waiting)
        keys = other.rows.get_column("key").to_list()
        assert sum(one != another for one, another in pairwise(keys)) < max(len(set(keys)), 1)
        for key in "ab":
            own = pl.col("key") == key
            assert other.rows.filter(own).equals(usual.rows.filter(own))


@given(EVENTS, st.lists(st.integers(0, 25), max_size=5))
def test_however_the_rows_are_cut_the_same_rows_leave_in_the_same_order_per_key(
    events: list[tuple[str, str, int, int]], cuts: list[int]
) -> None:
    whole = plain(HEAD.step([batch(events)], SCHEMA.empty(), None).rows)
    waiting, given_rows = batch(events), []
    for watermark in [*sorted(cuts), None]:
        released = HEAD.step([], waiting, watermark)
        waiting = released.waiting
        given_rows += plain(released.rows)
    assert sorted(given_rows) == sorted(whole)
    assert len({row[:3] for row in whole}) == len(whole)
    assert all(before[2] <= after[2] for before, after in pairwise(whole))
    for key in {row[0] for row in whole}:
        assert [row for row in given_rows if row[0] == key] == [row for row in whole if row[0] == key]
        order = [(time, identity.encode()) for owner, identity, time, _ in whole if owner == key]
        assert order == sorted(order)
