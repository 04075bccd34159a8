"""The parts that trailing windows are made of, each against the plain way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailing_oracle import SCHEMA, call, column

from operators.contract import Instant
from operators.trailing import keyring, trailing_operator
from operators.trailing.memory import gathered
from operators.trailing.ranges import Edges, Line, Ranges
from operators.trailing.sliding import count_distinct
from tocsin.model.rows import ID, POSITION, TIME
from tocsin.model.windows import Trailing

if TYPE_CHECKING:
    from collections.abc import Callable

    from operators.trailing.keyring import Ints

    Hash = Callable[[pl.DataFrame], Ints]

real_hashes = keyring.hashes
HASHES: list[Hash] = [
    real_hashes,
    lambda keys: real_hashes(keys) & 3,
    lambda keys: np.zeros(keys.height, dtype=np.int64),
]


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


class TestGroupingByKey:
    """Grouping by key."""

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(["a", "b", "", "é"]), st.integers(0, 3)), max_size=30),
        st.sampled_from(HASHES),
    )
    def test_gives_each_key_once_and_its_rows_in_their_order_whatever_the_hash(
        self, rows: list[tuple[str, int]], hashes: Hash
    ) -> None:
        frame = pl.DataFrame(rows, schema={"name": pl.String, "n": pl.Int64}, orient="row")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keyring, "hashes", hashes)
            found = keyring.grouped(frame, ["name", "n"])
        groups = dict(
            zip(found.keys.rows(), np.split(found.order, np.cumsum(found.counts)[:-1]), strict=True) if rows else ()
        )
        assert {key: places.tolist() for key, places in groups.items()} == {
            key: [place for place, row in enumerate(rows) if row == key] for key in rows
        }
        assert [found.keys.row(slot) for slot in found.slots.tolist()] == rows

    def test_by_the_rank_of_keys_puts_the_rows_of_the_least_rank_first(self) -> None:
        grouped = keyring.Grouped(pl.DataFrame({"k": ["x", "y"]}), ints(0, 2, 1), ints(2, 1))
        order, ranks = grouped.ranked(ints(9, 4))
        assert (order.tolist(), ranks.tolist()) == ([1, 0, 2], [4, 9, 9])


class TestEdges:
    """Edges."""

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=40).map(sorted),
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=20).map(sorted),
        st.lists(st.integers(0, 40), min_size=1, max_size=4),
    )
    def test_count_the_rows_up_to_each_age_whatever_was_searched_before(
        self, rows: list[tuple[int, int]], probes: list[tuple[int, int]], ages: list[int]
    ) -> None:
        line = Line.over(3, 0, 30)
        assert line is not None
        keys, times = (np.array(column, dtype=np.int64) for column in (zip(*rows, strict=True) if rows else ([], [])))
        of, at = (np.array(column, dtype=np.int64) for column in (zip(*probes, strict=True) if probes else ([], [])))
        edges = Edges(line, line.places(keys, times), of, at)
        for age in ages:
            wanted = [sum(k < key or (k == key and t <= time - age) for k, t in rows) for key, time in probes]
            assert edges.before(age).tolist() == wanted


class TestCountDistinct:
    """Count of distinct values."""

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.sampled_from("abc"), min_size=1, max_size=20), st.data())
    def test_is_that_of_each_range(self, values: list[str], data: st.DataObject) -> None:
        size = len(values)
        lows = sorted(data.draw(st.lists(st.integers(0, size), max_size=8)))
        highs = [data.draw(st.integers(low, size)) for low in lows]
        highs = np.maximum.accumulate(np.array(highs, dtype=np.int64)).tolist()
        found = count_distinct(
            pl.Series(values), Ranges(np.array(lows, dtype=np.int64), np.array(highs, dtype=np.int64))
        )
        assert found.tolist() == [len(set(values[low:high])) for low, high in zip(lows, highs, strict=True)]


class TestValuesOfSeveralPieces:
    """Values of several pieces."""

    @pytest.mark.parametrize("places", [[4], [0, 4, 4], [5, 4, 3, 2, 1, 0], []])
    def test_are_those_at_their_places_whether_few_or_all_are_needed(self, places: list[int]) -> None:
        parts = [pl.Series("v", ["a", "b"]), pl.Series("v", ["c", None, "e", "f"])]
        assert gathered(parts, np.array(places, dtype=np.int64)).to_list() == [
            ["a", "b", "c", None, "e", "f"][place] for place in places
        ]


class TestFloatsInSteps:
    """Floats in integer steps."""

    @pytest.mark.parametrize("great", [1.0, 2.0**50, 2.0**70])
    def test_are_summed_exactly_however_great_they_are(self, great: float) -> None:
        rows = pl.DataFrame(
            {
                TIME: [0, 1, 2],
                "card": ["A"] * 3,
                ID: ["0", "1", "2"],
                POSITION: [0, 1, 2],
                "level": [great, 0.5, -great],
            },
        ).select(
            (pl.col(name) if name in {TIME, ID, POSITION, "card", "level"} else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in SCHEMA.physical.items()
        )
        operator = trailing_operator("f", ["card"], [(Trailing(10), {"sum": column(call("sum", "level"))})], SCHEMA)
        given = operator.step(rows, operator.initial(), Instant(2)).rows
        assert given.get_column("sum").to_list() == [great, great + 0.5, 0.5]
