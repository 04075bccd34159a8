"""When and how large a simulation is, and the rhythm of its day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from streams.simulator.dice import Dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.simulator.dice import Wholes

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ZONE = "Asia/Shanghai"
OFFSET = 8 * HOUR
"""Shanghai keeps one offset all year."""

EVENING = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()) * SECOND
"""Monday 2 March 2026, 17:00 in Shanghai."""

CALLING = (2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 18, 16, 14, 15, 16, 17, 19, 20, 18, 16, 13, 9, 5)
PAYING = (2, 1, 1, 1, 1, 1, 3, 8, 10, 11, 13, 20, 22, 15, 12, 12, 14, 18, 22, 21, 17, 12, 7, 4)
MOVING = (1, 1, 1, 1, 1, 3, 8, 19, 20, 11, 8, 9, 11, 9, 8, 9, 12, 20, 21, 14, 9, 7, 5, 3)
"""Weight of each local hour of a working day; shapes as every network and till shows them, the figures are ours."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One run of the simulator: `start` in ms since the epoch, `minutes` of event time, `scale` of ordinary traffic."""

    seed: int
    start: int = EVENING
    minutes: int = 120
    scale: float = 1.0

    @property
    def end(self) -> int:
        """The first millisecond after the run."""
        return self.start + self.minutes * MINUTE

    def dice(self, name: str) -> Dice:
        """Give the random numbers of one part."""
        return Dice(self.seed, name)

    def scaled(self, number: int, least: int = 1) -> int:
        """Give how many there are at this scale."""
        return max(least, round(number * self.scale))

    def moment(self, minute: float) -> int:
        """Give the time `minute` minutes after the start."""
        return self.start + round(minute * MINUTE)

    def times(self, dice: Dice, size: int, rhythm: Sequence[float]) -> Wholes:
        """Draw event times over the run, as dense as `rhythm` says of each local hour."""
        edges, weights = self._hours(rhythm)
        steps = np.concatenate([[0.0], np.cumsum(weights)])
        drawn = np.interp(dice.unit(size) * steps[-1], steps, edges)
        return np.asarray(np.minimum(np.floor(drawn), self.end - 1), dtype=np.int64)

    def _hours(self, rhythm: Sequence[float]) -> tuple[list[int], list[float]]:
        first = self.start - self.start % HOUR + HOUR
        edges = [self.start, *range(first, self.end, HOUR), self.end]
        hours = [(edge + OFFSET) // HOUR % 24 for edge in edges[:-1]]
        spans = [after - before for before, after in pairwise(edges)]
        return edges, [rhythm[hour] * span for hour, span in zip(hours, spans, strict=True)]
