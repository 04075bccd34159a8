"""How the windows of one feature share panes: where panes begin, and which window ends a pane belongs to.

All windows of a feature end at the same times. Times, panes (by their start) and ends are Int64 series in ms; a pane
lies wholly inside or outside of every window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

import polars as pl

from tocsin.model.windows import Calendar, Cumulating, Hopping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tocsin.model.windows import Window


class Grid(Protocol):
    """The ends of windows and the panes between them. Windows are named by their number in the feature."""

    @property
    def slides(self) -> bool:
        """Whether a pane belongs to more windows than one."""
        ...

    @property
    def splits(self) -> bool:
        """Whether a window is made of more panes than one."""
        ...

    @property
    def gaps(self) -> bool:
        """Whether there are panes that a window leaves out, between its end and its next start."""
        ...

    @property
    def every(self) -> int:
        """The distance between ends; only read of grids that slide."""
        ...

    def panes(self, times: pl.Series) -> pl.Series:
        """Give the pane of each time."""
        ...

    def first_end(self, panes: pl.Series) -> pl.Series:
        """Give the least end after each pane."""
        ...

    def last_end(self, window: int, panes: pl.Series) -> pl.Series:
        """Give the greatest end whose window holds the pane; less than the first end if there is none."""
        ...

    def oldest(self, window: int, done: int) -> int:
        """Give the least pane that a window after the end `done` may hold: one whose last end is > `done`."""
        ...

    def start(self, window: int, ends: pl.Series) -> pl.Series:
        """Give the start of the window that ends there."""
        ...

    def done(self, watermark: int) -> int:
        """Give the greatest end whose rows are due at the watermark (end - 1 <= watermark)."""
        ...

    def after(self, end: int) -> int:
        """Give the least end > `end`."""
        ...


@dataclass(frozen=True, slots=True)
class EvenGrid:
    """Ends at the multiples of `every`. `sizes` of the windows; `cumulating`: they begin at multiples of their size."""

    every: int
    sizes: tuple[int, ...]
    cumulating: bool = False

    @property
    def slides(self) -> bool:
        """Tumbling windows have each pane to themselves."""
        return any(size > self.every for size in self.sizes)

    @property
    def splits(self) -> bool:
        """Windows that are wider than a pane are made of several."""
        return max(self.sizes) > self.width

    @property
    def gaps(self) -> bool:
        """Windows that are shorter than their hop leave out what lies between them."""
        return any(size < self.every for size in self.sizes)

    @property
    def width(self) -> int:
        """The width of a pane."""
        return self.every if self.cumulating else gcd(self.every, *self.sizes)

    def panes(self, times: pl.Series) -> pl.Series:
        """Give the start of the pane of each time."""
        return times // self.width * self.width

    def first_end(self, panes: pl.Series) -> pl.Series:
        """Give the least end after each pane."""
        return panes // self.every * self.every + self.every

    def last_end(self, window: int, panes: pl.Series) -> pl.Series:
        """Give the end of the period for cumulating windows, else the last end that reaches back to the pane."""
        size = self.sizes[window]
        if self.cumulating:
            return panes // size * size + size
        return (panes + size) // self.every * self.every

    def oldest(self, window: int, done: int) -> int:
        """Give the start of the window at the next end, or for cumulating ones of the period that goes on."""
        size = self.sizes[window]
        return done // size * size if self.cumulating else done + self.every - size

    def start(self, window: int, ends: pl.Series) -> pl.Series:
        """Give the start of the window that ends there."""
        size = self.sizes[window]
        return (ends - 1) // size * size if self.cumulating else ends - size

    def done(self, watermark: int) -> int:
        """Give the greatest multiple of `every` that is <= watermark + 1."""
        return (watermark + 1) // self.every * self.every

    def after(self, end: int) -> int:
        """Give the least multiple of `every` > `end`."""
        return end // self.every * self.every + self.every


@dataclass(frozen=True, slots=True)
class CalendarGrid:
    """Days that begin at `minute` of the local day of `zone`: 23 or 25 hours long where clocks change.

    A beginning that the clocks skip is the same instant counted with the offset from before the change; of a beginning
    that happens twice the first counts.
    """

    minute: int
    zone: str

    slides = False
    splits = False
    gaps = False
    every = 0

    def panes(self, times: pl.Series) -> pl.Series:
        """Give the beginning of the day of each time."""
        bounds = self._bounds(times)
        return bounds.gather(bounds.search_sorted(times, side="right") - 1).alias(times.name)

    def first_end(self, panes: pl.Series) -> pl.Series:
        """Give the end of each day."""
        bounds = self._bounds(panes)
        return bounds.gather(bounds.search_sorted(panes, side="right")).alias(panes.name)

    def last_end(self, window: int, panes: pl.Series) -> pl.Series:  # noqa: ARG002  # all windows are the same day
        """Give the end of each day: each pane is in one window."""
        return self.first_end(panes)

    def oldest(self, window: int, done: int) -> int:  # noqa: ARG002  # as above
        """Give the day that begins there."""
        return done

    def start(self, window: int, ends: pl.Series) -> pl.Series:  # noqa: ARG002  # as above
        """Give the beginning of the day that ends there."""
        return self.panes(ends - 1)

    def done(self, watermark: int) -> int:
        """Give the beginning of the day of watermark + 1."""
        return day_bound(self._day(watermark + 1), self.minute, self.zone)

    def after(self, end: int) -> int:
        """Give the next beginning of a day."""
        return day_bound(self._day(end) + 1, self.minute, self.zone)

    def _day(self, time: int) -> int:
        """Give the number of the day that holds a time; days are numbered by their local date.

        A watermark may lie before all events or behind them, where there is no calendar: it counts as its edge.
        """
        time = min(max(time, _CALENDAR[0]), _CALENDAR[1])
        local = datetime.fromtimestamp(time // 1000, tz=UTC).astimezone(ZoneInfo(self.zone))
        day = local.date().toordinal()
        while day_bound(day, self.minute, self.zone) > time:
            day -= 1
        while day_bound(day + 1, self.minute, self.zone) <= time:
            day += 1
        return day

    def _bounds(self, times: pl.Series) -> pl.Series:
        """Give the beginnings of all days from that of the least time to past that of the greatest."""
        if times.is_empty():
            return pl.Series([0], dtype=pl.Int64)
        least, greatest = self._day(_whole(times.min())), self._day(_whole(times.max()))
        days = (day_bound(day, self.minute, self.zone) for day in range(least, greatest + 2))
        return pl.Series(list(days), dtype=pl.Int64)


_CALENDAR = (-365 * 86_400_000, 150 * 365 * 86_400_000)
"""1969 to 2119: events lie between 1970 and 2100 (semantics 4)."""


@lru_cache(maxsize=100_000)
def day_bound(day: int, minute: int, zone: str) -> int:
    """Give the instant (ms) at which local day number `day` (proleptic ordinal) begins at `minute`."""
    wall = datetime.fromordinal(day) + timedelta(minutes=minute)
    return int(wall.replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def _whole(value: object) -> int:
    return int(value)  # type: ignore[call-overload, no-any-return]  # the least or greatest of an Int64 series


def grid(windows: Sequence[Window]) -> Grid:
    """Give the panes that these windows share; ValueError with a sentence if they cannot."""
    if problem := pane_mixes(windows):
        raise ValueError(problem)
    first = windows[0]
    if isinstance(first, Calendar):
        return CalendarGrid(first.minute, first.zone)
    if isinstance(first, Cumulating):
        return EvenGrid(first.every, (first.size,), cumulating=True)
    hopping = [window for window in windows if isinstance(window, Hopping)]
    return EvenGrid(hopping[0].every, tuple(window.size for window in hopping))


def pane_mixes(windows: Sequence[Window]) -> str | None:
    """Explain what keeps windows with panes from standing in one feature; None if nothing does."""
    return next((problem for check in _CHECKS if (problem := check(windows))), None)


def _same_kind(windows: Sequence[Window]) -> str | None:
    kinds = {type(window) for window in windows}
    if len(kinds) > 1 or (len(windows) > 1 and not kinds <= {Hopping}):
        return "windows of one feature must end at the same times: hopping windows with the same `every`, or one window"
    return None


def _same_hop(windows: Sequence[Window]) -> str | None:
    hops = {window.every for window in windows if isinstance(window, Hopping)}
    if len(hops) > 1:
        return "hopping windows of one feature must have the same `every`, so that their rows are one row"
    return None


def _positive(windows: Sequence[Window]) -> str | None:
    for window in windows:
        if isinstance(window, Hopping | Cumulating) and (window.size <= 0 or window.every <= 0):
            return "a window's size and `every` must be more than nothing"
        if isinstance(window, Cumulating) and window.size % window.every:
            return "a cumulating window's size must be a whole number of times its `every`"
    return None


_CHECKS: tuple[Callable[[Sequence[Window]], str | None], ...] = (_same_kind, _same_hop, _positive)
