"""Windows as ranges of sorted rows, and moments of those ranges by prefix sums."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    import numpy.typing as npt

    from operators.trailing.keyring import Ints

INT64_MOST = 2**63 - 1
PLACES_MOST = 2**62
NEAR = 2
"""So many rows before an edge that is known are looked at before one is searched for: short windows hold few."""
SAMPLE = 256
"""Of so many probes at least it is tried whether this pays."""


class Ranges(NamedTuple):
    """One range [low, high) of rows per probe; both ascend where probes are sorted by (key, time)."""

    low: Ints
    high: Ints

    @property
    def size(self) -> Ints:
        """How many rows each has."""
        return self.high - self.low

    def taken(self, places: Ints) -> Ranges:
        """Give those at some places."""
        return Ranges(self.low.take(places), self.high.take(places))

    def covered(self, rows: int) -> npt.NDArray[np.bool_]:
        """Tell of so many rows which lie in any range."""
        change = np.bincount(self.low, minlength=rows + 1) - np.bincount(self.high, minlength=rows + 1)
        covered: npt.NDArray[np.bool_] = np.cumsum(change)[:rows] > 0
        return covered

    def within(self, chosen: npt.NDArray[np.bool_]) -> Ranges:
        """Give the ranges among the chosen rows only."""
        before = np.concatenate(([0], np.cumsum(chosen)))
        return Ranges(before.take(self.low), before.take(self.high))


@dataclass(frozen=True, slots=True)
class Line:
    """Keys and times as places on one line, so that one binary search finds both: key * span + (time - origin)."""

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


@dataclass(slots=True)
class Edges:
    """Where the windows of probes begin and end among the rows; an edge that windows share is searched once.

    `rows`: the sorted places of the rows. `key` and `time` of each probe, sorted for speed. `found`: by the age of the
    edge; what is known beforehand may be put there.
    """

    line: Line
    rows: Ints
    key: Ints
    time: Ints
    found: dict[int, Ints] = field(default_factory=dict)

    def before(self, age: int) -> Ints:
        """Count the rows of earlier keys, and those of the probe's key with a time <= its time - age."""
        if age not in self.found:
            places = self.line.places(self.key, self.time - age)
            younger = max((other for other in self.found if other < age), default=None)
            most = None if younger is None else self.found[younger]
            self.found[age] = self.up_to(places, most)
        return self.found[age]

    def ranges(self, oldest: int, youngest: int) -> Ranges:
        """Give the rows with times in (time - oldest, time - youngest] of each probe's key."""
        high = self.before(youngest)
        return Ranges(self.before(oldest), high)

    def up_to(self, places: Ints, most: Ints | None = None) -> Ints:
        """Count the rows up to each place; `most`: so many at most."""
        if most is None:
            return np.searchsorted(self.rows, places, side="right")
        rows, count = np.concatenate(([-1], self.rows)), most.copy()
        some = slice(None, None, 1 + count.size // SAMPLE)
        far = rows[np.maximum(count[some] - NEAR, 0)] > places[some]
        if np.count_nonzero(far) * 2 > far.size:
            return np.searchsorted(self.rows, places, side="right")
        for _ in range(NEAR):
            count -= rows.take(count) > places
        left = np.flatnonzero(rows.take(count) > places)
        count[left] = np.searchsorted(self.rows, places[left], side="right")
        return count


def prefix_sums(values: pl.Series) -> PrefixSums:
    """Give what the sums of ranges are read from; nulls count as 0."""
    values = values.fill_null(0)
    greatest = max(-int(values.min()), int(values.max())) if len(values) else 0  # type: ignore[arg-type]  # integers
    if greatest > INT64_MOST:
        return PrefixSums(greatest, None, values)
    return PrefixSums(greatest, np.concatenate(([0], np.cumsum(values.cast(pl.Int64).to_numpy()))), values)


class PrefixSums(NamedTuple):
    """Running sums of a column. They may wrap: a difference of two is right as long as the sum itself fits.

    `greatest`: the greatest absolute value. `narrow`: running sums of 64 bits, if single values fit.
    """

    greatest: int
    narrow: Ints | None
    values: pl.Series

    def of(self, ranges: Ranges) -> pl.Series:
        """Give the exact sum of each range, 0 for an empty one: Int64 where all of them fit, else Int128."""
        longest = int(ranges.size.max(initial=0))
        if self.narrow is not None and self.greatest * longest <= INT64_MOST:
            return pl.Series(self.narrow.take(ranges.high) - self.narrow.take(ranges.low), dtype=pl.Int64)
        wide = self.values.cast(pl.Int128).cum_sum()
        wide = pl.concat([pl.Series(wide.name, [0], dtype=pl.Int128), wide])
        return wide.gather(ranges.high) - wide.gather(ranges.low)
