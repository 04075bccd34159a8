"""Queries over few rows, on the thread that asks: handing them to Polars' threads, and waiting, takes longer.

Where the cores are busy, each hand-over waits for a turn, a millisecond or two; what it hands over takes some µs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

FEW = 4_000
"""Rows that are few."""


def select(rows: pl.DataFrame, columns: Iterable[pl.Expr]) -> pl.DataFrame:
    """Select columns."""
    return rows.select_seq(columns) if rows.height <= FEW else rows.select(columns)


def kept(rows: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """Keep the rows for which a mask is true."""
    if rows.height > FEW:
        return rows.filter(mask)
    return pl.DataFrame([column.filter(mask) for column in rows.get_columns()])
