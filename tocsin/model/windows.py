"""What a window word says: `tumbling 1d at 05:00`, `hopping 1h every 5m`, `trailing 7d delayed 7d`, ...

Widths are milliseconds from the epoch in UTC; only `at` makes a calendar day of a zone (semantics 10).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hopping:
    """[end - size, end) for every multiple of `every`; tumbling is `every == size`."""

    size: int
    every: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar day of `zone` that begins at `minute` of the day (23 or 25 h long at clock changes)."""

    minute: int
    zone: str


@dataclass(frozen=True, slots=True)
class Cumulating:
    """[n * size, n * size + k * every): grows by `every`, starts anew each `size`."""

    size: int
    every: int


@dataclass(frozen=True, slots=True)
class Session:
    """Events of a key join while the gap between them is < `gap`; [first, last + gap)."""

    gap: int


@dataclass(frozen=True, slots=True)
class Trailing:
    """(t - delayed - width, t - delayed] at each event's time t, all rows of the same time included."""

    width: int
    delayed: int = 0


@dataclass(frozen=True, slots=True)
class Same:
    """The window of the rows read: groups rows of equal (by, window_start, window_end)."""


Window = Hopping | Calendar | Cumulating | Session | Trailing | Same
