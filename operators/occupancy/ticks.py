"""The ticks of an occupancy: multiples of `every`; a tick's row has the time tick - 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from operators.contract import Instant


@dataclass(frozen=True, slots=True)
class Ticks:
    """Every so many ms from the epoch."""

    every: int

    def done(self, watermark: int) -> int:
        """Give the greatest tick whose rows are due at the watermark."""
        return (watermark + 1) // self.every * self.every

    def last(self, instant: Instant) -> int:
        """Give the last tick of a step: in the closing step the one in progress at `until`, too."""
        if instant.until is None:
            return self.done(instant.watermark)
        return -(-(instant.until + 1) // self.every) * self.every

    def after(self, time: pl.Expr) -> pl.Expr:
        """Give the first tick after each time: the one at which an event of that time counts first."""
        return time // self.every * self.every + self.every
