"""during(t, '22:00-05:00'): local hours and days of the week, where the author says so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.calendar import day_of_week, local, minute_of_day
from operators.expressions.term import let

if TYPE_CHECKING:
    from collections.abc import Iterable

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ALL = frozenset(range(1, 8))
_DAY = "|".join(DAYS)
_FORM = re.compile(
    rf"(?P<days>(?:{_DAY})(?:-(?:{_DAY}))?(?:,\s*(?:{_DAY})(?:-(?:{_DAY}))?)*)?"
    r"\s*(?:(?P<from>\d{1,2}:\d\d)\s*-\s*(?P<to>\d{1,2}:\d\d))?"
)
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """Minutes [start, end) of the local day on `days` (Monday is 1); a range that wraps belongs to its first day."""

    start: int
    end: int
    days: frozenset[int] = _ALL


def parse_hours(text: str) -> Hours:
    """Read `22:00-05:00`, `mon-fri 08:00-18:00`, `sat,sun`.

    Raises:
        ValueError: it is none of these; the message says why.

    """
    match = _FORM.fullmatch(text.strip().lower())
    if match is None or not text.strip():
        raise ValueError(f"{text!r} are no hours")
    days = _days(match["days"]) if match["days"] else _ALL
    if match["from"] is None:
        return Hours(0, _DAY_MINUTES, days)
    start, end = _minute(match["from"]), _minute(match["to"])
    if start in {end, _DAY_MINUTES}:
        raise ValueError(f"{text!r} has no length; all day is '00:00-24:00'")
    return Hours(start, end, days)


def _minute(text: str) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    total = hour * 60 + minute
    if minute > 59 or total > _DAY_MINUTES:  # noqa: PLR2004  # minutes of an hour
        raise ValueError(f"{text} is no time of day")
    return total


def _days(text: str) -> frozenset[int]:
    return frozenset(day for part in text.split(",") for day in _span(part.strip()))


def _span(part: str) -> Iterable[int]:
    first, _, last = part.partition("-")
    start, length = DAYS.index(first), (DAYS.index(last or first) - DAYS.index(first)) % 7
    return [(start + step) % 7 + 1 for step in range(length + 1)]


def within(hours: Hours, time: pl.Expr, zone: str) -> pl.Expr:
    """Give whether times (ms) lie in the hours, by the wall clock of the zone."""
    return let(local(time, zone).cast(pl.Int64), lambda clock: _within(hours, clock))


def _within(hours: Hours, clock: pl.Expr) -> pl.Expr:
    minute = minute_of_day(clock)
    if hours.start < hours.end:
        return (minute >= hours.start) & (minute < hours.end) & _on(clock, hours.days)
    yesterday = frozenset(day % 7 + 1 for day in hours.days)
    late = (minute >= hours.start) & _on(clock, hours.days)
    early = (minute < hours.end) & _on(clock, yesterday)
    return late | early


def _on(clock: pl.Expr, days: frozenset[int]) -> pl.Expr:
    if days == _ALL:
        return pl.lit(value=True)
    return day_of_week(clock).is_in(sorted(days))
