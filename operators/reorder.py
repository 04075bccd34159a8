"""The head of every keyed stage: rows in, in event-time order and once.

Rows wait until the watermark has passed their time. Then those of one key, id and time are one row (semantics 11), rows
of streams without an id are numbered, and all leave sorted by (`__time`, `__id`). Everything behind may rely on that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tocsin.model.rows import HASH, ID, TIME, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence


class Released(NamedTuple):
    """What a step lets through, what still waits, and how many duplicates were dropped."""

    rows: pl.DataFrame
    waiting: pl.DataFrame
    duplicates: int


@dataclass(frozen=True, slots=True)
class Reorder:
    """The buffer of one input.

    `key`: the stage's key columns. `schema`: the columns kept. `source`: rows come straight from a stream, so copies
    are possible; rows of another stage come once. `numbered`: the stream has no id; equal rows are told apart by number.
    """

    key: tuple[str, ...]
    schema: Schema
    source: bool
    numbered: bool = False

    def step(self, arrived: Sequence[pl.DataFrame], waiting: pl.DataFrame, watermark: int | None) -> Released:
        """Let through the rows with time <= watermark; None: all of them."""
        rows = pl.concat([waiting, *arrived], rechunk=False) if arrived else waiting
        if watermark is not None:
            due = pl.col(TIME) <= watermark
            rows, waiting = rows.filter(due), rows.filter(~due)
        else:
            waiting = rows.clear()
        if rows.is_empty():
            return Released(rows, waiting, 0)
        if self.numbered:
            return Released(_numbered(rows).sort(TIME, ID), waiting, 0)
        once = self._once(rows) if self.source else rows
        return Released(in_order(once), waiting, rows.height - once.height)

    def _once(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep one row per (key, id, time), the one with the least content hash."""
        if not _may_repeat(rows):
            return rows
        return rows.sort(HASH).unique([*self.key, ID, TIME], keep="first", maintain_order=True)


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort by (time, id); ids are compared only where times are equal, which is rare enough to check first."""
    rows = rows.sort(TIME)
    if not rows.select((pl.col(TIME).diff() == 0).any()).item():
        return rows
    return rows.sort(TIME, ID)


def _may_repeat(rows: pl.DataFrame) -> bool:
    """Say whether two rows may have the same id and time: a cheap test that never misses one."""
    mixed = pl.col(ID).hash() ^ pl.col(TIME).hash(1)
    return int(rows.select(mixed.n_unique()).item()) < rows.height


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Give rows without an id one: their content hash and, among equal rows of one time, their number."""
    number = pl.int_range(pl.len()).over(TIME, HASH)
    return rows.with_columns(pl.format("{}#{}", pl.col(HASH), number).alias(ID))
