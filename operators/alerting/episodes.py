"""The state of the alert machine as a frame: one row per fingerprint with a held or pending level.

A row holds the columns of the last row that spoke (by which later ticks are explained; the entity is among them), the
latches, each in a column `__<name>`, per level `__pending_<level>` and `__support_<level>`, and `__due`: the next tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.alerting.latches import Latches
from operators.alerting.steps import memory_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.alerting.rule import MachineSpec

DUE = "__due"
_ONCE: Mapping[str, pl.DataType] = {
    "held": pl.Int64(),
    "waiting": pl.Int64(),
    "started": pl.Int64(),
    "sequence": pl.Int64(),
    "changed": pl.Int64(),
    "told": pl.UInt64(),
    "seen": pl.Int64(),
}
_PER_LEVEL = ("pending", "support")


def per_level(name: str, spec: MachineSpec) -> list[str]:
    """Give the columns of `pending` or `support`, by level."""
    return [f"__{name}_{one.level.name.lower()}" for one in spec.levels]


def latch_columns(spec: MachineSpec) -> dict[str, pl.DataType]:
    """Give the columns of the latches with their Polars types; the last is DUE."""
    once = {f"__{name}": dtype for name, dtype in _ONCE.items()}
    names = [column for name in _PER_LEVEL for column in per_level(name, spec)]
    return once | dict.fromkeys(names, pl.Int64()) | {DUE: pl.Int64()}


def empty_episodes(spec: MachineSpec) -> pl.DataFrame:
    """Give the frame before any row."""
    return pl.DataFrame(schema=memory_columns(spec) | latch_columns(spec))


def load(known: pl.DataFrame, numbers: Sequence[int], spec: MachineSpec) -> list[Latches]:
    """Give the latches of the numbers, which ascend: rows of the frame, and new ones for numbers behind it."""
    levels, old = len(spec.levels), [number for number in numbers if number < known.height]
    loaded = [Latches(levels) for _ in numbers]
    if not old:
        return loaded
    pending, support = len(_ONCE), len(_ONCE) + levels
    rows = known[list(latch_columns(spec))][old].iter_rows()
    for latches, number, row in zip(loaded, old, rows, strict=False):
        latches.last = -1 - number
        for name, value in zip(_ONCE, row, strict=False):
            setattr(latches, name, value)
        latches.pending, latches.support = list(row[pending:support]), list(row[support:-1])
    return loaded


def save(latches: Sequence[Latches], dues: Sequence[int], source: Source, spec: MachineSpec) -> pl.DataFrame:
    """Give the latches as rows of the frame, with the rows that they point to."""
    values = [list(map(attrgetter(name), latches)) for name in _ONCE]
    for name in _PER_LEVEL:
        values += map(list, zip(*map(attrgetter(name), latches), strict=True))
    columns = zip(latch_columns(spec).items(), [*values, dues], strict=True)
    series = [pl.Series(name, column, dtype) for (name, dtype), column in columns]
    return source.take([one.last for one in latches]).hstack(series)


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows that explain something are: the rows of the call's steps from 0, known ones as -1 - number."""

    rows: pl.DataFrame
    known: pl.DataFrame
    columns: list[str]

    def take(self, numbers: Sequence[int]) -> pl.DataFrame:
        """Give the rows in the order asked for, repeated ones too."""
        asked = np.array(numbers, dtype=np.int64)
        old = asked < 0
        if not old.any():
            return self.rows[self.columns][asked]
        if old.all():
            return self.known[self.columns][-1 - asked]
        both = pl.concat([self.known[self.columns][-1 - asked[old]], self.rows[self.columns][asked[~old]]])
        # the known ones came first: put all back where they were asked for
        return both[np.argsort(np.argsort(~old, kind="stable"))]
