"""Rows of several features with the same key become one row per (key, time); null where a side has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.rows import EVIDENCE, EVIDENCE_DTYPE, EVIDENCE_MOST, ID, TIME, WINDOW_END, WINDOW_START, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARED = (ID, EVIDENCE, WINDOW_START, WINDOW_END)


@dataclass(frozen=True, slots=True)
class Align:
    """Join rows of one time and key from all inputs; `output` holds the columns of all of them.

    Where a key has several rows of one time on a side (trailing features), each meets each of the others.
    """

    by: tuple[str, ...]
    output: Schema

    def join(self, sides: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Give the joined rows, sorted by (`__time`, `__id`)."""
        rows = sides[0]
        for side in sides[1:]:
            rows = self._two(rows, side)
        return self.output.conform(rows).sort(TIME, ID)

    def _two(self, left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        joined = left.join(right, on=[*self.by, TIME], how="full", coalesce=True, nulls_equal=True, suffix="__right")
        shared = [name for name in _SHARED if f"{name}__right" in joined.columns]
        merged = [_merged(name) for name in shared]
        return joined.with_columns(merged).drop(f"{name}__right" for name in shared)


def _merged(name: str) -> pl.Expr:
    right = pl.col(f"{name}__right")
    if name != EVIDENCE:
        return pl.coalesce(name, right)
    empty = pl.lit([], dtype=EVIDENCE_DTYPE)
    both = pl.concat_list(pl.col(name).fill_null(empty), right.fill_null(empty))
    return both.list.unique(maintain_order=True).list.tail(EVIDENCE_MOST).alias(name)
