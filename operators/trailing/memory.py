"""The rows that trailing windows look back on, found by key and time without touching those of other keys.

A piece holds rows in the order in which they came, which is that of time, and beside them an index, sorted by (code,
time): the code of the key, the time, and where the row lies in the piece. Only the index is ever sorted; texts stay
where they are. Pieces follow each other in time, so a stable sort by code alone keeps time in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.trailing.keyring import CODE
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.trailing.keyring import Ints
    from operators.trailing.pieces import Pieces

CODE_TIME = "__code_time"
AT = "__at"
DIGIT = 16
LOW = (1 << DIGIT) - 1
INDEX = (CODE, CODE_TIME, AT)


def piece_of(kept: pl.DataFrame, key: Ints, codes: Ints) -> pl.DataFrame:
    """Give a piece: the kept columns of rows in order of time, with their index.

    `key`: of each row, its key's index in `codes`, which are sorted.
    """
    order = stable_order(key)
    times = kept.get_column(TIME).to_numpy()
    return kept.with_columns(_index(codes[key[order]], times[order], order))


def stable_order(key: Ints) -> Ints:
    """Give the stable order of indices by radix sort: 16 bits at a time, which is as far as numpy's goes."""
    order = np.argsort((key & LOW).astype(np.uint16), kind="stable")
    high = key >> DIGIT
    while high.any():
        order = order[np.argsort((high[order] & LOW).astype(np.uint16), kind="stable")]
        high >>= DIGIT
    return order


def merge(pieces: Sequence[pl.DataFrame], after: int | None = None) -> pl.DataFrame:
    """Merge consecutive pieces into one; `after`: only rows with a later time."""
    if after is not None:
        pieces = [_trimmed(piece, after) for piece in pieces]
    starts = np.cumsum([0, *(piece.height for piece in pieces)])[:-1]
    codes = np.concatenate([piece.get_column(CODE).to_numpy() for piece in pieces])
    times = np.concatenate([piece.get_column(CODE_TIME).to_numpy() for piece in pieces])
    at = np.concatenate([piece.get_column(AT).to_numpy() + start for piece, start in zip(pieces, starts, strict=True)])
    order = np.argsort(codes, kind="stable")
    kept = pl.concat([piece.drop(INDEX) for piece in pieces], rechunk=True)
    return kept.with_columns(_index(codes[order], times[order], at[order]))


def recoded(piece: pl.DataFrame, known: Ints, codes: Ints) -> pl.DataFrame:
    """Give the piece with other codes for its keys; `known`: the old ones, sorted."""
    new = codes[np.searchsorted(known, piece.get_column(CODE).to_numpy())]
    order = np.argsort(new, kind="stable")
    times, at = piece.get_column(CODE_TIME).to_numpy(), piece.get_column(AT).to_numpy()
    return piece.with_columns(_index(new[order], times[order], at[order]))


def taken(frame: pl.DataFrame, places: Ints) -> pl.DataFrame:
    """Give the rows at some places; all columns at once, unlike indexing."""
    return frame.select(pl.all().gather(pl.Series(places.astype(np.uint32))))


def last_times(codes: Ints, pieces: Pieces, column: str = CODE_TIME) -> Ints:
    """Give the time of the latest row of each code; the least integer for codes without rows.

    `column`: where the times of pieces stand that are sorted by code.
    """
    latest = np.full(codes.size, np.iinfo(np.int64).min)
    for piece in pieces:
        known = piece.get_column(CODE).to_numpy()
        if not known.size:
            continue
        at = np.searchsorted(known, codes, side="right") - 1
        there = (at >= 0) & (known[at] == codes)
        latest[there] = piece.get_column(column).to_numpy()[at[there]]
    return latest


def _index(codes: Ints, times: Ints, at: Ints) -> list[pl.Series]:
    return [pl.Series(name, values, dtype=pl.Int64) for name, values in zip(INDEX, (codes, times, at), strict=True)]


def _trimmed(piece: pl.DataFrame, after: int) -> pl.DataFrame:
    gone = int(np.searchsorted(piece.get_column(TIME).to_numpy(), after, side="right"))
    if not gone:
        return piece
    index = piece.select(INDEX).filter(pl.col(AT) >= gone).with_columns(pl.col(AT) - gone)
    return piece.drop(INDEX).slice(gone).with_columns(index)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of some keys, sorted by (key, time, order of arrival).

    `key`: index of each row's key among the codes asked for. `order`: where each row stands when the `found` rows of
    all pieces are put behind each other.
    """

    key: Ints
    time: Ints
    order: Ints
    pieces: Pieces
    found: tuple[Ints, ...]

    def column(self, name: str) -> pl.Series:
        """Give the values of a column, in order; there must be pieces."""
        parts = [piece.get_column(name).gather(at) for piece, at in zip(self.pieces, self.found, strict=True)]
        return pl.concat(parts, rechunk=True).gather(self.order)

    def pick(self, name: str, places: Ints) -> pl.Series:
        """Give the values of a column at some places; those of other rows are not touched."""
        source = self.order[places]
        needed = np.zeros(self.key.size, dtype=np.bool_)
        needed[source] = True
        ends = np.cumsum([at.size for at in self.found])[:-1]
        chosen = [at[some] for at, some in zip(self.found, np.split(needed, ends), strict=True)]
        parts = [piece.get_column(name).gather(at) for piece, at in zip(self.pieces, chosen, strict=True)]
        compact = (np.cumsum(needed) - 1).astype(np.uint32)
        return pl.concat(parts, rechunk=True).gather(pl.Series(compact[source]))


def rows_of(codes: Ints, pieces: Sequence[pl.DataFrame], after: int) -> Rows:
    """Find the rows of codes (sorted, distinct) with a time later than `after`; there must be pieces."""
    keys, times, found = zip(*(_found(piece, codes, after) for piece in pieces), strict=True)
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    return Rows(key[order], np.concatenate(times)[order], order, tuple(pieces), found)


def _found(piece: pl.DataFrame, codes: Ints, after: int) -> tuple[Ints, Ints, Ints]:
    """Give the key's index, the time and the place of the rows that a piece has of the codes."""
    known, time, at = (piece.get_column(name).to_numpy() for name in INDEX)
    low = np.searchsorted(known, codes)
    counts = np.searchsorted(known, codes, side="right") - low
    key = np.repeat(np.arange(codes.size), counts)
    if key.size < known.size:
        where = np.arange(key.size) + np.repeat(low - np.cumsum(counts) + counts, counts)
        time, at = time[where], at[where]
    young = time > after
    return (key, time, at) if young.all() else (key[young], time[young], at[young])
