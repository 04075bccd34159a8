"""Comparisons, `in`, `between` and `like`: three-valued, exact between integers and decimals."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.arithmetic import is_exact, real, scaled
from operators.expressions.term import Term, exact_type, fail, let, null_term
from operators.expressions.units import read_beside, same_unit
from tocsin.model.types import BOOLEAN, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Compare = Callable[[pl.Expr, pl.Expr], pl.Expr]

OPERATORS: dict[str, Compare] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "is distinct from": lambda a, b: a.ne_missing(b),
    "is not distinct from": lambda a, b: a.eq_missing(b),
}
_IDENTITY = frozenset({"=", "<>", "is distinct from", "is not distinct from"})
_EQUAL_ONLY = frozenset({Kind.BOOLEAN, Kind.POLYGON, Kind.LIST})


def compare(left: Term, right: Term, sign: str) -> Term:
    """Give `left sign right` as a Boolean; null if a side is null (but for `is distinct from`)."""
    _refuse_null(left, right, sign)
    one, other = comparable(_typed(left, right), _typed(right, left))
    if one.type.kind in _EQUAL_ONLY and sign not in _IDENTITY:
        fail("types", f"{left.type} {sign} {right.type} has no order", "= or <>", at=left.offset)
    return left.of(OPERATORS[sign](*physical(one, other)), BOOLEAN)


def _refuse_null(left: Term, right: Term, sign: str) -> None:
    if (left.null or right.null) and not sign.startswith("is"):
        fix = "is null" if sign == "=" else "is not null" if sign == "<>" else "is null"
        fail("null-comparison", f"`{sign} null` is never true", f"`{fix}`", at=left.offset)


def _typed(term: Term, beside: Term) -> Term:
    """Give the literal null the type of what it stands beside."""
    return null_term(beside.type, term.offset) if term.null else term


def comparable(left: Term, right: Term) -> tuple[Term, Term]:
    """Give both terms in one unit, or say why they cannot be compared."""
    left, right = read_beside(left, right.type), read_beside(right, left.type)
    if left.type.numeric and right.type.numeric:
        return same_unit(left, right)
    if left.null or right.null:
        return left, right
    one, other = left.type, right.type
    if one.kind is not other.kind:
        fail("types", f"{_said(left)} compared with {_said(right)}", _hint(left, right), at=right.offset)
    if one.kind is Kind.POINT:
        fail("types", "points are not compared: two measured places are never equal",
             "distance(a, b) < a parameter such as 50 km", at=left.offset)  # fmt: skip
    if one.person and other.person and one.person != other.person:
        fail("types", f"{one} compared with {other}: their pseudonyms are made with different keys",
             "identifiers of one domain", at=right.offset)  # fmt: skip
    return left, right


def _said(term: Term) -> str:
    return f"{term.type} ({term.written})" if term.written else str(term.type)


def _hint(left: Term, right: Term) -> str:
    kinds = {left.type.kind, right.type.kind}
    if Kind.DURATION in kinds:
        return "two durations: a parameter such as `value: 10m`"
    if Kind.TIMESTAMP in kinds:
        return "two timestamps: cast('2025-01-31 12:00:00' as timestamp)"
    return "values of one type, or cast(... as ...)"


def physical(left: Term, right: Term) -> tuple[pl.Expr, pl.Expr]:
    """Give the columns to compare: integers of one scale where both are exact, else floats."""
    if not (left.type.numeric and right.type.numeric):
        return left.expr, right.expr
    if not (_fits_exactly(left) and _fits_exactly(right)):
        return real(left), real(right)
    scale = max(_scale(left), _scale(right))
    wide = any(term.number is None and (term.type.wide or term.type.scale < scale) for term in (left, right))
    return scaled(left, scale, wide=wide), scaled(right, scale, wide=wide)


def _fits_exactly(term: Term) -> bool:
    if term.number is None:
        return is_exact(term)
    return exact_type(term.number).kind is not Kind.FLOAT64


def _scale(term: Term) -> int:
    return term.type.scale if term.number is None else exact_type(term.number).scale


def between(value: Term, low: Term, high: Term) -> Term:
    """Give `low <= value and value <= high`; constants the wrong way round are refused."""
    if low.number is not None and high.number is not None and _is_above(low, high):
        hint = "during(t, '22:00-05:00') for hours of the day" if value.type.kind is Kind.INT64 else ""
        what = f"between {_bound(low)} and {_bound(high)} is never true"
        fail("empty-range", what, hint or "the lower bound first", at=low.offset)
    return value.of(compare(value, low, ">=").expr & compare(value, high, "<=").expr, BOOLEAN)


def _is_above(low: Term, high: Term) -> bool:
    one, other = comparable(low, high)
    return one.number is not None and other.number is not None and one.number > other.number


def _bound(term: Term) -> str:
    if term.written:
        return term.written
    number = term.number or 0
    return str(int(number)) if number == int(number) else str(float(number))


def is_in(value: Term, choices: Sequence[Term]) -> Term:
    """Give whether a value is in a list; null if it is not there and the list holds a null."""
    real_choices = [choice for choice in choices if not choice.null]
    for choice in real_choices:
        comparable(value, choice)
    if real_choices and all(choice.literal is not None for choice in real_choices):
        texts = [choice.literal for choice in real_choices]
        found: pl.Expr = value.expr.is_in(texts)
    else:
        found = pl.any_horizontal(compare(value, choice, "=").expr for choice in real_choices)
    if not real_choices:
        return value.of(pl.when(value.expr.is_null() & value.expr.is_not_null()).then(statement=True), BOOLEAN)
    if len(real_choices) < len(choices):
        found = let(found, lambda x: pl.when(x).then(statement=True))
    return value.of(found, BOOLEAN)


def like(value: Term, pattern: Term, *, fold: bool, escape: str = "") -> Term:
    """Give whether text has a pattern with `%` and `_`; `fold` ignores case, by lower-casing both."""
    if value.type.kind is not Kind.STRING:
        fail("types", f"{value.type} like a text", "a text", at=value.offset)
    if pattern.literal is None:
        fail("constant", "the pattern of like is not a constant", "a text such as 'A%'", at=pattern.offset)
    expr, text = (value.expr.str.to_lowercase(), pattern.literal.lower()) if fold else (value.expr, pattern.literal)
    if not set(text.strip("%")) & {"%", "_", escape or "%"}:
        return value.of(_plain_like(expr, text), BOOLEAN)
    return value.of(expr.str.contains(_regex(text, escape, pattern.offset)), BOOLEAN)


def _plain_like(expr: pl.Expr, text: str) -> pl.Expr:
    core = text.strip("%")
    before, after = text.startswith("%"), text.endswith("%")
    if before and after:
        return expr.str.contains(core, literal=True)
    if before:
        return expr.str.ends_with(core)
    return expr.str.starts_with(core) if after else expr == core


def _regex(text: str, escape: str, at: int) -> str:
    parts, rest = [], iter(text)
    for char in rest:
        if char == escape:
            following = next(rest, "")
            if not following:
                fail("constant", "a like pattern ends with its escape", "a character after it", at=at)
            parts.append(_escaped(following))
        else:
            parts.append({"%": ".*", "_": "."}.get(char) or _escaped(char))
    return f"(?s)\\A{''.join(parts)}\\z"


def _escaped(char: str) -> str:
    return re.escape(char) if char.isascii() else char
