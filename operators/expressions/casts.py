"""cast(x as T): a value that does not fit becomes null, as DuckDB's try_cast."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.arithmetic import narrowed, real, scaled
from operators.expressions.math_functions import rounded
from operators.expressions.term import SCALE_MOST, Term, fail, finite
from tocsin.errors import nearest
from tocsin.model.types import BOOLEAN, FLOAT64, INT64, STRING, TIMESTAMP, Kind, Type, decimal

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = {"string": STRING, "int64": INT64, "float64": FLOAT64, "boolean": BOOLEAN, "timestamp": TIMESTAMP}
_CHOICES = "string, int64, float64, boolean, timestamp or decimal(n)"
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")


def type_named(text: str, at: int) -> Type:
    """Give the type that a cast names."""
    match = re.fullmatch(r"decimal\((\d+)\)", text.lower())
    if match and int(match[1]) <= SCALE_MOST:
        return decimal(int(match[1]))
    if text.lower() in NAMES:
        return NAMES[text.lower()]
    return fail("cast", f"cast to {text!r}", _CHOICES, nearest(text.lower(), [*NAMES, "decimal(2)"]), at=at)


def cast(term: Term, type_: Type) -> Term:
    """Give a value in another type; numbers keep their unit, fractions are rounded half away from zero."""
    if term.null:
        return replace(term, expr=pl.lit(None, dtype=type_.physical), type=type_, null=False)
    if term.type.kind is type_.kind and term.type.scale == type_.scale:
        return replace(term, literal=None)
    change = _CASTS.get((term.type.kind, type_.kind))
    if change is None:
        fail("cast", f"{term.type} does not become {type_}", "numbers, text, boolean, or text to timestamp",
             at=term.offset)  # fmt: skip
    unit = term.type.unit if term.type.numeric and type_.numeric else ""
    target = replace(type_, unit=unit, wide=term.type.wide and type_.kind in {Kind.INT64, Kind.DECIMAL})
    return term.of(change(term, target), target)


def _to_exact(term: Term, type_: Type) -> pl.Expr:
    if term.type.scale <= type_.scale:
        return narrowed(scaled(term, type_.scale, wide=True), type_)
    return narrowed(rounded(term.expr.cast(pl.Int128), term.type.scale - type_.scale), type_)


def _float_to_exact(term: Term, type_: Type) -> pl.Expr:
    return (real(term) * float(10**type_.scale)).round(mode="half_away_from_zero").cast(pl.Int64, strict=False)


def _exact_to_text(term: Term, _: Type) -> pl.Expr:
    if not term.type.scale:
        return term.expr.cast(pl.String)
    unit = 10**term.type.scale
    size = term.expr.cast(pl.Int128).abs()
    fraction = (size % unit).cast(pl.String).str.zfill(term.type.scale)
    sign = pl.when(term.expr < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    return pl.concat_str([sign, (size // unit).cast(pl.String), pl.lit("."), fraction])


def _text_to_int(term: Term, _: Type) -> pl.Expr:
    return term.expr.str.strip_chars(" ").str.extract(r"^([+-]?\d+)$").cast(pl.Int64, strict=False)


def _text_to_float(term: Term, _: Type) -> pl.Expr:
    return finite(term.expr.str.strip_chars(" ").cast(pl.Float64, strict=False))


def _text_to_boolean(term: Term, _: Type) -> pl.Expr:
    text = term.expr.str.to_lowercase()
    return pl.when(text.is_in(_TRUE)).then(statement=True).when(text.is_in(_FALSE)).then(statement=False)


def _text_to_time(term: Term, _: Type) -> pl.Expr:
    """ISO 8601 in UTC, with or without a time of day."""
    text = term.expr.str.replace("T", " ", literal=True).str.strip_suffix("Z")
    full = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ms", strict=False)
    minute = text.str.to_datetime("%Y-%m-%d %H:%M", time_unit="ms", strict=False)
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("ms"))
    return pl.coalesce(full, minute, day).cast(pl.Int64)


_CASTS: dict[tuple[Kind, Kind], Callable[[Term, Type], pl.Expr]] = {
    (Kind.INT64, Kind.FLOAT64): lambda term, _: real(term),
    (Kind.DECIMAL, Kind.FLOAT64): lambda term, _: real(term),
    (Kind.BOOLEAN, Kind.INT64): lambda term, _: term.expr.cast(pl.Int64),
    (Kind.INT64, Kind.DECIMAL): _to_exact,
    (Kind.DECIMAL, Kind.DECIMAL): _to_exact,
    (Kind.DECIMAL, Kind.INT64): _to_exact,
    (Kind.FLOAT64, Kind.INT64): _float_to_exact,
    (Kind.FLOAT64, Kind.DECIMAL): _float_to_exact,
    (Kind.INT64, Kind.STRING): _exact_to_text,
    (Kind.DECIMAL, Kind.STRING): _exact_to_text,
    (Kind.BOOLEAN, Kind.STRING): lambda term, _: (
        pl.when(term.expr).then(pl.lit("true")).when(~term.expr).then(pl.lit("false"))
    ),
    (Kind.STRING, Kind.INT64): _text_to_int,
    (Kind.STRING, Kind.FLOAT64): _text_to_float,
    (Kind.STRING, Kind.BOOLEAN): _text_to_boolean,
    (Kind.STRING, Kind.TIMESTAMP): _text_to_time,
}
