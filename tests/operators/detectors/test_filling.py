"""A detector does not see rows that are not full yet."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.contract import Instant
from operators.detectors.filling import LEAST_SILENCE, Filling, silence_after
from tocsin.model.rows import ID, TIME, Schema
from tocsin.model.types import INT64, STRING

SCHEMA = Schema({"key": STRING, "people": INT64})
FILLS, SILENCE = 10, 25
Row = tuple[str, int]
"""Key, time."""
ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 150)), max_size=60)


def seen(rows: list[Row], cuts: list[int]) -> list[Row]:
    """Give the rows that a detector sees."""
    operator = Filling("f", ("key",), "people", "__d", FILLS, SILENCE, SCHEMA.plus({"__d": INT64}))
    columns = {"key": [key for key, _ in rows], TIME: [time for _, time in rows], ID: [key for key, _ in rows]}
    schema = {"key": pl.String, TIME: pl.Int64, ID: pl.String}
    frame = SCHEMA.conform(pl.DataFrame(columns, schema=schema).with_columns(people=7)).sort(TIME, ID)
    state, before, given_ = operator.initial(), -1, list[Row]()
    for watermark in [*sorted(set(cuts)), 1000]:
        part = frame.filter((pl.col(TIME) > before) & (pl.col(TIME) <= watermark))
        step = operator.step(part, state, Instant(watermark))
        assert step.rows.select(part.columns).equals(part)
        given_ += step.rows.filter(pl.col("__d") == 7).select("key", TIME).rows()
        state, before = step.state, watermark
    return given_


def plainly(rows: list[Row]) -> list[Row]:
    """The rule, row by row."""
    since: dict[str, int] = {}
    last: dict[str, int] = {}
    full = []
    for key, time in sorted(rows, key=lambda row: row[1]):
        if key not in last or time - last[key] > SILENCE:
            since[key] = time
        last[key] = time
        if time - since[key] >= FILLS:
            full.append((key, time))
    return full


class TestWhatADetectorSees:
    """Values of a key from when its rows are full."""

    def test_is_nothing_before_the_first_row_is_so_long_ago(self) -> None:
        assert seen([("a", 5), ("a", 14), ("a", 15), ("a", 16)], []) == [("a", 15), ("a", 16)]

    def test_does_not_depend_on_other_keys(self) -> None:
        assert seen([("a", 5), ("b", 15), ("a", 15)], []) == [("a", 15)]

    def test_begins_anew_after_a_silence_longer_than_it_remembers(self) -> None:
        times = [0, 12, 12 + SILENCE, 13 + 2 * SILENCE, 24 + 2 * SILENCE]
        assert seen([("a", time) for time in times], []) == [("a", 12), ("a", 12 + SILENCE), ("a", 24 + 2 * SILENCE)]

    def test_remembers_a_key_to_the_last_moment_at_which_a_row_may_still_count(self) -> None:
        assert seen([("a", 0), ("a", SILENCE)], [0, SILENCE - 1]) == [("a", SILENCE)]

    @settings(max_examples=60)
    @given(ROWS, st.lists(st.integers(0, 160), max_size=8))
    def test_is_what_a_loop_over_its_rows_says_however_the_stream_is_cut(
        self, rows: list[Row], cuts: list[int]
    ) -> None:
        assert sorted(seen(rows, cuts)) == sorted(plainly(rows))


class TestSilence:
    """How long a key is remembered."""

    def test_what_happens_once_a_week_is_not_new_every_week(self) -> None:
        assert silence_after(3_600_000) == LEAST_SILENCE

    def test_is_three_times_a_longer_memory(self) -> None:
        assert silence_after(LEAST_SILENCE) == 3 * LEAST_SILENCE
