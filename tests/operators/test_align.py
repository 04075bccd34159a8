"""Rows of several features with one key become one row per key and time."""

from __future__ import annotations

import polars as pl

from operators.align import Align
from tocsin.model.rows import EVIDENCE, FEATURE_SYSTEM, ID, TIME, Schema
from tocsin.model.types import INT64, STRING

OUTPUT = Schema({"key": STRING, "left": INT64, "right": INT64}, FEATURE_SYSTEM)
ALIGN = Align(("key",), OUTPUT)


def side(name: str, *rows: tuple[int, str, int]) -> pl.DataFrame:
    """Rows (time, key, value) with themselves as evidence."""
    schema = Schema({"key": STRING, name: INT64}, FEATURE_SYSTEM)
    data = [{TIME: t, ID: k, "key": k, name: v, EVIDENCE: [{"id": f"{name}{v}", "position": v}]} for t, k, v in rows]
    return pl.DataFrame(data, schema=schema.physical)


def joined(*sides: pl.DataFrame) -> list[tuple[object, ...]]:
    return list(ALIGN.join(sides).select(TIME, "key", "left", "right").iter_rows())


def test_rows_of_one_key_and_time_are_one_row() -> None:
    assert joined(side("left", (5, "a", 1)), side("right", (5, "a", 2))) == [(5, "a", 1, 2)]


def test_where_a_side_has_no_row_it_is_null() -> None:
    got = joined(side("left", (5, "a", 1)), side("right", (6, "a", 2), (5, "b", 3)))
    assert got == [(5, "a", 1, None), (5, "b", None, 3), (6, "a", None, 2)]


def test_the_evidence_of_both_sides_stays_latest_last() -> None:
    rows = ALIGN.join([side("left", (5, "a", 1)), side("right", (5, "a", 2))])
    assert [item["id"] for item in rows.get_column(EVIDENCE)[0]] == ["left1", "right2"]
