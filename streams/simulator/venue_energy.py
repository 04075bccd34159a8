"""Venues that use too much for their type and hour, and such that only nearly do or have leave to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.simulator.meters import DAY_HOURS, EVERY, KINDS, QUARTER, limits, moments, readings, venue_row
from streams.simulator.setting import HOUR, OFFSET
from streams.simulator.simulation import Label, Part, merge

if TYPE_CHECKING:
    from streams.simulator.dice import Wholes
    from streams.simulator.setting import Setting

RULE = "venue-energy"
CALM = 0.6


class Course(NamedTuple):
    """How a venue runs: `share` of the limit of its type and hour, in `quarters` quarters of an hour from `first` on.

    `own`: its own limit as a share of its type's by day; `even`: it uses as much by night as by day, and `share` is of
    the limit by day.
    """

    kind: int
    share: float
    first: int
    quarters: int
    level: str
    case: str
    own: float | None = None
    even: bool = False


COURSES = (
    Course(0, 1.10, 2, 3, "yellow", "a mall cools with open doors"),
    Course(1, 1.32, 3, 2, "orange", "a hotel heats its pool at full power"),
    Course(2, 1.75, 1, 4, "red", "an office tower with a stuck chiller"),
    Course(0, 0.96, 2, 4, "", "a mall just below its limit"),
    Course(1, 1.40, 2, 4, "", "a hotel with a limit of its own that is twice the usual", own=2.0),
    Course(2, 0.97, 4, 2, "", "an office at the end of the month"),
    Course(3, 1.08, 4, 1, "yellow", "one quarter of an hour too much"),
    Course(3, 0.70, 2, 5, "orange", "a cinema above its own, lower limit", own=0.55),
    Course(0, 0.50, 0, 99, "", "a mall that uses half of its limit, by day"),
    Course(1, 0.93, 0, 99, "", "a hotel that is full day and night"),
    Course(0, 0.45, 0, 99, "red", "a mall that forgets to switch off at night", even=True),
    Course(1, 0.70, 0, 99, "", "a hotel as busy by night as by day", even=True),
)
IN_DAYLIGHT = 8
"""The first so many courses need no night."""


def incidents(setting: Setting, *, courses: int = len(COURSES)) -> Part:
    """Give the first so many courses, each of a venue of its own."""
    return merge(_course(setting, index, course) for index, course in enumerate(COURSES[:courses]))


def _course(setting: Setting, index: int, course: Course) -> Part:
    dice = setting.dice(f"{RULE} {index}")
    times, kind = moments(setting), KINDS[course.kind]
    venue, quarter = f"w{index + 1:02d}", (times - setting.start) // QUARTER
    busy = (quarter >= course.first) & (quarter < course.first + course.quarters)
    most = np.full(len(times), kind.day) if course.even else limits(kind, times)
    noise = 1.0 + 0.004 * (2.0 * dice.unit(len(times)) - 1.0)
    used = most * np.where(busy, course.share, CALM if course.own is None else 0.4) * noise * (EVERY / QUARTER)
    begin, end = _span(course, times[busy])
    own = None if course.own is None else round(course.own * kind.day, 3)
    name = f"{kind.name} west {index + 1}"
    events = readings(times, pl.Series([venue] * len(times)), used)
    label = Label(RULE, {"venue": venue}, begin, end, course.case, course.level)
    return Part({"meters": events}, {"venues": venue_row(venue, name, kind, own)}, (label,))


def _span(course: Course, busy: Wholes) -> tuple[int, int]:
    """Give the cause's first and last moment; who forgets to switch off does so from 22:00 on."""
    begin, end = int(busy[0]), int(busy[-1]) + EVERY - 1
    if not (course.even and course.level):
        return begin, end
    hour = (busy + OFFSET) // HOUR % 24
    return int(busy[hour >= DAY_HOURS[1]][0]), end
