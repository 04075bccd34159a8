"""Units inside expressions: what may be added and compared, and what a product or a quotient measures.

A number without a unit fits beside any other: literals, counts, fields whose author declared none. Two units of one
dimension are brought to the unit of the column; a constant is converted exactly.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import polars as pl

from operators.expressions.term import Term, fail, finite, number_term
from tocsin.errors import UnitError
from tocsin.model import units
from tocsin.model.types import FLOAT64, Kind, Type

_METRES = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*m")


def same_unit(left: Term, right: Term) -> tuple[Term, Term]:
    """Give both in one unit: the column's where one is a constant, else the left one's.

    Raises:
        ExpressionError: the units measure different things; it names both.

    """
    one, other = left.type.unit, right.type.unit
    if one == other:
        return left, right
    if not (units.known(one) and units.known(other)):
        return _beside_a_count(left, right)
    if left.number is not None and right.number is None:
        return in_unit(left, other), right
    return left, in_unit(right, one)


def _beside_a_count(left: Term, right: Term) -> tuple[Term, Term]:
    one, other = left.type.unit, right.type.unit
    for noun, unit, term in ((one, other, left), (other, one, right)):
        if noun and units.known(unit):
            _refuse(noun, unit, term.offset)
    if one and other:
        return _in(left, ""), _in(right, "")
    unit = one or other
    return _percent(_in(left, unit), left), _percent(_in(right, unit), right)


def _in(term: Term, unit: str) -> Term:
    return replace(term, type=term.type.with_unit(unit))


def _percent(term: Term, before: Term) -> Term:
    """Make the parameter `80%` beside a column in % 80: without a unit it was read as 0.8."""
    if term.type.unit == "%" and before.written.endswith("%") and before.number is not None:
        return number_term(before.number * 100, "%", before.offset, before.written)
    return term


def _refuse(unit: str, wanted: str, at: int) -> None:
    try:
        units.exact_factor(unit, wanted)
    except UnitError as error:
        fail("unit", error.what, error.expected, error.nearest, at=at)
    fail("unit", f"{unit} beside {wanted}", at=at)


def in_unit(term: Term, unit: str) -> Term:
    """Give a number in another unit of its dimension."""
    if term.type.unit == unit:
        return term
    try:
        factor = units.exact_factor(term.type.unit, unit)
    except UnitError as error:
        fail("unit", error.what, error.expected, error.nearest, at=term.offset)
    if term.number is not None:
        return number_term(term.number * factor, unit, term.offset, term.written)
    expr = finite(term.expr.cast(pl.Float64) * float(factor / 10**term.type.scale))
    return replace(term.of(expr, FLOAT64.with_unit(unit)), written=term.written)


def read_beside(constant: Term, type_: Type) -> Term:
    """Read a parameter once more in the light of what it stands beside.

    `50 m` alone is fifty minutes, beside a length it is fifty metres; a duration beside a number in a unit of time is a
    number in that unit; 0 is a duration too.
    """
    if type_.kind is Kind.DURATION and constant.number == 0 and constant.type.numeric and not constant.type.unit:
        return replace(constant, expr=pl.lit(0, dtype=pl.Int64), type=type_)
    if constant.type.kind is not Kind.DURATION or constant.number is None or not type_.numeric:
        return constant
    match = _METRES.fullmatch(constant.written)
    if match and units.dimension(type_.unit) == "length":
        return number_term(Fraction(match[1]), "m", constant.offset, constant.written)
    if units.dimension(type_.unit) == "time":
        return number_term(constant.number, "ms", constant.offset, constant.written)
    return constant


def divided(left: Term, right: Term) -> tuple[Term, Term, str]:
    """Give both terms as they are to be divided, and the unit of the quotient."""
    one, other = left.type.unit, right.type.unit
    if not units.known(other):
        return left, right, one if units.known(one) or not other else ""
    if units.dimension(one) == units.dimension(other):
        return *same_unit(left, right), ""
    return left, right, _quotient_unit(one, other)


def _quotient_unit(one: str, other: str) -> str:
    if not units.known(one):
        return f"1/{other}" if "/" not in other else ""
    whole, slash, per = one.rpartition("/")
    if slash:
        return f"{whole}/({per}·{other})"
    return f"{one}/{other}" if "/" not in other else f"{one}/({other})"


def multiplied(one: str, other: str) -> str:
    """Give the unit of a product; `u/t` times `t` is `u`."""
    if not units.known(one) or not units.known(other):
        return one if units.known(one) else other if units.known(other) else ""
    for rate, by in ((one, other), (other, one)):
        whole, slash, per = rate.rpartition("/")
        if slash and per == by:
            return "" if whole == "1" else whole
    return f"{one}·{other}"
