"""Forty nights of venues: what should be off stays on, or only seems to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.simulator.meters import KINDS, QUARTER, readings, venue_row
from streams.simulator.setting import DAY, HOUR, OFFSET, SECOND
from streams.simulator.simulation import Label, Part, merge

if TYPE_CHECKING:
    from streams.simulator.dice import Wholes
    from streams.simulator.setting import Setting

RULE = "venue-night-load"
VENUES, NIGHTS = 40, 40
FROM, TO = 2, 5
"""Local hours of the night that count."""


class Nights(NamedTuple):
    """From night `first` on, for `nights` nights, the load is `factor` times the usual until the local hour `until`.

    `growth`: by how much the usual load itself grows from night to night.
    """

    factor: float
    first: int
    nights: int
    level: str
    case: str
    until: float = TO
    growth: float = 0.0


CASES = (
    Nights(1.6, 31, 6, "yellow", "the ventilation runs all night"),
    Nights(2.5, 33, 7, "yellow", "the ice rink cools an empty hall"),
    Nights(1.45, 32, 4, "yellow", "the lights of the car park stay on"),
    Nights(1.7, 34, 3, "yellow", "three nights, no more"),
    Nights(1.5, 30, 9, "yellow", "a pump that never stops"),
    Nights(1.2, 31, 8, "", "a fifth more than usual"),
    Nights(1.8, 33, 2, "", "two nights of stocktaking"),
    Nights(2.0, 31, 8, "", "cleaners until three o'clock", until=3.0),
    Nights(1.0, 0, NIGHTS, "", "a load that grows by one in a hundred each night", growth=0.01),
    Nights(1.6, 35, 1, "", "one night of inventory"),
)
CALM = Nights(1.0, 0, 0, "", "")


def scene(setting: Setting) -> Part:
    """Give the nights of all venues, the first ones with a case."""
    venues = setting.scaled(VENUES, len(CASES))
    cases = [*CASES, *[CALM] * (venues - len(CASES))]
    return merge(_venue(setting, index, nights) for index, nights in enumerate(cases))


def _venue(setting: Setting, index: int, nights: Nights) -> Part:
    dice, kind = setting.dice(f"{RULE} {index}"), KINDS[index % len(KINDS)]
    times = _moments(setting) + index * 7 % 300 * SECOND  # each meter has a clock of its own
    night = (times - setting.start) // DAY
    hour = (times + OFFSET) % DAY / HOUR
    usual = kind.night * dice.between(0.25, 0.33, 1) * (1.0 + nights.growth) ** night
    on = (night >= nights.first) & (night < nights.first + nights.nights) & (hour < nights.until)
    used = usual * np.where(on, nights.factor, 1.0) * (1.0 + 0.03 * np.clip(dice.normal(len(times)), -2, 2))
    venue = f"n{index + 1:02d}"
    labels = _label(venue, nights, times[on])
    events = readings(times, pl.Series([venue] * len(times)), used)
    return Part({"meters": events}, {"venues": venue_row(venue, f"{kind.name} {index + 1}", kind)}, labels)


def _label(venue: str, nights: Nights, on: Wholes) -> tuple[Label, ...]:
    if not nights.case:
        return ()
    return (Label(RULE, {"venue": venue}, int(on[0]), int(on[-1]) + QUARTER, nights.case, nights.level),)


def _moments(setting: Setting) -> Wholes:
    """Give the quarters of an hour of all nights."""
    times = np.arange(setting.start, setting.end, QUARTER, dtype=np.int64)
    hour = (times + OFFSET) // HOUR % 24
    return times[(hour >= FROM) & (hour < TO)]
