"""Keys as numbers: a code per key, by which retained rows are sorted and found.

A code is the key's hash, or the next free number where another key has it already: codes tell keys apart exactly, and
no result depends on the hash (semantics 14).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators import grouping
from tocsin.model.keys import HASH_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from operators.trailing.pieces import Pieces

    Ints = npt.NDArray[np.int64]

CODE = "__code"
HASH = f"{HASH_VERSION}, by column"
"""Which hash codes are made of."""
HASH_BITS = 62
REACH = 64
"""How far from its hash a key's code may lie; more equal hashes do not happen with 63 bits."""


class Found(NamedTuple):
    """The codes of distinct keys, and the keys that were new, sorted by code, as a piece."""

    codes: Ints
    added: pl.DataFrame


class Grouped(NamedTuple):
    """Rows by their keys. `keys`: each once. `order`: places of the rows, key by key, in the order they came in.

    `counts`: how many rows each key has.
    """

    keys: pl.DataFrame
    order: Ints
    counts: Ints

    @property
    def slots(self) -> Ints:
        """Give for each row the index of its key."""
        slots = np.empty_like(self.order)
        slots[self.order] = np.repeat(np.arange(self.counts.size), self.counts)
        return slots

    def ranked(self, rank: Ints) -> tuple[Ints, Ints]:
        """Give the order of the rows by the rank of their key, and in that order those ranks."""
        ranks = np.repeat(rank, self.counts)
        if (rank[1:] > rank[:-1]).all():
            return self.order, ranks
        again = np.argsort(ranks, kind="stable")
        return self.order[again], ranks[again]


def grouped(rows: pl.DataFrame, by: Sequence[str]) -> Grouped:
    """Group rows by key.

    Keys come in the order of their hashes, which is that of codes as long as no two hashes are equal.
    """
    columns = rows.select(by)
    groups = grouping.grouped(columns, hashes=hashes(columns).astype(np.uint64) << np.uint64(64 - HASH_BITS))
    return Grouped(groups.firsts(columns), groups.order, groups.sizes)


def distinct(rows: pl.DataFrame, by: Sequence[str]) -> tuple[pl.DataFrame, Ints]:
    """Give the distinct keys of the rows, and for each row the index of its key."""
    found = grouped(rows, by)
    return found.keys, found.slots


def hashes(keys: pl.DataFrame) -> Ints:
    """Give a hash of HASH_BITS bits per key."""
    return (grouping.hashes_of(keys) >> np.uint64(64 - HASH_BITS)).astype(np.int64)


def find(keys: pl.DataFrame, pieces: Pieces) -> Found:
    """Give the code of every key; keys that no piece knows get one."""
    wanted = hashes(keys)
    codes = np.full(keys.height, -1, dtype=np.int64)
    for piece in pieces:
        _find_in(piece, keys, wanted, codes)
    fresh = np.flatnonzero(codes < 0)
    codes[fresh] = _free(wanted[fresh], pieces)
    order = fresh[np.argsort(codes[fresh])]
    return Found(codes, keys[order].with_columns(pl.Series(CODE, codes[order], dtype=pl.Int64)))


def merge(pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merge pieces of keys into one."""
    return pl.concat(pieces).sort(CODE)


def known_in(keys: pl.DataFrame, codes: Ints) -> pl.DataFrame:
    """Give the keys whose codes are among some, which ascend."""
    wanted = keys.get_column(CODE).to_numpy()
    here = np.searchsorted(codes, wanted, side="right") > np.searchsorted(codes, wanted)
    return keys.filter(pl.Series(here))


def key_of(codes: Ints, pieces: Pieces, by: Sequence[str]) -> pl.DataFrame:
    """Give the key columns of codes that are known; `pieces`: at least one."""
    parts: list[pl.DataFrame] = []
    places: list[Ints] = []
    for piece in pieces:
        at, known = _at(piece, codes)
        parts.append(piece.select(by)[at[known]])
        places.append(np.flatnonzero(known))
    return pl.concat(parts)[np.argsort(np.concatenate(places))]


def _find_in(piece: pl.DataFrame, keys: pl.DataFrame, wanted: Ints, codes: Ints) -> None:
    known = piece.get_column(CODE).to_numpy()
    place = np.searchsorted(known, wanted)
    open_ = np.flatnonzero(codes < 0)
    while open_.size:
        inside = place[open_] < known.size
        open_ = open_[inside]
        open_ = open_[known[place[open_]] - wanted[open_] < REACH]
        same = _equal(keys[open_], piece.select(keys.columns)[place[open_]])
        codes[open_[same]] = known[place[open_[same]]]
        open_ = open_[~same]
        place[open_] += 1


def _equal(left: pl.DataFrame, right: pl.DataFrame) -> npt.NDArray[np.bool_]:
    same = np.ones(left.height, dtype=np.bool_)
    for name in left.columns:
        same &= left.get_column(name).eq_missing(right.get_column(name)).to_numpy()
    return same


def _at(piece: pl.DataFrame, codes: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    known = piece.get_column(CODE).to_numpy()
    at = np.minimum(np.searchsorted(known, codes), known.size - 1)
    return at, known[at] == codes


def _free(wanted: Ints, pieces: Pieces) -> Ints:
    """Give each hash, or the next number that is free where it is taken."""
    codes = wanted.copy()
    taken = np.zeros(codes.size, dtype=np.bool_)
    for piece in pieces:
        taken |= _at(piece, codes)[1]
    order = np.argsort(codes, kind="stable")
    taken[order[1:]] |= codes[order[1:]] == codes[order[:-1]]
    if taken.any():
        # Equal hashes are the rarest of events, so a loop over them costs nothing.
        used = set(codes[~taken].tolist()).union(*(piece.get_column(CODE).to_list() for piece in pieces))
        for at in np.flatnonzero(taken).tolist():
            while int(codes[at]) in used:
                codes[at] += 1
            used.add(int(codes[at]))
    return codes
