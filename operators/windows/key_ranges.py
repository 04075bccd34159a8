"""Partials in state, cut by ranges of their keys' hashes; each range is a list of runs that is merged by itself.

So a merge holds a range twice for a moment, not the state; it works in the processor's caches; and of ranges that have
become full together few are merged in one step, so that no step stops the stream for all keys at once. A range that has
become great is split. What has just come waits uncut until it is worth cutting.

Frames of a state are named `<kind>:<least hash>:<number>`, and `<kind>:new:<number>` what waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.grouping import hashes_of, taken
from operators.windows import runs
from operators.windows.runs import SPARE, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operators.contract import State
    from operators.grouping import Hashes
    from operators.windows.runs import Merge

    Change = Callable[[pl.DataFrame], pl.DataFrame]

MOST = 65_536
"""Rows of a merged range; one with more is split into such of half of it."""
WORTH_CUTTING = 32_768
"""Rows that wait until they are cut, where there are several ranges."""
PART = 8
"""One in so many of the ranges is merged in a step, but for those that are twice as full as they should be."""
_COARSE = ((1 << 16) - 1) << 48
"""Bits of a hash by which ranges are bounded; so few that rows sorted by a part of their hash lie range by range."""
_NEW = "new"


@dataclass(slots=True)
class KeyRange:
    """The runs of keys with hashes from `least` on up to the next range, oldest first."""

    least: int
    runs: list[pl.DataFrame]

    @property
    def fullness(self) -> float:
        """How many rows there are beside the great run, against those there should be at most."""
        first, *rest = (run.height for run in self.runs)
        return sum(rest) / ((SPARE - 1) * first)


@dataclass(slots=True)
class KeyRanges:
    """All partials of a kind. `by`: the columns of the key."""

    by: tuple[str, ...]
    ranges: list[KeyRange] = field(default_factory=list)
    new: list[pl.DataFrame] = field(default_factory=list)

    @staticmethod
    def load(state: State, kind: str, by: tuple[str, ...], *, cut: bool) -> KeyRanges:
        """Take them out of a state; `cut`: whether they were cut by the hash of today, else they wait to be."""
        found = KeyRanges(by)
        for name in sorted(name for name in state if name.startswith(f"{kind}:")):
            _, least, _ = name.split(":")
            if least == _NEW or not cut:
                found.new.append(state[name])
            elif found.ranges and found.ranges[-1].least == int(least, 16):
                found.ranges[-1].runs.append(state[name])
            else:
                found.ranges.append(KeyRange(int(least, 16), [state[name]]))
        return found

    def store(self, kind: str) -> Mapping[str, pl.DataFrame]:
        """Name them for a state; empty ones are left out."""
        frames: dict[str, pl.DataFrame] = {}
        for range_ in self.ranges:
            frames |= runs.store(range_.runs, f"{kind}:{range_.least:016x}")
        return {**frames, **runs.store(self.new, f"{kind}:{_NEW}")}

    @property
    def all(self) -> list[pl.DataFrame]:
        """All runs; those with a key are in the order of their rows."""
        return [run for range_ in self.ranges for run in range_.runs] + self.new

    @property
    def merged_rows(self) -> int:
        """How many rows the great runs of all ranges have."""
        return sum(range_.runs[0].height for range_ in self.ranges)

    def add(self, run: pl.DataFrame) -> None:
        """Put a run behind those there are."""
        if run.height:
            self.new.append(run)

    def change(self, change: Change) -> None:
        """Change every run by itself; ranges without rows go."""
        for range_ in self.ranges:
            range_.runs = [run for run in map(change, range_.runs) if run.height]
        self.ranges = [range_ for range_ in self.ranges if range_.runs]
        self.new = [run for run in map(change, self.new) if run.height]

    def take(self, wanted: Callable[[pl.DataFrame], pl.Series]) -> list[list[pl.DataFrame]]:
        """Take out the rows that are `wanted`; give the runs of each range that has some."""
        self.cut()
        taken = [[part for run in range_.runs if (part := _some(run, wanted(run))).height] for range_ in self.ranges]
        self.change(lambda run: _some(run, ~wanted(run)))
        return [parts for parts in taken if parts]

    def cut(self) -> None:
        """Cut what waits into the ranges."""
        for run in self.new:
            for least, part in _cut(run, self.by, [range_.least for range_ in self.ranges]):
                self._range(least).runs.append(part)
        self.new = []

    def compact(self, merge: Merge) -> None:
        """Merge what has come together."""
        if len(self.ranges) > 1 and sum(run.height for run in self.new) < WORTH_CUTTING:
            self.new = runs.fanned_in(self.new, merge)
            return
        if len(self.ranges) > 1 and len(self.new) > 1:
            self.new = [merge(joined(self.new))]
        self.cut()
        for range_ in self.ranges:
            range_.runs = runs.fanned_in(range_.runs, merge)
        full = sorted((range_ for range_ in self.ranges if range_.fullness > 1), key=lambda range_: -range_.fullness)
        most = max(len(self.ranges) // PART, 1)
        for range_ in full[:most] + [range_ for range_ in full[most:] if range_.fullness > SPARE]:
            self._merge(range_, merge)

    def _merge(self, range_: KeyRange, merge: Merge) -> None:
        merged = merge(joined(range_.runs))
        range_.runs = [merged]
        if merged.height > MOST:
            at = self.ranges.index(range_)
            parts = _cut(merged, self.by, [range_.least, *_bounds(merged, self.by)])
            self.ranges[at : at + 1] = [KeyRange(least, [part]) for least, part in parts]

    def _range(self, least: int) -> KeyRange:
        found = next((range_ for range_ in self.ranges if range_.least == least), None)
        if found is None:
            found = KeyRange(least, [])
            self.ranges.insert(0, found)
        return found


def _bounds(merged: pl.DataFrame, by: Sequence[str]) -> list[int]:
    """Give the least hashes of all parts but the first, into which a range is split."""
    hashes = np.sort(hashes_of(merged.select(by)))
    parts = -(-2 * hashes.size // MOST)
    found = {int(hashes[hashes.size * part // parts]) & _COARSE for part in range(1, parts)}
    return sorted(bound for bound in found if bound > hashes[0])


def _cut(run: pl.DataFrame, by: Sequence[str], leasts: Sequence[int]) -> list[tuple[int, pl.DataFrame]]:
    """Give the rows of each range that has some, with its least hash; the first range takes all hashes below, too."""
    if len(leasts) < 2:  # noqa: PLR2004  # nothing to cut at
        return [(leasts[0] if leasts else 0, run)]
    hashes: Hashes = hashes_of(run.select(by))
    number = np.searchsorted(np.array(leasts[1:], dtype=np.uint64), hashes, side="right")
    sizes = np.bincount(number, minlength=len(leasts))
    if (number[1:] < number[:-1]).any():
        run = taken(run, np.argsort(number.astype(np.uint16), kind="stable"))
    parts = zip(leasts, np.cumsum(sizes) - sizes, sizes, strict=True)
    return [(least, _alone(run.slice(start, size))) for least, start, size in parts if size]


def _some(run: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    return run if wanted.all() else run.filter(wanted)


def _alone(part: pl.DataFrame) -> pl.DataFrame:
    """Give a slice with memory of its own: it may be held long after the other ranges have let theirs go."""
    return pl.concat([part.head(1), part.slice(1)], rechunk=True)
