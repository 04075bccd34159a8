"""What the calls of a trailing window need of each range of rows: the same finals as pane windows, other partials."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import polars as pl

from operators.windows import calls as call_parts
from operators.windows.parts import Parts
from operators.windows.scaling import whole_steps
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from operators.expressions.bound import AggregateCall, Aggregated, Bound

Place = Literal["first", "last", "previous"]
What = Literal["rows", "count", "sum", "min", "max", "first", "last", "previous", "arg_min", "arg_max"]


@dataclass(frozen=True, slots=True)
class RangePart:
    """One number or value per range: of a prepared `column`, among the rows where `chosen` holds ("": all).

    For arg_min and arg_max `chosen` is the column that orders.
    """

    what: What
    column: str = ""
    chosen: str = ""


@dataclass(slots=True)
class RangeParts(Parts):
    """Collects what calls need of ranges; the finals of pane windows read it by name.

    `whole`: inputs that are integer steps of floats, as whole floats: most are small enough to need no 128 bits.
    """

    ranged: dict[str, RangePart] = field(default_factory=dict)
    whole: dict[str, pl.Expr] = field(default_factory=dict)

    def rows(self, where: Bound | None) -> str:
        """Count the rows that pass the filter."""
        return self._range("rows", "", self.mask(where) if where else "")

    def count(self, argument: Bound, where: Bound | None) -> str:
        """Count the values that are there."""
        return self._range("count", self.value(argument, where))

    def counted(self, argument: Bound, where: Bound | None) -> str:
        """Count the values that could be counted in integer steps."""
        return self._range("count", self.scaled(argument, where))

    def scaled(self, argument: Bound, where: Bound | None) -> str:
        """Prepare the value in integer steps, those of a float as whole floats too."""
        name = Parts.scaled(self, argument, where)
        if argument.type.kind is Kind.FLOAT64:
            whole = whole_steps(argument.expr, argument.type)
            self.whole[name] = whole if where is None else pl.when(where.expr).then(whole)
        return name

    def sum(self, column: str) -> str:
        """Sum a prepared column."""
        return self._range("sum", column)

    def greatest(self, column: str) -> str:
        """Find the greatest value of a prepared column."""
        return self._range("max", column)

    def least(self, column: str) -> str:
        """Find the least value of a prepared column."""
        return self._range("min", column)

    def at_place(self, call: AggregateCall, place: str) -> str:
        """Find the value of the first, last or previous row that passes the filter, null or not."""
        what: Place = "first" if place == "first" else "last" if place == "last" else "previous"
        return self._range(what, self.plain(call_parts.argument(call)), self.mask(call.where) if call.where else "")

    def at_extreme(self, call: AggregateCall) -> str:
        """Find the value of the earliest row whose `order` is the least or greatest."""
        if call.order is None:
            raise ValueError(f"{call.text} needs an argument to order by")
        order = self.value(call.order, call.where)
        what: What = "arg_min" if call.function == "arg_min" else "arg_max"
        return self._range(what, self.plain(call_parts.argument(call)), order)

    def _range(self, what: What, column: str, chosen: str = "") -> str:
        name = f"#{what}|{column}|{chosen}"
        self.ranged.setdefault(name, RangePart(what, column, chosen))
        return name


@dataclass(frozen=True, slots=True)
class Compiled:
    """The calls of some columns.

    `stored`: what is kept of each row, by the name it is kept under. `inputs`: prepared from that; `whole`: some of
    them as whole floats. `ranged`: per range. `finals`: results of calls over those. `bags`: calls that need all
    values, and the prepared column of each.
    """

    stored: Mapping[str, Bound]
    inputs: Mapping[str, pl.Expr]
    whole: Mapping[str, pl.Expr]
    ranged: Mapping[str, RangePart]
    finals: Mapping[str, pl.Expr]
    bags: tuple[tuple[AggregateCall, str], ...]


def compiled(columns: Iterable[Aggregated]) -> Compiled:
    """Compile the calls of all windows of a feature; calls with the same text are one."""
    stored: dict[str, Bound] = {}
    calls = {call.text: _on_stored(call, stored) for column in columns for call in column.calls}
    parts = RangeParts()
    finals: dict[str, pl.Expr] = {}
    bags: list[tuple[AggregateCall, str]] = []
    for text, call in calls.items():
        if call.function in call_parts.BAGS:
            bags.append((call, parts.value(call_parts.argument(call), call.where)))
        else:
            finals[text] = call_parts.final(call, parts)
    return Compiled(stored, parts.inputs, parts.whole, parts.ranged, finals, tuple(bags))


def _on_stored(call: AggregateCall, stored: dict[str, Bound]) -> AggregateCall:
    """Give the call over columns that are kept, so that its expressions are evaluated once, when the row comes."""

    def kept(bound: Bound | None) -> Bound | None:
        if bound is None:
            return None
        name = f"={bound.text}"
        stored.setdefault(name, bound)
        return replace(bound, expr=pl.col(name))

    return replace(call, argument=kept(call.argument), order=kept(call.order), where=kept(call.where))
