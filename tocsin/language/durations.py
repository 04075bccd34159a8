"""Lengths of time as the language spells them: `10m`, `1d 12h`, `500ms`."""

from __future__ import annotations

import re

MILLISECONDS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}

LONGEST = 100 * 366 * MILLISECONDS["d"]
"""A hundred years: all event times lie between 1970 and 2100."""

_PART = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))? ?(ms|min|[smhdw])", re.ASCII)
_WHOLE = re.compile(rf"{_PART.pattern}(?: ?{_PART.pattern})*", re.ASCII)


def parse_duration(text: str) -> int:
    """Give the milliseconds of `1d 12h`; raises ValueError if the text is none, zero, or above a hundred years."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration")
    total = sum(_part(*match.groups()) for match in _PART.finditer(text))
    if not 0 < total <= LONGEST:
        raise ValueError(f"{text!r} is not between 1ms and a hundred years")
    return total


def _part(whole: str, fraction: str | None, unit: str) -> int:
    """Give the milliseconds of one number with its unit; what is below a millisecond must be zero."""
    digits = fraction or ""
    scale: int = 10 ** len(digits)
    ms, rest = divmod(int(whole + digits) * MILLISECONDS[unit], scale)
    if rest:
        raise ValueError("a duration is a whole number of milliseconds")
    return ms
