"""Aggregate calls of a window's column, and the expression over their results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
from sqlglot import exp

from operators.expressions.aggregate_names import AGGREGATES, PERCENTILE, is_aggregate
from operators.expressions.arithmetic import narrowed
from operators.expressions.binder import Binder
from operators.expressions.bound import AggregateCall, AggregateFunction, Bound
from operators.expressions.canonical import canonical
from operators.expressions.finish import bound
from operators.expressions.parse import call_name, offset_of
from operators.expressions.term import Term, fail
from tocsin.model.types import DURATION, FLOAT64, INT64, Kind, Type
from tocsin.model.units import DURATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from operators.expressions.scope import Scope

    _Builder = Callable[["AggregateBinder", str, Bound, list[exp.Expression], int], AggregateCall]

_ORDERED = frozenset({Kind.INT64, Kind.FLOAT64, Kind.DECIMAL, Kind.TIMESTAMP, Kind.DURATION, Kind.STRING})
_SUMMED = frozenset({Kind.INT64, Kind.FLOAT64, Kind.DECIMAL, Kind.DURATION})
_LIST = Type(Kind.LIST)
_TOP_MOST = 1000
_DIGITS = 2


class AggregateBinder(Binder):
    """Binds an expression over aggregates; a column may stand only inside one."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.calls: dict[str, AggregateCall] = {}

    def column(self, parts: tuple[str, ...], node: exp.Expression) -> Term:
        """Give a parameter; a column outside of an aggregate has many values."""
        term = super().column(parts, node)
        if term.number is None and self.names.columns:
            name = ".".join(parts)
            fail("not-aggregated", f"{name} has a value in every row of the window",
                 f"an aggregate such as last({name})", at=term.offset)  # fmt: skip
        return term

    def call(self, name: str, node: exp.Expression) -> Term:
        """Give an aggregate's result, or a function of results."""
        return self._aggregate(name, node, node, None) if is_aggregate(name) else super().call(name, node)

    def _filter(self, node: exp.Expression) -> Term:
        name = call_name(node.this)
        if not is_aggregate(name):
            return super()._filter(node)
        return self._aggregate(name, node.this, node, self._inner(node.expression.this, condition=True))

    def _inner(self, node: exp.Expression, *, condition: bool = False) -> Bound:
        for call in node.find_all(exp.Anonymous):
            if is_aggregate(call_name(call)):
                fail("nested-aggregate", "an aggregate inside an aggregate", "a feature of its own for the inner one",
                     at=offset_of(call))  # fmt: skip
        binder = Binder(self.scope)
        term = binder.condition(node) if condition else binder.term(node)
        if term.null:
            fail("types", "an aggregate of null", "a column", at=term.offset)
        return bound(term, binder.names, canonical(node, self.scope))

    def _aggregate(self, name: str, node: exp.Expression, whole: exp.Expression, where: Bound | None) -> Term:
        at = offset_of(node)
        arguments = [argument for argument in node.expressions if not isinstance(argument, exp.Star)]
        call = self._call(name.lower(), arguments, at)
        call = replace(call, text=canonical(whole, self.scope), where=where)
        self.calls[call.text] = call
        return _shown(call, at)

    def _call(self, name: str, arguments: list[exp.Expression], at: int) -> AggregateCall:
        if name == "count":
            return self._count(arguments, at)
        wanted = 2 if name in {"arg_min", "arg_max", "top_k", "slope"} else 1
        if len(arguments) != wanted or any(isinstance(argument, exp.Distinct) for argument in arguments):
            signature = AGGREGATES["pNN" if PERCENTILE.fullmatch(name) else name].signature
            fail("arguments", f"{name} with {len(arguments)} arguments", signature, at=at)
        argument = self._inner(arguments[0])
        if PERCENTILE.fullmatch(name):
            _check(name, argument, _SUMMED, at)
            digits = name[1:]
            quantile = int(digits) / (100 if len(digits) <= _DIGITS else 10 ** len(digits))
            return AggregateCall("quantile", _mean(argument.type), "", argument, quantile=quantile)
        return self._BUILDERS[name](self, name, argument, arguments, at)

    def _count(self, arguments: list[exp.Expression], at: int) -> AggregateCall:
        if not arguments:
            return AggregateCall("count", INT64, "")
        distinct = isinstance(arguments[0], exp.Distinct)
        inner = arguments[0].expressions if distinct else arguments
        if len(inner) != 1:
            fail("arguments", f"count of {len(inner)} columns", AGGREGATES["count"].signature, at=at)
        return AggregateCall("count_distinct" if distinct else "count", INT64, "", self._inner(inner[0]))

    def _summed(self, name: str, argument: Bound, _: list[exp.Expression], at: int) -> AggregateCall:
        _check(name, argument, _SUMMED, at)
        type_ = argument.type
        if type_.kind is Kind.DURATION:
            type_ = INT64
        return AggregateCall("sum", replace(type_, wide=type_.kind is not Kind.FLOAT64), "", argument)

    def _averaged(self, name: str, argument: Bound, _: list[exp.Expression], at: int) -> AggregateCall:
        _check(name, argument, _SUMMED, at)
        return AggregateCall(_FUNCTIONS[name], _mean(argument.type), "", argument)

    def _extreme(self, name: str, argument: Bound, _: list[exp.Expression], at: int) -> AggregateCall:
        _check(name, argument, _ORDERED, at)
        return AggregateCall(_FUNCTIONS[name], argument.type, "", argument)

    def _taken(self, name: str, argument: Bound, _: list[exp.Expression], __: int) -> AggregateCall:
        return AggregateCall(_FUNCTIONS[name], argument.type, "", argument)

    def _arg(self, name: str, argument: Bound, arguments: list[exp.Expression], at: int) -> AggregateCall:
        order = self._inner(arguments[1])
        _check(name, order, _ORDERED, at)
        return AggregateCall(_FUNCTIONS[name], argument.type, "", argument, order)

    def _top(self, name: str, argument: Bound, arguments: list[exp.Expression], at: int) -> AggregateCall:
        _check(name, argument, frozenset({Kind.STRING}), at)
        most = self.term(arguments[1]).number
        if most is None or most.denominator != 1 or not 1 <= most <= _TOP_MOST:
            fail("constant", "top_k needs a whole number written out", f"1 to {_TOP_MOST}", at=offset_of(arguments[1]))
        return AggregateCall("top_k", _LIST, "", argument, most=int(most))

    def _slope(self, name: str, argument: Bound, arguments: list[exp.Expression], at: int) -> AggregateCall:
        _check(name, argument, _SUMMED - {Kind.DURATION}, at)
        unit = self.term(arguments[1]).literal or ""
        if unit not in DURATIONS or unit == "m":
            fail("constant", f"slope per {unit!r}", "'ms', 's', 'min', 'h', 'd' or 'w'", at=offset_of(arguments[1]))
        type_ = FLOAT64.with_unit(f"{argument.type.unit or 1}/{unit}")
        return AggregateCall("slope", type_, "", argument, per_ms=DURATIONS[unit])

    _BUILDERS: Mapping[str, _Builder] = {  # never changed
        "sum": _summed,
        "avg": _averaged,
        "stddev_pop": _averaged,
        "stddev_samp": _averaged,
        "min": _extreme,
        "max": _extreme,
        "first": _taken,
        "last": _taken,
        "previous": _taken,
        "arg_min": _arg,
        "arg_max": _arg,
        "top_k": _top,
        "slope": _slope,
    }


