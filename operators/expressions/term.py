"""A typed part of an expression while it is being put together, and the errors about it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import polars as pl

from tocsin.errors import ExpressionError
from tocsin.model.types import FLOAT64, INT64, Kind, Type, decimal

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

SCALE_MOST = 18
"""Digits after the point that an Int64 can hold beside one before it."""

INT64_MOST = 2**63 - 1
INT128_MOST = 2**127 - 1
FLOAT64_MOST = int(sys.float_info.max)


@dataclass(frozen=True, slots=True)
class Term:
    """A typed Polars expression.

    `number`: the value if it is a constant number (in `type.unit`; a duration in ms), kept exact so that it can take
    the unit and scale of what it meets. `literal`: the value of a text constant. `written`: a parameter as its author
    wrote it. `null`: the literal null, which takes any type. `offset`: where it stands in the text.
    """

    expr: pl.Expr
    type: Type
    offset: int = 0
    number: Fraction | None = None
    literal: str | None = None
    written: str = ""
    null: bool = False

    def of(self, expr: pl.Expr, type_: Type) -> Term:
        """Give a term computed from this one: at its place, but no constant."""
        return Term(expr, type_, self.offset)

    def at(self, offset: int) -> Term:
        """Give the same term at another place."""
        return replace(self, offset=offset)


def null_term(type_: Type, offset: int = 0) -> Term:
    """Give a null of a type."""
    return Term(pl.lit(None, dtype=type_.physical), type_, offset, null=True)


def number_term(number: Fraction, unit: str = "", offset: int = 0, written: str = "") -> Term:
    """Give a constant number in its most exact type: int64, then a decimal of up to 18 digits, then float64."""
    if abs(number) > FLOAT64_MOST:
        fail("number", f"a constant of {len(str(abs(int(number))))} digits", "at most 1.79e308", at=offset)
    type_ = exact_type(number)
    return Term(constant(number, type_), type_.with_unit(unit), offset, number=number, written=written)


def exact_type(number: Fraction, least_scale: int = 0) -> Type:
    """Give the narrowest type that holds a number exactly, float64 if none does."""
    scale = next((s for s in range(least_scale, SCALE_MOST + 1) if (number * 10**s).denominator == 1), None)
    if scale is None or abs(number) * 10**scale > INT128_MOST:
        return FLOAT64
    type_ = decimal(scale) if scale else INT64
    return replace(type_, wide=abs(number) * 10**scale > INT64_MOST)


def constant(number: Fraction, type_: Type) -> pl.Expr:
    """Give a literal in the physical form of a type."""
    if type_.kind is Kind.FLOAT64:
        return pl.lit(float(number), dtype=pl.Float64)
    return pl.lit(int(number * 10**type_.scale), dtype=type_.physical)


def let(expr: pl.Expr, then: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """Evaluate `expr` once and use it several times: Polars does not find common parts in an eager select."""
    value = pl.field("x")
    return pl.struct(x=expr).struct.with_fields(then(value).alias("x")).struct.field("x")


def finite(expr: pl.Expr) -> pl.Expr:
    """Turn NaN and infinity into null."""
    return let(expr, lambda value: pl.when(value.is_finite()).then(value))


def fail(code: str, what: str, expected: str = "", nearest: str = "", *, at: int = 0) -> NoReturn:
    """Raise the error about an expression."""
    raise ExpressionError(what, expected, nearest, at, code=code)
