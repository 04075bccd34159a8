"""Scalar functions of numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.arithmetic import absolute, narrowed, real
from operators.expressions.function import Function
from operators.expressions.term import Term, fail, finite
from tocsin.model.types import FLOAT64, INT64, Kind, decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.expressions.scope import Scope

_DIGITS_MOST = 15


def rounded(expr: pl.Expr, drop: int) -> pl.Expr:
    """Give an Int128 without its last `drop` digits, half away from zero."""
    unit = 10**drop
    half_up: pl.Expr = (expr.abs() + unit // 2) // unit
    return half_up * expr.sign()


def _shifted(term: Term, digits: int, change: Callable[[pl.Expr, int], pl.Expr]) -> Term:
    """Apply a change that keeps `digits` after the point to a decimal or an integer."""
    if term.type.scale <= digits:
        return term.of(term.expr, term.type)
    kind = decimal(digits) if digits else INT64
    type_ = replace(kind, unit=term.type.unit, wide=term.type.wide)
    return term.of(narrowed(change(term.expr.cast(pl.Int128), term.type.scale - digits), type_), type_)


def _round(terms: Sequence[Term], _: Scope) -> Term:
    term, digits = terms[0], int(terms[1].number or 0) if len(terms) > 1 else 0
    if not 0 <= digits <= _DIGITS_MOST:
        fail("arguments", f"round to {digits} digits", f"0 to {_DIGITS_MOST}", at=terms[-1].offset)
    if term.type.kind is Kind.FLOAT64:
        return term.of(term.expr.round(digits, mode="half_away_from_zero"), term.type)
    return _shifted(term, digits, rounded)


def _floor(terms: Sequence[Term], _: Scope) -> Term:
    if terms[0].type.kind is Kind.FLOAT64:
        return terms[0].of(terms[0].expr.floor(), terms[0].type)
    return _shifted(terms[0], 0, lambda x, drop: x // 10**drop)


def _ceil(terms: Sequence[Term], _: Scope) -> Term:
    if terms[0].type.kind is Kind.FLOAT64:
        return terms[0].of(terms[0].expr.ceil(), terms[0].type)
    return _shifted(terms[0], 0, lambda x, drop: 0 - ((0 - x) // 10**drop))


def _abs(terms: Sequence[Term], _: Scope) -> Term:
    return absolute(terms[0])


def _sign(terms: Sequence[Term], _: Scope) -> Term:
    return terms[0].of(terms[0].expr.sign().cast(pl.Int64), INT64)


def _real(change: Callable[[pl.Expr], pl.Expr]) -> Callable[[Sequence[Term], Scope], Term]:
    return lambda terms, _: terms[0].of(finite(change(real(terms[0]))), FLOAT64)


def _power(terms: Sequence[Term], _: Scope) -> Term:
    return terms[0].of(finite(real(terms[0]).pow(real(terms[1]))), FLOAT64)


def _number(name: str, meaning: str, example: str, change: Callable[[pl.Expr], pl.Expr]) -> Function:
    return Function(name, f"{name}(x)", meaning, example, ("number",), _real(change))


FUNCTIONS = (
    Function("abs", "abs(x)", "the distance from zero (also of a duration)", "abs(usual.score)", ("extent",), _abs),
    Function("sign", "sign(x)", "-1, 0 or 1", "sign(change)", ("extent",), _sign),
    Function("round", "round(x [, digits])", "half away from zero; a decimal keeps `digits` after the point",
             "round(share, 2)", ("number", "constant"), _round, least=1),
    Function("floor", "floor(x)", "the next whole number below", "floor(heat)", ("number",), _floor),
    Function("ceil", "ceil(x)", "the next whole number above", "ceil(heat)", ("number",), _ceil),
    _number("sqrt", "the square root; null below zero", "sqrt(area)", lambda x: x.sqrt()),
    _number("ln", "the natural logarithm; null at and below zero", "ln(amount)", lambda x: x.log()),
    _number("log10", "the decimal logarithm; null at and below zero", "log10(amount)", lambda x: x.log10()),
    _number("exp", "e to the power of x", "exp(-age)", lambda x: x.exp()),
    Function("power", "power(x, y)", "x to the power of y; null where it is not a real number", "power(spread, 2)",
             ("number", "number"), _power),
)  # fmt: skip
