"""Operators that take each row by itself: look-ups, conditions, derived columns. They keep no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.lookups import each_row, look_up
from tocsin.model.rows import EVIDENCE, ID, POSITION, Schema

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
class LookUps:
    """Add columns of tables that later operators read."""

    lookups: tuple[Lookup, ...]


@dataclass(frozen=True, slots=True)
class Each:
    """One row becomes one per row of a table."""

    prefix: str
    lookup: Lookup


RowStep = Column | Condition | LookUps | Each


@dataclass(frozen=True, slots=True)
class Rowwise:
    """A list of row-wise steps, in order; `keys` names the key fields of the tables that they look up.

    `exact`: give only the columns of `output`; otherwise columns that were looked up stay, for the next operator.
    """

    name: str
    steps: tuple[RowStep, ...]
    output: Schema
    keys: Mapping[str, tuple[str, ...]]
    exact: bool = True

    def initial(self) -> State:
        """Nothing is kept."""
        return {}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Take every step on all rows."""
        for step in self.steps:
            rows = self._apply(rows, step, instant)
        if EVIDENCE in self.output.system and EVIDENCE not in rows.columns:
            rows = rows.with_columns(own_evidence())
        return Step(self.output.conform(rows) if self.exact else rows, state, None)

    def _apply(self, rows: pl.DataFrame, step: RowStep, instant: Instant) -> pl.DataFrame:
        if isinstance(step, Each):
            table = step.lookup.table
            return each_row(rows, step.lookup, instant.tables[table], self.keys[table], step.prefix)
        if isinstance(step, LookUps):
            return look_up(rows, step.lookups, instant.tables, self.keys, instant.missed)
        rows = look_up(rows, step.bound.lookups, instant.tables, self.keys, instant.missed)
        if isinstance(step, Condition):
            return rows.filter(step.bound.expr)
        return rows.with_columns(step.bound.expr.cast(step.bound.type.physical).alias(step.name))


def own_evidence() -> pl.Expr:
    """Give the evidence of rows that are events themselves: the event."""
    item = pl.struct(pl.col(ID).alias("id"), pl.col(POSITION).alias("position"))
    return pl.concat_list(item).alias(EVIDENCE)
