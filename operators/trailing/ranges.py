"""Windows as ranges of sorted rows, and moments of those ranges by prefix sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    import numpy.typing as npt

    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows

INT64_MOST = 2**63 - 1
PLACES_MOST = 2**62


class Ranges(NamedTuple):
    """One range [low, high) of rows per probe; both ascend, as probes are sorted by (key, time)."""

    low: Ints
    high: Ints

    @property
    def size(self) -> Ints:
        """How many rows each has."""
        return self.high - self.low

    def within(self, chosen: npt.NDArray[np.bool_]) -> Ranges:
        """Give the ranges among the chosen rows only."""
        before = np.concatenate(([0], np.cumsum(chosen)))
        return Ranges(before[self.low], before[self.high])


@dataclass(frozen=True, slots=True)
class Line:
    """Keys and times as places on one line, so that one binary search finds both: key × span + (time - origin)."""

    origin: int
    span: int

    @staticmethod
    def over(keys: int, first: int, last: int) -> Line | None:
        """Give the line for so many keys and these times; None: they do not fit 63 bits."""
        span = last - first + 3
        return Line(first - 1, span) if keys * span < PLACES_MOST else None

    def places(self, key: Ints, time: Ints) -> Ints:
        """Give the places; times outside the line are put at its ends, where no row is."""
        return key * self.span + np.clip(time - self.origin, 0, self.span - 1)


def up_to(rows: Ints, line: Line, key: Ints, time: Ints) -> Ints:
    """Count the rows (as sorted places) of earlier keys, and of the same key with a time <= `time`."""
    return np.searchsorted(rows, line.places(key, time), side="right")


def probe_ranges(rows: Rows, line: Line, key: Ints, time: Ints, offsets: tuple[int, int]) -> Ranges:
    """Give the rows with times in (time - offsets[0], time - offsets[1]] of each probe's key."""
    places = line.places(rows.key, rows.time)
    oldest, newest = offsets
    return Ranges(up_to(places, line, key, time - oldest), up_to(places, line, key, time - newest))


def total(values: pl.Series, ranges: Ranges) -> pl.Series:
    """Give the exact sum of each range, Int64 where that is certain to hold it, else Int128; 0 for an empty range.

    A prefix sum may wrap: the difference of two is right as long as the sum itself fits.
    """
    longest = int(ranges.size.max()) if ranges.low.size else 0
    if values.dtype == pl.Int64 and _greatest(values) * longest <= INT64_MOST:
        prefix = np.concatenate(([0], np.cumsum(values.to_numpy())))
        return pl.Series(prefix[ranges.high] - prefix[ranges.low], dtype=pl.Int64)
    wide = pl.concat([pl.Series([0], dtype=pl.Int128), values.cast(pl.Int128).cum_sum().alias("")])
    return wide.gather(ranges.high) - wide.gather(ranges.low)


def _greatest(values: pl.Series) -> int:
    if not len(values):
        return 0
    return max(-int(values.min()), int(values.max()))  # type: ignore[arg-type]  # Int64 without nulls
