"""Lengths of time within the bounds that event time has."""

from __future__ import annotations

from tocsin.errors import UnitError
from tocsin.model.units import DURATION_FORM, DURATIONS, parse_duration

LONGEST = 100 * 366 * DURATIONS["d"]
"""A hundred years: all event times lie between 1970 and 2100."""


def length_of(text: str, *, least: int = 1) -> int:
    """Give the milliseconds of `1d 12h`; raises UnitError if the text is no duration, or one out of bounds."""
    ms = parse_duration(text)
    if not least <= ms <= LONGEST:
        raise UnitError(f"{str(text)!r} is not {'above 0' if ms < least else 'below a hundred years'}", DURATION_FORM)
    return ms
