"""Batches of several partitions of a stream as one: a pass over columns costs nearly the same for few rows as for many.

Records of one batch keep their offsets. In a batch of several, each is named by its *position*, partition << 48 |
offset, which ascends from part to part, too; what names records by offsets (decoder, dead letters) need not know.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streams.sources.contract import Records
from tocsin.model.rows import POSITION_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

    from streams.codecs.reasons import Dead
    from streams.ingest.lateness import State
    from streams.sources.contract import RawBatch


class Part(NamedTuple):
    """The next records of a partition, and the state of the ingest stage before them."""

    partition: int
    raw: RawBatch
    state: State

    @property
    def base(self) -> int:
        """The position of offset 0."""
        return self.partition << POSITION_BITS


class Whole(NamedTuple):
    """Parts as one batch. `base`: what makes positions of its offsets."""

    parts: Sequence[Part]
    raw: RawBatch
    base: int

    def apart(self, rows: pl.DataFrame, offsets: pl.Series) -> list[pl.DataFrame]:
        """Give the rows of each part; `offsets`: of the rows in the batch, by which they ascend."""
        least = [part.base - self.base for part in self.parts[1:]]
        between: list[int] = np.searchsorted(offsets.to_numpy(), least).tolist()
        return [rows[begin:end] for begin, end in pairwise([0, *between, rows.height])]

    def own(self, part: Part, letters: Iterable[Dead]) -> list[Dead]:
        """Give the letters of a part."""
        return [letter for letter in letters if letter.offset + self.base >> POSITION_BITS == part.partition]

    def under_own_offsets(self, part: Part, letters: Iterable[Dead]) -> list[Dead]:
        """Give letters of a part as its partition names them, in order."""
        moved = (_moved(letter, self.base - part.base) for letter in letters)
        return sorted(moved, key=lambda letter: letter.offset)


def whole_of(parts: Sequence[Part]) -> Whole:
    """Put parts together, at least one; several are Records, in the order of their partitions."""
    if len(parts) == 1:
        return Whole(parts, parts[0].raw, parts[0].base)
    return Whole(parts, Records.joined([_by_position(part) for part in parts]), 0)


def _by_position(part: Part) -> Records:
    raw = part.raw
    if not isinstance(raw, Records):
        raise TypeError(f"columns of partition {part.partition} cannot be joined")
    return replace(
        raw,
        first=raw.first + part.base,
        offsets=None if raw.offsets is None else raw.offsets + part.base,
        dead=tuple(_moved(letter, part.base) for letter in raw.dead),
    )


def _moved(letter: Dead, by: int) -> Dead:
    return letter._replace(offset=letter.offset + by)
