"""The row that a trailing feature gives when a window has run empty, worked out before anything runs.

Its counts are 0, the event's columns are null, and so is whatever is made of nothing. A rule that does not fall at this
row keeps its alert open although nothing happens any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from operators.windows.calls import COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from operators.expressions.bound import Aggregated, Bound
    from tocsin.model.types import Type


@dataclass(frozen=True, slots=True)
class EmptyRow:
    """One row of the columns whose values are known; those of the key and of tables are not."""

    row: pl.DataFrame

    def knows(self, bound: Bound) -> bool:
        """Whether an expression has a known value."""
        return not bound.lookups and bound.columns <= set(self.row.columns)

    def value(self, bound: Bound) -> object:
        """Give the value of an expression that is known."""
        return self.row.select(bound.expr.alias("x")).item()

    def plus(self, name: str, bound: Bound) -> EmptyRow:
        """Add a column; if it is not known, forget what else has that name."""
        if self.knows(bound):
            return replace(self, row=self.row.with_columns(bound.expr.cast(bound.type.physical).alias(name)))
        return replace(self, row=self.row.drop(name, strict=False))


def empty_row(columns: Mapping[str, Type], by: Iterable[str], windows: Iterable[Mapping[str, Aggregated]]) -> EmptyRow:
    """Give the empty row of trailing windows over rows with these columns."""
    known = {name: type_ for name, type_ in columns.items() if name not in set(by)}
    values = [pl.Series(name, [None], dtype=type_.physical) for name, type_ in known.items()]
    values += [_of_nothing(column).alias(name) for window in windows for name, column in window.items()]
    return EmptyRow(pl.DataFrame(values or [pl.Series("__nothing", [None])]))


def _of_nothing(column: Aggregated) -> pl.Series:
    """Evaluate an aggregate of no rows."""
    calls = [pl.Series(c.text, [0 if c.function in COUNTS else None], dtype=c.type.physical) for c in column.calls]
    return pl.DataFrame(calls).select(column.expr.cast(column.type.physical)).to_series()
