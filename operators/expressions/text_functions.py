"""Scalar functions of text; characters are Unicode code points, order is that of UTF-8 bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.function import Function
from operators.expressions.term import Term, fail
from tocsin.model.types import BOOLEAN, INT64, STRING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.expressions.scope import Scope


def _text(change: Callable[[pl.Expr], pl.Expr]) -> Callable[[Sequence[Term], Scope], Term]:
    return lambda terms, _: terms[0].of(change(terms[0].expr), STRING)


def _test(change: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> Callable[[Sequence[Term], Scope], Term]:
    return lambda terms, _: terms[0].of(change(terms[0].expr, terms[1].expr), BOOLEAN)


def _length(terms: Sequence[Term], _: Scope) -> Term:
    return terms[0].of(terms[0].expr.str.len_chars().cast(pl.Int64), INT64)


def _count(term: Term, least: int) -> int:
    value = int(term.number or 0)
    if value < least:
        fail("arguments", f"{value} characters", f"{least} or more, counted from 1", at=term.offset)
    return value


def _substring(terms: Sequence[Term], _: Scope) -> Term:
    start = _count(terms[1], 1) - 1
    length = _count(terms[2], 0) if len(terms) > 2 else None  # noqa: PLR2004  # the third argument
    return terms[0].of(terms[0].expr.str.slice(start, length), STRING)


def _prefix(terms: Sequence[Term], _: Scope) -> Term:
    return terms[0].of(terms[0].expr.str.head(_count(terms[1], 0)), STRING)


def _suffix(terms: Sequence[Term], _: Scope) -> Term:
    return terms[0].of(terms[0].expr.str.tail(_count(terms[1], 0)), STRING)


def concatenate(terms: Sequence[Term], *, skip_nulls: bool) -> Term:
    """Join texts: `||` is null if one is null, concat leaves nulls out."""
    return terms[0].of(pl.concat_str([term.expr for term in terms], ignore_nulls=skip_nulls), STRING)


def _concat(terms: Sequence[Term], _: Scope) -> Term:
    return concatenate(terms, skip_nulls=True)


def _replace(terms: Sequence[Term], _: Scope) -> Term:
    wanted = terms[1].literal
    if not wanted:
        return terms[0].of(terms[0].expr, STRING)
    replaced = terms[0].expr.str.replace_all(wanted, terms[2].expr, literal=True)
    return terms[0].of(pl.when(terms[2].expr.is_not_null()).then(replaced), STRING)


FUNCTIONS = (
    Function("lower", "lower(x)", "in lower case", "lower(city)", ("text",), _text(lambda x: x.str.to_lowercase())),
    Function("upper", "upper(x)", "in upper case", "upper(country)", ("text",), _text(lambda x: x.str.to_uppercase())),
    Function("length", "length(x)", "how many characters", "length(name)", ("text",), _length),
    Function("trim", "trim(x)", "without spaces at both ends", "trim(name)", ("text",),
             _text(lambda x: x.str.strip_chars(" "))),
    Function("concat", "concat(x, ...)", "joined; nulls are left out (`||` gives null)", "concat(city, '/', cell)",
             ("text",), _concat, repeats=True),
    Function("substring", "substring(x, start [, n])", "n characters from the one numbered start, counted from 1",
             "substring(cell, 4, 2)", ("text", "constant", "constant"), _substring, least=2),
    Function("prefix", "prefix(x, n)", "the first n characters (also `left`)", "prefix(caller, 7)",
             ("text", "constant"), _prefix),
    Function("left", "left(x, n)", "the first n characters", "left(caller, 7)", ("text", "constant"), _prefix),
    Function("right", "right(x, n)", "the last n characters", "right(card, 4)", ("text", "constant"), _suffix),
    Function("starts_with", "starts_with(x, y)", "whether x begins with y", "starts_with(caller, '00')",
             ("text", "text"), _test(lambda x, y: x.str.starts_with(y))),
    Function("ends_with", "ends_with(x, y)", "whether x ends with y", "ends_with(host, '.cn')",
             ("text", "text"), _test(lambda x, y: x.str.ends_with(y))),
    Function("contains", "contains(x, y)", "whether y is in x", "contains(message, 'error')", ("text", "text"),
             _test(lambda x, y: x.str.contains(y, literal=True))),
    Function("replace", "replace(x, 'y', z)", "every y in x replaced by z", "replace(phone, ' ', '')",
             ("text", "literal", "text"), _replace),
)  # fmt: skip
