"""Parts of local time."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

_LEAST = int(datetime(1, 1, 3, tzinfo=UTC).timestamp() * 1000)
_MOST = int(datetime(9999, 12, 29, tzinfo=UTC).timestamp() * 1000)


def local(time: pl.Expr, zone: str) -> pl.Expr:
    """Give times (Int64 ms) as Datetime on the wall clock of a zone; null outside the years 1 to 9999."""
    dated = time.clip(_LEAST, _MOST).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    moved = dated if zone == "UTC" else dated.dt.convert_time_zone(zone)
    return pl.when(time.is_between(_LEAST, _MOST)).then(moved)


def weekday(clock: pl.Expr) -> pl.Expr:
    """Give the day of the week, Monday 1 to Sunday 7."""
    return clock.dt.weekday().cast(pl.Int64)
