"""Parts of local time.

The wall clock is computed once as Int64 milliseconds; the history of the zone is the costly part.
"""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from operators.expressions.term import let

_LEAST = int(datetime(1, 1, 3, tzinfo=UTC).timestamp() * 1000)
_MOST = int(datetime(9999, 12, 29, tzinfo=UTC).timestamp() * 1000)


def local(time: pl.Expr, zone: str) -> pl.Expr:
    """Give times (Int64 ms) as the wall clock of a zone, a Datetime without zone; null outside the years 1 to 9999."""
    bounded = let(time, lambda x: pl.when(x.is_between(_LEAST, _MOST)).then(x)).cast(pl.Datetime("ms"))
    if zone == "UTC":
        return bounded
    return bounded.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)


def minute_of_day(clock: pl.Expr) -> pl.Expr:
    """Give the minutes since midnight of a wall clock in Int64 milliseconds."""
    return (clock // 60_000) % 1440


def day_of_week(clock: pl.Expr) -> pl.Expr:
    """Give the day of the week of a wall clock in Int64 milliseconds, Monday 1 to Sunday 7.

    1970-01-01 was a Thursday.
    """
    return (clock // 86_400_000 + 3) % 7 + 1
