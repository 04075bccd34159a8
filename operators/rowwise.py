"""Operators that take each row by itself: look-ups, conditions, derived columns. They keep no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.lookups import each_row, look_up
from tocsin.model.rows import Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.contract import Instant, State
    from operators.expressions.bound import Bound, Lookup


@dataclass(frozen=True, slots=True)
class Column:
    """Add a column."""

    name: str
    bound: Bound


@dataclass(frozen=True, slots=True)
class Condition:
    """Keep the rows for which this is true."""

    bound: Bound


@dataclass(frozen=True, slots=True)
class Each:
    """One row becomes one per row of a table."""

    prefix: str
    lookup: Lookup


@dataclass(frozen=True, slots=True)
class Rowwise:
    """A list of row-wise steps, in order; `keys` names the key fields of the tables that they look up."""

    name: str
    steps: tuple[Column | Condition | Each, ...]
    output: Schema
    keys: Mapping[str, tuple[str, ...]]

    def initial(self) -> State:
        """Nothing is kept."""
        return {}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Take every step on all rows."""
        for step in self.steps:
            rows = self._apply(rows, step, instant)
        return Step(self.output.conform(rows), state, None)

    def _apply(self, rows: pl.DataFrame, step: Column | Condition | Each, instant: Instant) -> pl.DataFrame:
        if isinstance(step, Each):
            table = step.lookup.table
            return each_row(rows, step.lookup, instant.tables[table], self.keys[table], step.prefix)
        rows = look_up(rows, step.bound.lookups, instant.tables, self.keys)
        if isinstance(step, Condition):
            return rows.filter(step.bound.expr)
        return rows.with_columns(step.bound.expr.cast(step.bound.type.physical).alias(step.name))
