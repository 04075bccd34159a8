"""The head of every keyed stage: rows in, in event-time order and once.

Rows wait until the watermark has passed their time. Then those of one key, id and time are one row (semantics 11), rows
of streams without an id are numbered, and all leave sorted by `__time`; those of one key and time by `__id`. Everything
behind may rely on that, but for what the compiler put behind a head that sorts `by_key`: row-wise steps, and windows
that group rows by key at once. In which order keys follow one another within a time means nothing.

Of rows that come in order of time only those of one time are looked at. Of others, one sort of one integer per row does
nearly all of it: its time, as much of a hash of its key as there is room for, and its place, which comes out sorted so
(three times as quick as sorting the places). Rows of one time and hash are few; only they are compared by id and
content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.grouping import hashes_of, taken
from tocsin.model.rows import HASH, ID, POSITION, TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.grouping import Hashes, Index
    from tocsin.model.rows import Schema

CONTENT = "__content"
_BITS = 63
_HASH_LEAST = 16
"""Bits of the key's hash below which times are numbered instead of counted in ms, to leave room for more."""


class Released(NamedTuple):
    """What a step lets through, what still waits, and how many duplicates were dropped."""

    rows: pl.DataFrame
    waiting: pl.DataFrame
    duplicates: int


@dataclass(frozen=True, slots=True)
class Reorder:
    """The buffer of one input.

    `key`: the stage's key columns. `schema`: the columns kept. `source`: rows come straight from a stream, so copies
    are possible; rows of another stage come once. `numbered`: the stream has no id; equal rows are told apart by their
    number. `by_key`: rows leave sorted by a hash of the key, those of one key by time, for an operator that takes them
    so (`PaneWindows`).
    """

    key: tuple[str, ...]
    schema: Schema
    source: bool
    numbered: bool = False
    by_key: bool = False

    def step(self, arrived: Sequence[pl.DataFrame], waiting: pl.DataFrame, watermark: int | None) -> Released:
        """Let through the rows with time <= watermark; None: all of them."""
        parts = [part for part in (waiting, *arrived) if part.height] or [waiting]
        rows = pl.concat(parts, rechunk=True) if len(parts) > 1 else parts[0].rechunk()
        times = rows.get_column(TIME).to_numpy()
        due = np.ones(times.size, dtype=np.bool_) if watermark is None else times <= watermark
        at = np.flatnonzero(due)
        if not at.size:
            return Released(rows.clear(), rows, 0)
        waiting = rows.clear() if at.size == times.size else rows.filter(~due)
        ordered = self._in_order(rows, times, at)
        if ordered is None:
            return Released(self._named(rows.head(at.size)), waiting, 0)
        return Released(self._named(taken(rows, ordered)), waiting, int(at.size - ordered.size))

    def _in_order(self, rows: pl.DataFrame, times: Index, at: Index) -> Index | None:
        """Give the places of the rows `at`, in order, copies left out; None if they lead and are in order already."""
        own = times[at]
        falls = self.by_key or bool((own[1:] < own[:-1]).any())
        some = np.arange(at.size) if falls else _beside_equal(own)
        order, ranked = _sorted(own[some], self._key_hash(rows, at[some]), by_key=self.by_key)
        places = at[order] if falls else at.copy()
        tied = _beside_equal(ranked)
        if tied.size:
            among = tied if falls else some[order[tied]]
            places[among] = self._untied(rows, places[among], ranked[tied])
        if at[-1] == at.size - 1 and (places == at).all():
            return None
        return places[places >= 0] if self.source else places

    def _key_hash(self, rows: pl.DataFrame, at: Index) -> Hashes:
        if not self.key:
            return np.zeros(at.size, dtype=np.uint64)
        keys = rows.select(self.key)
        return hashes_of(keys)[at] if at.size > rows.height // 2 else hashes_of(taken(keys, at))

    def _untied(self, rows: pl.DataFrame, places: Index, ranks: Index) -> Index:
        """Order rows of one rank by id and content; of copies the first one stays, the others become -1."""
        columns = [*self.key, ID, TIME, *([HASH, POSITION] if self.source else [])]
        few = rows.select(columns)[places].with_columns(pl.Series("__rank", ranks), pl.Series("__place", places))
        if not self.source and few.select("__rank", ID).n_unique() < few.height:
            few = few.with_columns(self._content(rows[places]))
        content = [name for name in (HASH, CONTENT, POSITION) if name in few.columns]
        few = few.sort("__rank", *([] if self.numbered else [ID]), *content)
        if not self.source or self.numbered:
            return few.get_column("__place").to_numpy()
        copy = few.select(pl.struct(*self.key, ID, TIME).is_first_distinct().not_()).to_series().to_numpy()
        return np.where(copy, -1, few.get_column("__place").to_numpy())

    def _content(self, rows: pl.DataFrame) -> pl.Series:
        """Give a hash of what the author sees of rows.

        One event under several keys of another feature gives rows with one id, which are told apart by nothing else.
        """
        return rows.select(list(self.schema.columns)).hash_rows().alias(CONTENT)

    def _named(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give rows of a stream without ids one: their content's hash and their number among equal ones."""
        if not self.numbered:
            return rows
        number = pl.int_range(pl.len()).over(TIME, HASH)
        return rows.with_columns(pl.concat_str(HASH, number, separator="#").alias(ID))


def _beside_equal(values: Index) -> Index:
    """Give the places of the values that are equal to one beside them."""
    same = values[1:] == values[:-1]
    beside = np.zeros(values.size, dtype=np.bool_)
    beside[1:] = same
    beside[:-1] |= same
    return np.flatnonzero(beside)


def _sorted(times: Index, hashes: Hashes, *, by_key: bool = False) -> tuple[Index, Index]:
    """Give the order by time and hash, and in that order a number that is equal for rows of one time and hash.

    `by_key`: by hash and time.
    """
    if not times.size:
        return times, times
    packed = times - times.min()
    place_bits, time_bits = times.size.bit_length(), int(packed.max()).bit_length()
    if time_bits + place_bits + _HASH_LEAST > _BITS:
        packed = _narrowed(packed, _BITS - place_bits - _HASH_LEAST)
        time_bits = int(packed.max()).bit_length()
    hash_bits = _BITS - time_bits - place_bits
    # in place: pages of new arrays would cost as much as the work on them
    packed <<= place_bits + (0 if by_key else hash_bits)
    hashes = hashes >> np.uint64(64 - hash_bits)
    hashes <<= np.uint64(place_bits + (time_bits if by_key else 0))
    packed |= hashes.view(np.int64)
    packed |= np.arange(times.size)
    packed.sort()
    places = packed & ((1 << place_bits) - 1)
    packed >>= place_bits
    return places, packed


def _narrowed(times: Index, bits: int) -> Index:
    """Number times in their order, equal ones alike: by whole seconds, or else by their places among the distinct."""
    seconds, rest = np.divmod(times, 1000)
    if not rest.any() and int(seconds.max()).bit_length() <= bits:
        return seconds
    return np.unique(times, return_inverse=True)[1].astype(np.int64)
