"""Aggregates of ascending ranges that no prefix sum gives: extremes, distinct values, order statistics.

All work on plain arrays, without a loop over rows, keys or ranges, in memory proportional to rows and ranges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from operators.trailing import keyring
from operators.trailing.ranges import Ranges

if TYPE_CHECKING:
    import numpy.typing as npt

    from operators.trailing.keyring import Ints

    Numbers = npt.NDArray[Any]


def extreme(values: Numbers, ranges: Ranges, *, least: bool) -> Numbers:
    """Give the least or greatest value of each range; ranges must not be empty.

    A sparse table, one level at a time: a range of n is covered by two blocks of the greatest power of two <= n.
    """
    better = np.minimum if least else np.maximum
    result = np.empty(ranges.low.size, dtype=values.dtype)
    level_of = np.frexp(ranges.size)[1] - 1
    block = values
    for level in range(int(level_of.max(initial=-1)) + 1):
        chosen = np.flatnonzero(level_of == level)
        result[chosen] = better(block[ranges.low[chosen]], block[ranges.high[chosen] - (1 << level)])
        block = better(block[: -(1 << level)], block[1 << level :])
    return result


def extreme_place(order: pl.Series, ranges: Ranges, *, least: bool) -> Ints:
    """Give the place of the earliest row with the least or greatest `order` (without nulls) of each range."""
    ranks = order.rank("dense").cast(pl.Int64).to_numpy()
    places = np.arange(ranks.size)
    if least:
        return extreme(ranks * ranks.size + places, ranges, least=True) % max(ranks.size, 1)
    found = extreme(ranks * ranks.size + places[::-1], ranges, least=False) % max(ranks.size, 1)
    return np.asarray(ranks.size - 1 - found)


def count_distinct(values: pl.Series, ranges: Ranges) -> Ints:
    """Count the distinct values (without nulls) of each range."""
    counts = np.minimum(ranges.size, 1)
    several = np.flatnonzero(ranges.size > 1)
    if several.size:
        there = Ranges(ranges.low[several], ranges.high[several])
        covered = there.covered(len(values))
        counts[several] = _count_distinct(values.filter(pl.Series(covered)), there.within(covered))
    return counts


def _count_distinct(values: pl.Series, ranges: Ranges) -> Ints:
    """Count them where no range is empty.

    Row i stands for its value in the probes from the first whose range reaches beyond i, until one reaches beyond the
    value's next occurrence or begins after i.
    """
    size, probes = len(values), ranges.low.size
    _, order, counts = keyring.grouped(values.to_frame("value"), ["value"])
    following = np.full(size, size)
    following[order[:-1]] = order[1:]
    following[order[np.cumsum(counts) - 1]] = size
    not_beyond = np.cumsum(np.bincount(ranges.high, minlength=size + 1))
    begun = np.cumsum(np.bincount(ranges.low, minlength=size + 1))
    first = not_beyond[:size]
    end = np.maximum(first, np.minimum(not_beyond[following], begun[:size]))
    change = np.bincount(first, minlength=probes + 1) - np.bincount(end, minlength=probes + 1)
    reached: Ints = np.cumsum(change)[:probes]
    return reached


def smallest(ranks: Ints, ranges: Ranges, nth: Ints) -> Ints:
    """Give the nth smallest (from 0) of the ranks (>= 0) of each range; 0 <= nth < size of the range.

    A wavelet matrix, one bit at a time (Claude, Navarro, Ordóñez, The wavelet matrix, 2015).
    """
    low, high = ranges
    result = np.zeros(low.size, dtype=np.int64)
    for bit in reversed(range(int(ranks.max(initial=0)).bit_length())):
        ones = (ranks >> bit) & 1 == 1
        zeros = np.concatenate(([0], np.cumsum(~ones)))
        below = zeros[high] - zeros[low]
        right = nth >= below
        result |= right.astype(np.int64) << bit
        nth = np.where(right, nth - below, nth)
        low = np.where(right, zeros[-1] + low - zeros[low], zeros[low])
        high = np.where(right, zeros[-1] + high - zeros[high], zeros[high])
        ranks = np.concatenate((ranks[~ones], ranks[ones]))
    return result
