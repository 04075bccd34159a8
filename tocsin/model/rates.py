"""How many per how long: `10 per hour`, `100 per 15m`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_WORDS = {"second": "1s", "minute": "1m", "hour": "1h", "day": "1d"}
_LENGTH = re.compile(r"(?P<number>\d+) ?(?P<unit>s|min|m|h|d)")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `most` in any `per` ms; `text`: as its author wrote it."""

    most: int
    per: int
    text: str


def rate_of(text: str) -> Rate:
    """Read a rate that the language has checked; ValueError if it is none."""
    most, _, length = text.partition(" per ")
    found = _LENGTH.fullmatch(_WORDS.get(length, length))
    if found is None:
        raise ValueError(f"{text!r} is no rate such as 10 per hour")
    return Rate(int(most), int(found["number"]) * _UNITS[found["unit"]], text)
