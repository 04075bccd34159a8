"""Each aggregate call as parts to keep and a final expression over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.division import over
from operators.windows import moments
from operators.windows.scaling import from_real, steps
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from operators.expressions.bound import AggregateCall, Bound
    from operators.windows.parts import Parts

BAGS = frozenset({"count_distinct", "quantile", "top_k"})
"""Aggregates that need every distinct value of the window."""

COUNTS = frozenset({"count", "count_distinct"})
"""Aggregates that are 0, not null, in an empty window."""


def final(call: AggregateCall, parts: Parts) -> pl.Expr:
    """Add what the call needs to `parts`; give its result, of the call's physical type, over their columns."""
    return _FINALS[call.function](call, parts).cast(call.type.physical)


def argument(call: AggregateCall) -> Bound:
    """Give the argument of a call that must have one."""
    if call.argument is None:
        raise ValueError(f"{call.text} needs an argument")
    return call.argument


def _count(call: AggregateCall, parts: Parts) -> pl.Expr:
    rows = parts.rows(call.where) if call.argument is None else parts.count(call.argument, call.where)
    return pl.col(rows)


def _sum(call: AggregateCall, parts: Parts) -> pl.Expr:
    x = argument(call)
    count, counted = parts.count(x, call.where), parts.counted(x, call.where)
    total = moments.total(pl.col(count), pl.col(parts.sum(parts.scaled(x, call.where))), pl.col(counted))
    return over(total.cast(pl.Float64), steps(x.type)) if x.type.kind is Kind.FLOAT64 else total


def _avg(call: AggregateCall, parts: Parts) -> pl.Expr:
    x = argument(call)
    count, counted = parts.count(x, call.where), parts.counted(x, call.where)
    total = moments.total(pl.col(count), pl.col(parts.sum(parts.scaled(x, call.where))), pl.col(counted))
    return from_real(moments.mean(pl.col(count), total, steps(x.type)), call.type)


def _deviation(call: AggregateCall, parts: Parts) -> pl.Expr:
    x, where = argument(call), call.where
    count, counted = pl.col(parts.count(x, where)), pl.col(parts.counted(x, where))
    real = moments.deviation(
        count,
        pl.col(parts.sum(parts.scaled(x, where))),
        pl.col(parts.sum(parts.squared(x, where))),
        pl.col(parts.greatest(parts.absolute(x, where))),
        steps(x.type),
        less=1 if call.function == "stddev_samp" else 0,
    )
    return from_real(pl.when(count == counted).then(real), call.type)


def _slope(call: AggregateCall, parts: Parts) -> pl.Expr:
    x, where = argument(call), call.where
    count, counted = pl.col(parts.count(x, where)), pl.col(parts.counted(x, where))
    sums = {kind: pl.col(parts.sum(parts.times(x, where, kind))) for kind in ("t", "tt", "tx")}
    sums |= {"n": count, "x": pl.col(parts.sum(parts.scaled(x, where)))}
    sums["reach"] = pl.col(parts.greatest(parts.absolute(x, where)))
    return from_real(pl.when(count == counted).then(moments.slope(sums, steps(x.type), call.per_ms)), call.type)


def _place(place: str) -> Callable[[AggregateCall, Parts], pl.Expr]:
    return lambda call, parts: pl.col(parts.at_place(call, place))


_FINALS: Mapping[str, Callable[[AggregateCall, Parts], pl.Expr]] = {
    "count": _count,
    "sum": _sum,
    "avg": _avg,
    "stddev_pop": _deviation,
    "stddev_samp": _deviation,
    "slope": _slope,
    "min": lambda call, parts: pl.col(parts.least(parts.value(argument(call), call.where))),
    "max": lambda call, parts: pl.col(parts.greatest(parts.value(argument(call), call.where))),
    "first": _place("first"),
    "last": _place("last"),
    "previous": _place("previous"),
    "arg_min": lambda call, parts: pl.col(parts.at_extreme(call)),
    "arg_max": lambda call, parts: pl.col(parts.at_extreme(call)),
}
