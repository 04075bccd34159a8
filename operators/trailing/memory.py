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
INDEX = (CODE, CODE_TIME, AT)


def piece_of(kept: pl.DataFrame, codes: Ints) -> pl.DataFrame:
    """Give a piece: the kept columns of rows in order of time, with their index."""
    order = np.argsort(codes, kind="stable")
    times = kept.get_column(TIME).to_numpy()
    return kept.with_columns(_index(codes[order], times[order], order))


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


def last_times(codes: Ints, pieces: Pieces) -> Ints:
    """Give the time of the latest row of each code; the least integer for codes without rows."""
    latest = np.full(codes.size, np.iinfo(np.int64).min)
    for piece in pieces:
        known = piece.get_column(CODE).to_numpy()
        at = np.searchsorted(known, codes, side="right") - 1
        there = (at >= 0) & (known[at] == codes)
        latest[there] = piece.get_column(CODE_TIME).to_numpy()[at[there]]
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
        """Give the values of a column, in order."""
        return self.pick(name, None)

    def pick(self, name: str, places: Ints | None) -> pl.Series:
        """Give the values of a column at some places."""
        parts = [piece.get_column(name).gather(at) for piece, at in zip(self.pieces, self.found, strict=True)]
        return pl.concat(parts, rechunk=True).gather(self.order if places is None else self.order[places])


def rows_of(codes: Ints, pieces: Pieces, after: int) -> Rows:
    """Find the rows of codes (sorted, distinct) with a time later than `after`."""
    keys, times, found = [], [], []
    for piece in pieces:
        key, where = _ranges(piece.get_column(CODE).to_numpy(), codes)
        time = piece.get_column(CODE_TIME).to_numpy()[where]
        young = time > after
        keys.append(key[young])
        times.append(time[young])
        found.append(piece.get_column(AT).to_numpy()[where[young]])
    if not pieces:
        nothing = np.zeros(0, dtype=np.int64)
        return Rows(nothing, nothing, nothing, (), ())
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    return Rows(key[order], np.concatenate(times)[order], order, pieces, tuple(found))


def _ranges(known: Ints, codes: Ints) -> tuple[Ints, Ints]:
    """Give (index of the code, place) for all places of sorted `known` that hold one of the codes."""
    low = np.searchsorted(known, codes)
    counts = np.searchsorted(known, codes, side="right") - low
    key = np.repeat(np.arange(codes.size), counts)
    within = np.arange(key.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return key, low[key] + within
