"""Scalar functions of time (parts are those of the wall clock in the scope's zone) and of place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.arithmetic import real
from operators.expressions.calendar import local
from operators.expressions.during import parse_hours, within
from operators.expressions.function import Function
from operators.expressions.geodesy import haversine
from operators.expressions.term import Term, fail
from tocsin.model.types import BOOLEAN, DURATION, FLOAT64, INT64, POINT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.expressions.scope import Scope


def _part(read: Callable[[pl.Expr], pl.Expr]) -> Callable[[Sequence[Term], Scope], Term]:
    return lambda terms, scope: terms[0].of(read(local(terms[0].expr, scope.zone)).cast(pl.Int64), INT64)


def _time_of_day(terms: Sequence[Term], scope: Scope) -> Term:
    return terms[0].of(local(terms[0].expr, scope.zone).cast(pl.Int64) % 86_400_000, DURATION)


def _during(terms: Sequence[Term], scope: Scope) -> Term:
    try:
        hours = parse_hours(terms[1].literal or "")
    except ValueError as error:
        fail("hours", str(error), "'22:00-05:00', 'mon-fri 08:00-18:00' or 'sat,sun'", at=terms[1].offset)
    return terms[0].of(within(hours, terms[0].expr, scope.zone), BOOLEAN)


def _distance(terms: Sequence[Term], _: Scope) -> Term:
    (a, b), names = terms, ("lat", "lon", "other_lat", "other_lon")
    coordinates = [term.expr.struct.field(part) for term in (a, b) for part in ("lat", "lon")]
    pair = pl.struct(expr.alias(name) for name, expr in zip(names, coordinates, strict=True))
    metres = haversine(*(pl.field(name) for name in names)).alias("metres")
    return a.of(pair.struct.with_fields(metres).struct.field("metres"), FLOAT64.with_unit("m"))


def _point(terms: Sequence[Term], _: Scope) -> Term:
    lat, lon = real(terms[0]), real(terms[1])
    there = lat.is_between(-90, 90) & lon.is_between(-180, 180)
    return terms[0].of(pl.when(there).then(pl.struct(lat=lat, lon=lon)), POINT)


_PARTS = (
    ("year", "the year", lambda x: x.dt.year()),
    ("month", "the month, 1 to 12", lambda x: x.dt.month()),
    ("day", "the day of the month", lambda x: x.dt.day()),
    ("hour", "the hour, 0 to 23", lambda x: x.dt.hour()),
    ("minute", "the minute", lambda x: x.dt.minute()),
    ("second", "the second", lambda x: x.dt.second()),
    ("day_of_week", "Monday 1 to Sunday 7", lambda x: x.dt.weekday()),
    ("day_of_year", "1 to 366", lambda x: x.dt.ordinal_day()),
)

FUNCTIONS = (
    *(Function(name, f"{name}(t)", f"{meaning}, local time", f"{name}(at)", ("time",), _part(read))
      for name, meaning, read in _PARTS),
    Function("time_of_day", "time_of_day(t)", "the time on the wall clock as a duration since its midnight",
             "time_of_day(at)", ("time",), _time_of_day),
    Function("during", "during(t, 'hours')", "whether t lies in those local hours or days; a range past midnight wraps "
             "and belongs to the day it begins", "during(at, 'mon-fri 22:00-05:00')", ("time", "literal"), _during),
    Function("distance", "distance(a, b)", "metres on a sphere of 6371.0088 km radius (haversine)",
             "distance(terminal.place, home)", ("place", "place"), _distance),
    Function("point", "point(lat, lon)", "a place in degrees (WGS 84); null outside ±90 and ±180",
             "point(latitude, longitude)", ("number", "number"), _point),
)  # fmt: skip
