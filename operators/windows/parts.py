"""Mergeable partials: what a pane keeps per key for an aggregate, and how partials of later rows join earlier ones.

Each part is one column. `partial` makes it from prepared rows (sorted by time and id), `merge` from partials in the
same order. Parts with the same name are the same, so `avg(x)` and `sum(x)` share theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import polars as pl

from operators.windows.scaling import integer
from tocsin.model.rows import TIME
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from operators.expressions.bound import AggregateCall, Bound
    from operators.grouping import Groups

ROWS = "#rows"


Of = Literal["rows", "true", "there", "values"]


@dataclass(frozen=True, slots=True)
class Sum:
    """A column of partials that are added up, and subtracted again where windows slide.

    `of`: what is added: one for every row, for every true or every present value of a prepared column, or its values
    themselves.
    """

    name: str
    of: Of
    column: str = ""

    def partial(self, prepared: pl.DataFrame, groups: Groups) -> pl.Series:
        """Give the sum of each group, Int64, or Int128 where it could be too great."""
        return _SUMS[self.of](prepared, self.column, groups).alias(self.name)

    def merge(self, partials: pl.DataFrame, groups: Groups) -> pl.Series:
        """Add up partials, narrow or wide; Int64, or Int128 where a sum could be too great."""
        return groups.sums(partials.get_column(self.name))

    @property
    def wide(self) -> pl.DataType:
        """The type in which sums are reckoned with; in state they are as narrow as they can be."""
        return pl.Int128() if self.of == "values" else pl.Int64()


_SUMS: Mapping[Of, Callable[[pl.DataFrame, str, Groups], pl.Series]] = {
    "rows": lambda _, __, groups: pl.Series(groups.sizes, dtype=pl.Int64),
    "true": lambda prepared, column, groups: groups.sums(prepared.get_column(column)),
    "there": lambda prepared, column, groups: groups.there(prepared.get_column(column)),
    "values": lambda prepared, column, groups: groups.sums(prepared.get_column(column)),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A column of partials that cannot be subtracted: least, greatest, first, last."""

    name: str
    partial: pl.Expr
    merge: pl.Expr


@dataclass(slots=True)
class Parts:
    """Collects the prepared columns and parts that aggregate calls need, each once.

    `inputs`: prepared column -> expression over the rows. `parts`: by name.
    """

    inputs: dict[str, pl.Expr] = field(default_factory=dict)
    parts: dict[str, Part | Sum] = field(default_factory=dict)

    def rows(self, where: Bound | None) -> str:
        """Count the rows that pass the filter."""
        if where is None:
            return self._add(Sum(ROWS, "rows"))
        return self._add(Sum(f"#rows|{where.text}", "true", self.mask(where)))

    def count(self, argument: Bound, where: Bound | None) -> str:
        """Count the values that are there."""
        column = self.value(argument, where)
        return self._add(Sum(f"#count|{column}", "there", column))

    def counted(self, argument: Bound, where: Bound | None) -> str:
        """Count the values that could be counted in integer steps; only floats can be too great."""
        if argument.type.kind is not Kind.FLOAT64:
            return self.count(argument, where)
        column = self.scaled(argument, where)
        return self._add(Sum(f"#count|{column}", "there", column))

    def sum(self, column: str) -> str:
        """Sum a prepared column of integers."""
        return self._add(Sum(f"#sum|{column}", "values", column))

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
        """Prepare the value in integer steps; where it is an integer already, that is itself."""
        if argument.type.kind is not Kind.FLOAT64:
            return self.value(argument, where)
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

    def _add(self, part: Part | Sum) -> str:
        self.parts.setdefault(part.name, part)
        return part.name
