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
DENSE = 2
"""Where more than one in so many rows is needed, all are put together at once."""
INDEX = (CODE, CODE_TIME, AT)


def piece_of(kept: pl.DataFrame, order: Ints, codes: Ints) -> pl.DataFrame:
    """Give a piece: the kept columns of rows in order of time, with their index.

    `order`: the places of the rows by (code, time). `codes`: the codes in that order, ascending.
    """
    return kept.with_columns(_index(codes, kept.get_column(TIME).to_numpy()[order], order))


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
    parts = [_after(piece, after) for piece in pieces]
    codes, times = (np.concatenate(column) for column in list(zip(*(index for _, index in parts), strict=True))[:2])
    starts = np.cumsum([0, *(kept.height for kept, _ in parts)])
    at = np.concatenate([index[2] + start for (_, index), start in zip(parts, starts, strict=False)])
    order = np.argsort(codes, kind="stable")  # of sorted runs: a merge
    kept = pl.concat([kept for kept, _ in parts], rechunk=True)
    return kept.with_columns(_index(codes.take(order), times.take(order), at.take(order)))


def recoded(piece: pl.DataFrame, known: Ints, codes: Ints) -> pl.DataFrame:
    """Give the piece with other codes for its keys; `known`: the old ones, sorted."""
    new = codes[np.searchsorted(known, piece.get_column(CODE).to_numpy())]
    order = np.argsort(new, kind="stable")
    times, at = piece.get_column(CODE_TIME).to_numpy(), piece.get_column(AT).to_numpy()
    return piece.with_columns(_index(new[order], times[order], at[order]))


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


def _after(piece: pl.DataFrame, after: int | None) -> tuple[pl.DataFrame, tuple[Ints, Ints, Ints]]:
    """Give the kept columns of a piece's rows after a time, and their index."""
    codes, times, at = (piece.get_column(name).to_numpy() for name in INDEX)
    kept = pl.DataFrame([column for column in piece.get_columns() if column.name not in INDEX])
    gone = 0 if after is None else int(np.searchsorted(piece.get_column(TIME).to_numpy(), after, side="right"))
    if not gone:
        return kept, (codes, times, at)
    young = times > after
    return kept.slice(gone), (codes[young], times[young], at[young] - gone)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of some keys, sorted by (key, time, order of arrival).

    `key`: index of each row's key among the codes asked for. `source`: where each row lies when all pieces are put
    behind each other. `newest` and `end`: the places, for each key, where its rows from the last piece begin and where
    its rows end. `own`: the places of the rows from the last piece.
    """

    key: Ints
    time: Ints
    source: Ints
    newest: Ints
    end: Ints
    own: Ints
    pieces: Pieces

    def column(self, name: str) -> pl.Series:
        """Give the values of a column, in order."""
        return gathered([piece.get_column(name) for piece in self.pieces], self.source)


def gathered(parts: Sequence[pl.Series], places: Ints) -> pl.Series:
    """Give the values at some places of series that are put behind each other; what is not needed is not touched."""
    lengths = [len(part) for part in parts]
    if len(parts) > 1 and places.size * DENSE < sum(lengths):
        needed = np.zeros(sum(lengths), dtype=np.bool_)
        needed[places] = True
        chosen = np.split(needed, np.cumsum(lengths)[:-1])
        parts = [part.filter(pl.Series(some)) for part, some in zip(parts, chosen, strict=True)]
        places = (np.cumsum(needed) - 1)[places]
    whole = pl.concat(parts, rechunk=True) if len(parts) > 1 else parts[0]
    return whole.gather(pl.Series(places.astype(np.uint32)))


def rows_of(codes: Ints, pieces: Sequence[pl.DataFrame]) -> Rows:
    """Find the rows of codes (sorted, distinct); there must be pieces, the last of which has rows of these only.

    Pieces follow each other in time: where a row goes is known from how many rows each piece has of each code.
    """
    lows, counts = zip(*(_spans(piece, codes) for piece in pieces), strict=True)
    before = np.cumsum(counts, axis=0) - counts
    of_code = before[-1] + counts[-1]
    first = np.cumsum(of_code) - of_code
    time, source = np.empty(int(of_code.sum()), dtype=np.int64), np.empty(int(of_code.sum()), dtype=np.int64)
    start = 0
    for piece, low, count, earlier in zip(pieces, lows, counts, before, strict=True):
        times, at = piece.get_column(CODE_TIME).to_numpy(), piece.get_column(AT).to_numpy()
        if count.sum() < at.size:
            some = spread(low, count)
            times, at = times.take(some), at.take(some)
        place = spread(first + earlier, count)
        time[place] = times
        source[place] = at + start
        start += piece.height
    key = np.repeat(np.arange(codes.size), of_code)
    return Rows(key, time, source, first + before[-1], first + of_code, place, tuple(pieces))


def _spans(piece: pl.DataFrame, codes: Ints) -> tuple[Ints, Ints]:
    """Give where the rows of each code begin in the index of a piece, and how many there are."""
    known = piece.get_column(CODE).to_numpy()
    low = np.searchsorted(known, codes)
    return low, np.searchsorted(known, codes, side="right") - low


def spread(first: Ints, count: Ints) -> Ints:
    """Give `count` consecutive numbers from each `first` on."""
    return np.arange(int(count.sum())) + np.repeat(first - np.cumsum(count) + count, count)
