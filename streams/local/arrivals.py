"""When event times were reached: by that, how old an alert is when it is decided.

An alert has an event time and no record of its own (a window raises it, or a timer). So its age counts from the batch
in which the stream first reached that time; the record that matters may have come in a later one, within the lateness.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 4096
"""Batches that are remembered; alerts about older times count from the oldest of these."""


class Arrivals:
    """The batches that moved the greatest event time on."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._clock: list[float] = []

    def note(self, greatest: int | None, clock: float) -> None:
        """Note the greatest event time (ms) of a batch, and the seconds since the epoch when it was read."""
        if greatest is not None and (not self._times or greatest > self._times[-1]):
            self._times.append(greatest)
            self._clock.append(clock)
            if len(self._times) > 2 * MOST:
                del self._times[:MOST], self._clock[:MOST]

    def of(self, times: Iterable[int]) -> list[float]:
        """Give the seconds since the epoch at which each event time (ms) was reached, of later ones the last.

        A time must have been noted.
        """
        last = len(self._clock) - 1
        return [self._clock[min(bisect_left(self._times, time), last)] for time in times]
