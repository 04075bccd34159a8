"""Random numbers that stay the same: only the raw bits of PCG64, which NumPy keeps stable, and arithmetic of ours.

NumPy may change how its `Generator` turns bits into distributions from one version to the next; the bit stream itself
is fixed. So the same seed gives the same bytes on another version too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Wholes = npt.NDArray[np.int64]
    Truths = npt.NDArray[np.bool_]


class Dice:
    """One independent stream of random numbers, named, so that adding a part leaves the others as they are.

    `seed`: at least 0. `name`: what the numbers are for.
    """

    def __init__(self, seed: int, name: str) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, crc32(name.encode())]))

    def unit(self, size: int) -> Floats:
        """Give numbers in [0, 1), 53 bits each."""
        raw = self._bits.random_raw(size)
        return (np.asarray(raw, dtype=np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def between(self, low: float, high: float, size: int) -> Floats:
        """Give numbers in [low, high)."""
        return low + (high - low) * self.unit(size)

    def whole(self, low: int, high: int, size: int) -> Wholes:
        """Give integers in [low, high)."""
        drawn: Wholes = low + np.floor(self.unit(size) * (high - low)).astype(np.int64)
        return drawn

    def waiting(self, mean: float, size: int) -> Floats:
        """Give exponential waiting times with this mean."""
        return -mean * np.log1p(-self.unit(size))

    def normal(self, size: int) -> Floats:
        """Give standard normal numbers (Box and Muller 1958)."""
        radius = np.sqrt(-2.0 * np.log1p(-self.unit(size)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.unit(size)), dtype=np.float64)

    def chance(self, probability: float, size: int) -> Truths:
        """Give True with this probability."""
        return np.asarray(self.unit(size) < probability, dtype=np.bool_)

    def weighted(self, weights: Sequence[float], size: int) -> Wholes:
        """Give indices 0 … len(weights) - 1 in proportion to the weights."""
        steps = np.cumsum(np.asarray(weights, dtype=np.float64))
        return np.asarray(np.searchsorted(steps, self.unit(size) * steps[-1], side="right"), dtype=np.int64)

    def distinct(self, of: int, size: int) -> Wholes:
        """Give `size` different integers in [0, of), in random order."""
        if size > of:
            raise ValueError(f"cannot draw {size} different numbers out of {of}")
        return np.argsort(self.unit(of), kind="stable")[:size].astype(np.int64)
