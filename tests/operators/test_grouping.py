"""Groups by sorted hashes against dictionaries."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.grouping import grouped

KEYS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "é", "", "a long key that is not inline"]), st.integers(-2, 2)),
    max_size=60,
)


def frame(rows: list[tuple[str, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"key": pl.String, "pane": pl.Int64}, orient="row")


def by_dictionary(rows: list[tuple[str, int]]) -> dict[tuple[str, int], list[int]]:
    places: dict[tuple[str, int], list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row, []).append(place)
    return places


class TestGroups:
    """Rows of one key together, whatever their hashes."""

    @settings(max_examples=60)
    @given(rows=KEYS, bits=st.sampled_from([7, 8, 10, 63]))
    def test_hold_the_rows_of_one_key_in_their_order_also_where_keys_share_a_hash(
        self, rows: list[tuple[str, int]], bits: int
    ) -> None:
        groups = grouped(frame(rows), bits=bits)
        found = {
            rows[groups.order[start]]: groups.order[start:end].tolist()
            for start, end in zip(groups.starts.tolist(), groups.ends.tolist(), strict=True)
        }
        assert found == by_dictionary(rows)
        assert len(found) == groups.starts.size

    @settings(max_examples=60)
    @given(rows=KEYS, bits=st.sampled_from([7, 8, 63]))
    def test_take_panes_that_never_fall_as_they_come(self, rows: list[tuple[str, int]], bits: int) -> None:
        rising = sorted(rows, key=lambda row: row[1])
        groups = grouped(frame(rising), 1, bits=bits)
        found = {
            rising[groups.order[start]]: groups.order[start:end].tolist()
            for start, end in zip(groups.starts.tolist(), groups.ends.tolist(), strict=True)
        }
        assert found == by_dictionary(rising)
        assert len(found) == groups.starts.size

    def test_keep_keys_of_one_hash_apart_with_one_bit_of_it(self) -> None:
        rows = [(f"k{number % 7}", 0) for number in range(50)]
        groups = grouped(frame(rows), bits=7)
        assert sorted(groups.sizes.tolist()) == [7, 7, 7, 7, 7, 7, 8]

    def test_number_each_row_by_its_group(self) -> None:
        rows = [("a", 0), ("b", 0), ("a", 0)]
        numbers = grouped(frame(rows)).numbers.tolist()
        assert numbers[0] == numbers[2] != numbers[1]


class TestSums:
    """Integers are added up exactly."""

    @settings(max_examples=60)
    @given(
        rows=st.lists(
            st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))), min_size=1
        )
    )
    @pytest.mark.parametrize("dtype", [pl.Int64, pl.Int128])
    def test_are_those_of_a_loop_beyond_64_bits_too(
        self, rows: list[tuple[str, int | None]], dtype: pl.DataType
    ) -> None:
        columns = pl.DataFrame(rows, schema={"key": pl.String, "value": dtype}, orient="row")
        groups = grouped(columns.select("key"))
        keys = groups.firsts(columns.select("key"))["key"].to_list()
        totals: dict[str, int] = {}
        for key, value in rows:
            totals[key] = totals.get(key, 0) + (value or 0)
        assert dict(zip(keys, groups.sums(columns["value"]).to_list(), strict=True)) == totals

    def test_count_what_is_true_and_what_is_there(self) -> None:
        columns = pl.DataFrame({"key": ["a", "a", "a", "b"], "flag": [True, None, False, True]})
        groups = grouped(columns.select("key"))
        keys = groups.firsts(columns.select("key"))["key"].to_list()
        assert dict(zip(keys, groups.sums(columns["flag"]).to_list(), strict=True)) == {"a": 1, "b": 1}
        assert dict(zip(keys, groups.there(columns["flag"]).to_list(), strict=True)) == {"a": 2, "b": 1}
