"""Electricity meters of venues: what they used in each five minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.simulator.setting import HOUR, MINUTE, OFFSET, SECOND
from streams.simulator.simulation import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.simulator.dice import Floats, Wholes
    from streams.simulator.setting import Setting

EVERY = 5 * MINUTE
QUARTER = 15 * MINUTE
VENUES = 2_000

VENUE = {"venue": pl.String, "name": pl.String, "type": pl.String, "own_limit": pl.Float64}
READING = {"time": pl.Int64, "venue": pl.String, "used": pl.Float64}


class Kind(NamedTuple):
    """A type of venue: its limit by day and by night, kWh in a quarter of an hour, and the usual share of it."""

    name: str
    day: float
    night: float
    usual: float


KINDS = (
    Kind("mall", 220, 60, 0.70),
    Kind("hotel", 90, 70, 0.72),
    Kind("office", 120, 40, 0.60),
    Kind("cinema", 80, 60, 0.68),
)
DAY_HOURS = (8, 22)
"""Local hours of the slot `day`, as the shipped topology has them."""


def limits(kind: Kind, times: Wholes) -> Floats:
    """Give what a venue of this kind may use in the quarter of an hour at these times."""
    hour = (times + OFFSET) // HOUR % 24
    return np.where((hour >= DAY_HOURS[0]) & (hour < DAY_HOURS[1]), kind.day, kind.night)


def moments(setting: Setting) -> Wholes:
    """Give the beginnings of all five minutes of the run."""
    return np.arange(setting.start, setting.end, EVERY, dtype=np.int64)


def readings(times: Wholes, venues: pl.Series, used: Floats) -> pl.DataFrame:
    """Give meter records; to the watt-hour, never negative."""
    rounded = np.round(np.maximum(used, 0.0), 3)
    return pl.DataFrame({"time": times, "venue": venues, "used": rounded}, schema=READING)


def venue_row(venue: str, name: str, kind: Kind, own_limit: float | None = None) -> pl.DataFrame:
    """Give one row of the table of venues."""
    return pl.DataFrame([(venue, name, kind.name, own_limit)], schema=VENUE, orient="row")


def ordinary(venues: int, setting: Setting) -> Part:
    """Give the readings of `venues` venues that keep to what is usual, each by its own clock; a few are missing."""
    dice = setting.dice("ordinary meters")
    times = moments(setting)
    kind = dice.weighted([4, 3, 4, 1], venues)
    most = np.stack([limits(k, times) for k in KINDS])[kind]
    usual = np.asarray([k.usual for k in KINDS])[kind] * dice.between(0.75, 1.1, venues)
    noise = 1.0 + 0.06 * np.clip(dice.normal(venues * len(times)), -2, 2).reshape(venues, len(times))
    used = most * usual[:, None] * noise * (EVERY / QUARTER)
    heard = ~dice.chance(0.004, used.size)
    names = pl.Series([f"v{n + 1:04d}" for n in range(venues)])
    who = np.repeat(np.arange(venues), len(times))[heard]
    phase = dice.whole(0, EVERY // SECOND, venues) * SECOND
    events = readings(
        (times[None, :] + phase[:, None]).ravel()[heard], names.gather(pl.Series(who)), used.ravel()[heard]
    )
    table = _table(names, [KINDS[n].name for n in kind.tolist()])
    return Part({"meters": events}, {"venues": table})


def _table(names: pl.Series, kinds: Sequence[str]) -> pl.DataFrame:
    frame = pl.DataFrame({"venue": names, "type": kinds})
    return frame.select(
        "venue", name=pl.col("type") + " " + pl.col("venue").str.slice(1), type="type",
        own_limit=pl.lit(None, dtype=pl.Float64),
    )  # fmt: skip
