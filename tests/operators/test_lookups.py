"""Tables as of event time."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from operators.expressions import Lookup
from operators.lookups import ALWAYS, GONE, each_row, look_up, merge_versions
from tocsin.model.rows import TIME

KEYS = {"limits": ("kind", "slot"), "places": ("place",)}
VERSIONS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.one_of(st.none(), st.integers(0, 5))), max_size=12
)


def places(*versions: tuple[str, int, int | None]) -> pl.DataFrame:
    """Versions (place, valid from, value); a value of None deletes the key."""
    rows = [{"place": p, "value": v, TIME: t, GONE: v is None} for p, t, v in versions]
    schema = {"place": pl.String, "value": pl.Int64, TIME: pl.Int64, GONE: pl.Boolean}
    return pl.DataFrame(rows, schema=schema).unique(["place", TIME], keep="last", maintain_order=True).sort(TIME)


def asked(table: pl.DataFrame, rows: list[tuple[int, str | None]]) -> list[tuple[int | None, bool]]:
    frame = pl.DataFrame(rows, schema={TIME: pl.Int64, "at": pl.String}, orient="row")
    lookup = Lookup("places", (pl.col("at"),), {"value": "at.value"}, "at in places")
    found = look_up(frame, [lookup], {"places": table}, KEYS)
    return list(found.select("at.value", "at in places").iter_rows())


class TestAsOf:
    def test_a_row_sees_the_version_that_is_valid_at_its_time(self) -> None:
        table = places(("a", 3, 1), ("a", 6, 2))
        assert asked(table, [(2, "a"), (3, "a"), (5, "a"), (6, "a")]) == [
            (None, False),
            (1, True),
            (1, True),
            (2, True),
        ]

    def test_a_tombstone_deletes(self) -> None:
        assert asked(places(("a", 1, 7), ("a", 4, None)), [(3, "a"), (4, "a")]) == [(7, True), (None, False)]

    def test_what_a_tombstone_still_says_of_the_row_is_not_seen(self) -> None:
        table = places(("a", 1, 7), ("a", 4, 9)).with_columns((pl.col(TIME) == 4).alias(GONE))
        assert asked(table, [(3, "a"), (4, "a")]) == [(7, True), (None, False)]

    def test_a_null_key_finds_nothing(self) -> None:
        assert asked(places(("a", ALWAYS, 7)), [(0, None), (0, "a")]) == [(None, False), (7, True)]

    def test_a_table_without_rows_finds_nothing(self) -> None:
        assert asked(places(), [(0, "a")]) == [(None, False)]

    def test_rows_that_come_by_key_instead_of_time_see_the_version_of_their_own_time(self) -> None:
        table = places(("a", 3, 1), ("a", 6, 2))
        assert asked(table, [(7, "a"), (4, "a"), (2, "a")]) == [(2, True), (1, True), (None, False)]

    @given(VERSIONS, st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), min_size=1, max_size=8))
    def test_it_is_what_a_search_through_all_versions_finds(
        self, versions: list[tuple[str, int, int | None]], rows: list[tuple[int, str]]
    ) -> None:
        table = places(*versions)
        known = list(table.select("place", TIME, "value").iter_rows())
        expected = []
        for time, place in rows:
            valid = [(t, v) for p, t, v in known if p == place and t <= time]
            value = max(valid)[1] if valid else None
            expected.append((value, value is not None))
        assert asked(table, list(rows)) == expected


class TestEach:
    def test_a_row_becomes_one_per_row_whose_first_key_part_matches(self) -> None:
        limits = pl.DataFrame(
            {"kind": ["x", "x", "y"], "slot": ["b", "a", "a"], "most": [1, 2, 3], TIME: [ALWAYS] * 3, GONE: [False] * 3}
        )
        rows = pl.DataFrame({TIME: [5, 6], "wanted": ["x", "z"]})
        found = each_row(rows, Lookup("limits", (pl.col("wanted"),)), limits, KEYS["limits"], "limit")
        assert list(found.select(TIME, "limit.slot", "limit.most").iter_rows()) == [(5, "a", 2), (5, "b", 1)]

    def test_only_versions_valid_at_the_row_count(self) -> None:
        limits = pl.DataFrame(
            {"kind": ["x", "x"], "slot": ["a", "a"], "most": [1, 2], TIME: [0, 5], GONE: [False, False]}
        )
        rows = pl.DataFrame({TIME: [4, 5], "wanted": ["x", "x"]})
        found = each_row(rows, Lookup("limits", (pl.col("wanted"),)), limits, KEYS["limits"], "limit")
        assert list(found.select(TIME, "limit.most").iter_rows()) == [(4, 1), (5, 2)]


class TestChanges:
    def test_a_change_that_comes_after_its_time_counts_from_the_next_moment(self) -> None:
        merged = merge_versions(places(("a", 1, 1)), places(("a", 3, 2)), ("place",), passed=7)
        assert list(merged.select(TIME, "value").iter_rows()) == [(1, 1), (8, 2)]

    def test_versions_that_no_later_row_can_see_are_forgotten(self) -> None:
        merged = merge_versions(
            places(("a", 1, 1), ("a", 3, 2), ("b", 1, 9)), places(("a", 20, 3)), ("place",), passed=9
        )
        assert sorted(merged.select("place", TIME).iter_rows()) == [("a", 3), ("a", 20), ("b", 1)]

    def test_of_two_changes_of_one_key_and_time_the_later_one_stays(self) -> None:
        changes = pl.concat([places(("a", 5, 1)), places(("a", 5, 2))])
        assert merge_versions(places(), changes, ("place",), passed=0).get_column("value").to_list() == [2]
