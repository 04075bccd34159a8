"""+ - * / % and the sign, on numbers, durations and times.

Integers and decimals are computed exactly, in 128 bits where 64 could wrap; what does not fit the result becomes null
(DuckDB raises an error; a stream has to go on). A decimal whose scale would pass 18 becomes float64. `/` is always real
division; by zero it is null. `%` has the sign of the dividend, as in SQL.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.division import over, ratio
from operators.expressions.term import (
    INT64_MOST,
    INT128_MOST,
    SCALE_MOST,
    Term,
    constant,
    fail,
    finite,
    let,
    number_term,
)
from operators.expressions.units import divided, multiplied, read_beside, same_unit
from tocsin.model.types import DURATION, FLOAT64, INT64, TIMESTAMP, Kind, Type, decimal

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMES = frozenset({Kind.TIMESTAMP, Kind.DURATION})
_SUMS = {
    ("+", Kind.TIMESTAMP, Kind.DURATION): TIMESTAMP,
    ("+", Kind.DURATION, Kind.TIMESTAMP): TIMESTAMP,
    ("-", Kind.TIMESTAMP, Kind.DURATION): TIMESTAMP,
    ("-", Kind.TIMESTAMP, Kind.TIMESTAMP): DURATION,
    ("+", Kind.DURATION, Kind.DURATION): DURATION,
    ("-", Kind.DURATION, Kind.DURATION): DURATION,
}


def real(term: Term) -> pl.Expr:
    """Give a number as Float64, by its value: a decimal divided by its scale."""
    if term.number is not None:
        return constant(term.number, FLOAT64)
    if term.type.kind is Kind.FLOAT64:
        return term.expr
    as_float = term.expr.cast(pl.Float64)
    return over(as_float, float(10**term.type.scale)) if term.type.scale else as_float


def to_real(term: Term) -> Term:
    """Give a number as a float64 term in its unit."""
    return replace(term, expr=real(term), type=FLOAT64.with_unit(term.type.unit))


def is_exact(term: Term) -> bool:
    """Whether the value is an integer by its scale."""
    return term.type.kind in {Kind.INT64, Kind.DECIMAL}


def scaled(term: Term, scale: int, *, wide: bool) -> pl.Expr:
    """Give an exact number as an integer of `scale` digits after the point; null where 128 bits do not hold it."""
    if term.number is not None:
        value = int(term.number * 10**scale)
        return pl.lit(value, dtype=pl.Int128 if wide or abs(value) > INT64_MOST else pl.Int64)
    expr = term.expr.cast(pl.Int128) if wide else term.expr
    up = 10 ** (scale - term.type.scale)
    if up == 1 or not term.type.wide:
        return expr * pl.lit(up, dtype=pl.Int128) if up > 1 else expr
    most = pl.lit(INT128_MOST // up, dtype=pl.Int128)
    return let(expr, lambda x: pl.when(x.abs() <= most).then(x * pl.lit(up, dtype=pl.Int128)))


def narrowed(expr: pl.Expr, type_: Type) -> pl.Expr:
    """Give a 128-bit result in the physical form of its type; null where it does not fit."""
    return expr if type_.wide else expr.cast(pl.Int64, strict=False)


def add(left: Term, right: Term, sign: str) -> Term:
    """Give `left + right` or `left - right` (`sign`)."""
    left, right = read_beside(left, right.type), read_beside(right, left.type)
    if {left.type.kind, right.type.kind} & _TIMES:
        return _add_times(left, right, sign)
    _numbers(left, right, sign)
    left, right = same_unit(left, right)
    if left.number is not None and right.number is not None:
        return number_term(left.number + _signed(right.number, sign), left.type.unit, left.offset)
    if not (is_exact(left) and is_exact(right)):
        one, other = real(left), real(right)
        return left.of(finite(one + other if sign == "+" else one - other), FLOAT64.with_unit(left.type.unit))
    type_ = common(left.type, right.type)
    return left.of(_sum(left, right, sign, type_), type_)


def common(left: Type, right: Type) -> Type:
    """Give the exact type that holds both, in the unit of the left."""
    scale = max(left.scale, right.scale)
    type_ = decimal(scale) if Kind.DECIMAL in {left.kind, right.kind} else INT64
    return replace(type_, wide=left.wide or right.wide, unit=left.unit)


def _sum(left: Term, right: Term, sign: str, type_: Type) -> pl.Expr:
    if not type_.wide and all(term.type.scale == type_.scale or term.number is not None for term in (left, right)):
        return _checked_sum(scaled(left, type_.scale, wide=False), scaled(right, type_.scale, wide=False), sign)
    one, other = scaled(left, type_.scale, wide=True), scaled(right, type_.scale, wide=True)
    return narrowed(one + other if sign == "+" else one - other, type_)


def _checked_sum(one: pl.Expr, other: pl.Expr, sign: str) -> pl.Expr:
    """Add 64-bit integers; null where the sum wraps: its sign then differs from those of both summands.

    H. S. Warren, Hacker's Delight (2nd edition, 2-13). Four times as fast as a way through 128 bits.
    """
    x, y = pl.field("x"), pl.field("y")
    result = x + y if sign == "+" else x - y
    kept = (x ^ pl.field("r")) & (y ^ pl.field("r")) if sign == "+" else (x ^ y) & (x ^ pl.field("r"))
    with_result = pl.struct(x=one, y=other).struct.with_fields(result.alias("r"))
    chosen = with_result.struct.with_fields(pl.when(kept >= 0).then(pl.field("r")).alias("r"))
    return chosen.struct.field("r")


def _signed(number: Fraction, sign: str) -> Fraction:
    return number if sign == "+" else -number


def _add_times(left: Term, right: Term, sign: str) -> Term:
    type_ = _SUMS.get((sign, left.type.kind, right.type.kind))
    if type_ is None:
        fail("types", f"{left.type} {sign} {right.type} has no meaning", "timestamp ± duration, or two durations",
             at=right.offset)  # fmt: skip
    number = None
    if left.number is not None and right.number is not None:
        number = left.number + _signed(right.number, sign)
    return replace(left.of(_sum(left, right, sign, INT64), type_), number=number)


def _numbers(left: Term, right: Term, sign: str) -> None:
    for term in (left, right):
        if not term.type.numeric:
            fail("types", f"{term.type} in `{sign}`", "numbers", at=term.offset)


def multiply(left: Term, right: Term) -> Term:
    """Give `left * right`; a duration times a number is a duration, times a number per time that number."""
    if Kind.DURATION in {left.type.kind, right.type.kind}:
        return _multiply_duration(left, right)
    _numbers(left, right, "*")
    unit = multiplied(left.type.unit, right.type.unit)
    if left.number is not None and right.number is not None:
        return number_term(left.number * right.number, unit, left.offset)
    scale = left.type.scale + right.type.scale
    if not (is_exact(left) and is_exact(right)) or scale > SCALE_MOST:
        return left.of(finite(real(left) * real(right)), FLOAT64.with_unit(unit))
    type_ = replace(common(left.type, right.type), scale=scale, unit=unit)
    return left.of(_product(left, right, type_), type_)


def _product(left: Term, right: Term, type_: Type) -> pl.Expr:
    one, other = scaled(left, left.type.scale, wide=True), scaled(right, right.type.scale, wide=True)
    if not type_.wide:
        return narrowed(one * other, type_)
    fits = (one.cast(pl.Float64) * other.cast(pl.Float64)).abs() < float(INT128_MOST)
    return pl.when(fits).then(one * other)


def _multiply_duration(left: Term, right: Term) -> Term:
    time, factor = (left, right) if left.type.kind is Kind.DURATION else (right, left)
    if not factor.type.numeric:
        fail("types", f"{left.type} * {right.type} has no meaning", "a duration times a number", at=right.offset)
    whole, slash, per = factor.type.unit.rpartition("/")
    if slash:
        seconds = multiply(_in_unit(time, per), replace(factor, type=factor.type.with_unit("")))
        return replace(seconds, type=seconds.type.with_unit(whole))
    if is_exact(factor) and factor.type.scale == 0:
        return left.of(_product(time, factor, DURATION), DURATION)
    return left.of(_milliseconds(finite(real(_plain(time)) * real(factor))), DURATION)


def _milliseconds(expr: pl.Expr) -> pl.Expr:
    return expr.round(mode="half_away_from_zero").cast(pl.Int64, strict=False)


def _plain(time: Term) -> Term:
    return replace(time, type=INT64)


def _in_unit(time: Term, unit: str) -> Term:
    """Give a duration as a float64 number of a unit of time."""
    ms = number_term(Fraction(1), "ms")
    per = same_unit(number_term(Fraction(1), unit or "s"), ms)[1].number or Fraction(1)
    return Term(real(_plain(time)) * float(per), FLOAT64.with_unit(unit), time.offset)


def divide(left: Term, right: Term) -> Term:
    """Give `left / right` as float64, null by zero; duration / duration is a ratio, number / duration is per second."""
    kinds = (left.type.kind, right.type.kind)
    if kinds == (Kind.DURATION, Kind.DURATION):
        left, right = _plain(left), _plain(right)
    elif right.type.kind is Kind.DURATION and left.type.numeric:
        right = _in_unit(right, "s")
    elif left.type.kind is Kind.DURATION and right.type.numeric:
        return left.of(_milliseconds(_ratio(_plain(left), right)), DURATION)
    _numbers(left, right, "/")
    left, right, unit = divided(left, right)
    if left.number is not None and right.number:
        return _quotient(left.number / right.number, unit, left.offset)
    return left.of(_ratio(left, right), FLOAT64.with_unit(unit))


def _ratio(left: Term, right: Term) -> pl.Expr:
    if right.number is not None:
        return finite(over(real(left), float(right.number)))
    aligned = is_exact(left) and is_exact(right) and left.type.scale == right.type.scale
    if aligned and left.number is None:
        return finite(ratio(left.expr.cast(pl.Float64), right.expr.cast(pl.Float64)))
    return finite(real(left) / real(right) if left.number is not None else ratio(real(left), real(right)))


def _quotient(number: Fraction, unit: str, offset: int) -> Term:
    return replace(number_term(number, unit, offset), expr=constant(number, FLOAT64), type=FLOAT64.with_unit(unit))


def modulo(left: Term, right: Term) -> Term:
    """Give the rest of the division of exact numbers, with the sign of `left`; null by zero."""
    _numbers(left, right, "%")
    for term in (left, right):
        if not is_exact(term):
            fail("types", "% of float64 would show rounding errors only", "int64 or decimal", at=term.offset)
    left, right = same_unit(left, right)
    type_ = common(left.type, right.type)
    one, other = scaled(left, type_.scale, wide=True), scaled(right, type_.scale, wide=True)
    return left.of(narrowed(one.sign() * (one.abs() % other.abs()), type_), type_)


def negate(term: Term) -> Term:
    """Give the number or duration with the other sign."""
    if not term.type.numeric and term.type.kind is not Kind.DURATION:
        fail("types", f"- {term.type} has no meaning", "a number or a duration", at=term.offset)
    return _exactly(term, lambda x: 0 - x, Fraction.__neg__)


def absolute(term: Term) -> Term:
    """Give the distance from zero of a number or duration."""
    return _exactly(term, lambda x: x.abs(), Fraction.__abs__)


def _exactly(term: Term, change: Callable[[pl.Expr], pl.Expr], fold: Callable[[Fraction], Fraction]) -> Term:
    number = None if term.number is None else fold(term.number)
    if term.type.kind is Kind.FLOAT64:
        return replace(term.of(change(term.expr), term.type), number=number)
    return replace(term.of(narrowed(change(term.expr.cast(pl.Int128)), term.type), term.type), number=number)