def _check(name: str, argument: Bound, kinds: frozenset[Kind], at: int) -> None:
    if argument.type.kind not in kinds:
        wanted = ", ".join(sorted(str(kind) for kind in kinds))
        fail("types", f"{name} of {argument.type}", wanted, at=at)


def _mean(type_: Type) -> Type:
    return FLOAT64 if type_.kind is Kind.DURATION else FLOAT64.with_unit(type_.unit)


def _shown(call: AggregateCall, at: int) -> Term:
    """Give the result as its author sees it: means, sums and quantiles of durations are durations again."""
    column = pl.col(call.text)
    timed = call.argument is not None and call.argument.type.kind is Kind.DURATION
    if timed and call.type.kind is Kind.FLOAT64:
        return Term(column.round(mode="half_away_from_zero").cast(pl.Int64, strict=False), DURATION, at)
    if timed and call.type.kind is Kind.INT64 and call.type.wide:
        return Term(narrowed(column, DURATION), DURATION, at)
    return Term(column, call.type, at)


_FUNCTIONS: dict[str, AggregateFunction] = {
    "avg": "avg",
    "stddev_pop": "stddev_pop",
    "stddev_samp": "stddev_samp",
    "min": "min",
    "max": "max",
    "first": "first",
    "last": "last",
    "previous": "previous",
    "arg_min": "arg_min",
    "arg_max": "arg_max",
}
