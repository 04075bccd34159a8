"""Mergeable partials: what a pane keeps per key for an aggregate, and how partials of later rows join earlier ones.

Each part is one column. `partial` makes it from prepared rows (sorted by time and id), `merge` from partials in the
same order. Parts with the same name are the same, so `avg(x)` and `sum(x)` share theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from operators.windows.scaling import integer
from tocsin.model.rows import TIME
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from operators.expressions.bound import AggregateCall, Bound

ROWS = "#rows"


@dataclass(frozen=True, slots=True)
class Part:
    """One column of partials. `additive`: partials may also be subtracted again, as hopping windows do."""

    name: str
    partial: pl.Expr
    merge: pl.Expr
    additive: bool = False


@dataclass(slots=True)
class Parts:
    """Collects the prepared columns and parts that aggregate calls need, each once.

    `inputs`: prepared column -> expression over the rows. `parts`: by name.
    """

    inputs: dict[str, pl.Expr] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)

    def rows(self, where: Bound | None) -> str:
        """Count the rows that pass the filter."""
        if where is None:
            return self._add(Part(ROWS, pl.len().cast(pl.Int64), pl.col(ROWS).sum(), additive=True))
        name = f"#rows|{where.text}"
        mask = self.mask(where)
        return self._add(Part(name, pl.col(mask).sum().cast(pl.Int64), pl.col(name).sum(), additive=True))

    def count(self, argument: Bound, where: Bound | None) -> str:
        """Count the values that are there."""
        column = self.value(argument, where)
        name = f"#count|{column}"
        return self._add(Part(name, pl.col(column).count().cast(pl.Int64), pl.col(name).sum(), additive=True))

    def counted(self, argument: Bound, where: Bound | None) -> str:
        """Count the values that could be counted in integer steps; only floats can be too great."""
        if argument.type.kind is not Kind.FLOAT64:
            return self.count(argument, where)
        column = self.scaled(argument, where)
        name = f"#count|{column}"
        return self._add(Part(name, pl.col(column).count().cast(pl.Int64), pl.col(name).sum(), additive=True))

    def sum(self, column: str) -> str:
        """Sum a prepared Int128 column."""
        name = f"#sum|{column}"
        return self._add(Part(name, pl.col(column).sum(), pl.col(name).sum(), additive=True))

    def greatest(self, column: str) -> str:
        """Keep the greatest value of a prepared column."""
        name = f"#max|{column}"
        return self._add(Part(name, pl.col(column).max(), pl.col(name).max()))

    def least(self, column: str) -> str:
        """Keep the least value of a prepared column."""
        name = f"#min|{column}"
        return self._add(Part(name, pl.col(column).min(), pl.col(name).min()))

    def at_place(self, call: AggregateCall, place: str) -> str:
        """Keep the value of the first, last or previous row that passes the filter, null or not."""
        assert call.argument is not None  # noqa: S101  # the typing of calls gives these an argument
        column, rows = self.plain(call.argument), self.rows(call.where)
        value = pl.col(column) if call.where is None else pl.col(column).filter(pl.col(self.mask(call.where)))
        name = f"#{place}|{column}|{rows}"
        some = pl.col(rows) > 0
        if place == "first":
            return self._add(Part(name, value.first(), pl.col(name).filter(some).first()))
        if place == "last":
            return self._add(Part(name, value.last(), pl.col(name).filter(some).last()))
        last = self.at_place(call, "last")
        two = pl.col(rows).filter(some).last() > 1
        before = pl.col(last).filter(some).shift(1).last()
        merged = pl.when(two).then(pl.col(name).filter(some).last()).otherwise(before)
        return self._add(Part(name, value.shift(1).last(), merged))

    def at_extreme(self, call: AggregateCall) -> str:
        """Keep the value of the earliest row whose `order` is the least (or greatest)."""
        assert call.argument is not None  # noqa: S101  # as above
        assert call.order is not None  # noqa: S101  # as above
        least = call.function == "arg_min"
        order = self.value(call.order, call.where)
        bound = self.least(order) if least else self.greatest(order)
        column = self.plain(call.argument)
        name = f"#{call.function}|{column}|{order}"
        best = pl.col(order).min() if least else pl.col(order).max()
        merged = pl.col(bound).min() if least else pl.col(bound).max()
        return self._add(
            Part(
                name,
                pl.col(column).filter(pl.col(order) == best).first(),
                pl.col(name).filter(pl.col(bound) == merged).first(),
            )
        )

    def plain(self, argument: Bound) -> str:
        """Prepare the value of every row."""
        return self._prepare(argument.text, argument.expr)

    def mask(self, where: Bound) -> str:
        """Prepare whether a row passes the filter; null is false."""
        return self._prepare(f"where {where.text}", where.expr.fill_null(value=False))

    def value(self, argument: Bound, where: Bound | None) -> str:
        """Prepare the value where the filter holds, null elsewhere."""
        if where is None:
            return self.plain(argument)
        masked = pl.when(where.expr).then(argument.expr)
        return self._prepare(f"{argument.text} where {where.text}", masked)

    def scaled(self, argument: Bound, where: Bound | None) -> str:
        """Prepare the value in integer steps."""
        return self._integers("steps", argument, where, integer(argument.expr, argument.type))

    def squared(self, argument: Bound, where: Bound | None) -> str:
        """Prepare the square of the value in integer steps."""
        return self._integers("squares", argument, where, integer(argument.expr, argument.type).pow(2))

    def absolute(self, argument: Bound, where: Bound | None) -> str:
        """Prepare the absolute value in integer steps."""
        return self._integers("absolute", argument, where, integer(argument.expr, argument.type).abs())

    def times(self, argument: Bound, where: Bound | None, kind: str) -> str:
        """Prepare t, t² or t·x of the rows that have a value (`kind`: t, tt, tx); t is ms since the epoch.

        Absolute times fit: t² < 2^86 leaves room for 2^40 rows, so no origin is needed that could depend on a batch.
        """
        x = integer(argument.expr, argument.type)
        t = pl.when(x.is_not_null()).then(pl.col(TIME).cast(pl.Int128))
        return self._integers(kind, argument, where, {"t": t, "tt": t * t, "tx": t * x}[kind])

    def _integers(self, kind: str, argument: Bound, where: Bound | None, value: pl.Expr) -> str:
        passed = value if where is None else pl.when(where.expr).then(value)
        suffix = "" if where is None else f" where {where.text}"
        return self._prepare(f"{kind}({argument.type.resolution}) of {argument.text}{suffix}", passed)

    def _prepare(self, name: str, value: pl.Expr) -> str:
        name = f"={name}"
        self.inputs.setdefault(name, value)
        return name

    def _add(self, part: Part) -> str:
        self.parts.setdefault(part.name, part)
        return part.name
