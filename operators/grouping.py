"""Rows by group, found by sorting hashes of their keys, which costs the same whatever the number of keys.

A hash of the key and the row's place lie in one integer each; sorted, rows of one key lie together in their own order.
Neighbours are then compared by their keys themselves, so that two keys of one hash are never taken for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Index = npt.NDArray[np.int64]
    Hashes = npt.NDArray[np.uint64]
    Mask = npt.NDArray[np.bool_]

GROUP = "#group"
_BITS = 63
_INT64_MOST = 2**63 - 1
_NARROW = frozenset({pl.Int8, pl.Int16, pl.Int32, pl.Int64})


@dataclass(frozen=True, slots=True)
class Groups:
    """`order`: places of rows so that those of a group are together, in row order. `starts`: where groups begin in it.

    Groups are numbered in that order, which is that of hashes and means nothing. `sorted`: the rows lie in that order
    already.
    """

    order: Index
    starts: Index
    sorted: bool = False

    @property
    def alone(self) -> bool:
        """Whether every row is a group, and the rows lie in their order."""
        return self.sorted and self.starts.size == self.order.size

    @property
    def ends(self) -> Index:
        """Where groups end in `order`."""
        return np.append(self.starts[1:], self.order.size)[: self.starts.size]

    @property
    def sizes(self) -> Index:
        """How many rows each group has."""
        return np.diff(self.starts, append=self.order.size)

    @property
    def numbers(self) -> npt.NDArray[np.uint32]:
        """The number of each row's group."""
        numbers = np.empty(self.order.size, dtype=np.uint32)
        numbers[self.order] = np.repeat(np.arange(self.starts.size, dtype=np.uint32), self.sizes)
        return numbers

    def places(self, numbers: Index) -> Index:
        """Give the places of the rows with some numbers in the order."""
        return numbers if self.sorted else self.order.take(numbers)

    def firsts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give the first row of each group."""
        return rows if self.alone else taken(rows, self.places(self.starts))

    def sums(self, values: pl.Series) -> pl.Series:
        """Add up integers, or count true ones; null is nothing. Int64, or Int128 where that could be too little."""
        array = _narrow(values)
        if array is None:
            wide = values.cast(pl.Int128).to_frame()
            return self.aggregated(wide, [pl.col(values.name).sum()]).to_series()
        if self.alone or not array.size:
            return pl.Series(values.name, array, dtype=pl.Int64)
        running = np.cumsum(array if self.sorted else array.take(self.order), dtype=np.int64)
        up_to = running.take(self.ends - 1)
        return pl.Series(values.name, np.diff(up_to, prepend=0), dtype=pl.Int64)

    def there(self, values: pl.Series) -> pl.Series:
        """Count values that are not null."""
        if not values.null_count():
            return pl.Series(values.name, self.sizes, dtype=pl.Int64)
        return self.sums(values.is_not_null())

    def aggregated(self, rows: pl.DataFrame, expressions: Sequence[pl.Expr]) -> pl.DataFrame:
        """Aggregate by any expressions, one row per group."""
        numbered = rows.with_columns(pl.Series(GROUP, self.numbers, dtype=pl.UInt32))
        return numbered.group_by(GROUP).agg(*expressions).sort(GROUP).drop(GROUP)


def _narrow(values: pl.Series) -> Index | None:
    """Give integers or Booleans in at most 64 bits if no sum of them can be beyond it."""
    narrow = values if values.dtype in _NARROW else values.cast(pl.Int64, strict=False)
    if narrow.null_count():
        if narrow.null_count() != values.null_count():
            return None
        narrow = narrow.fill_null(0)
    array: Index = narrow.to_numpy()
    reach = max(abs(int(array.min())), abs(int(array.max()))) if array.size else 0
    return array if reach * array.size <= _INT64_MOST else None


def taken(rows: pl.DataFrame, places: Index) -> pl.DataFrame:
    """Give the rows at some places; all columns at once, unlike indexing."""
    return rows.select(pl.all().gather(pl.Series(places.astype(np.uint32))))


def gathered(values: pl.Series, places: Index) -> pl.Series:
    """Give the values at some places; of integers in a third of the time that Polars takes, of others by no query."""
    if values.dtype in _NARROW and not values.null_count():
        return pl.Series(values.name, values.to_numpy().take(places), dtype=values.dtype)
    return values[pl.Series(places.astype(np.uint32))]


def hashes_of(keys: pl.DataFrame) -> Hashes:
    """Give a hash per row; of several columns in a third of the time that the hash of a struct takes."""
    hashed = keys.to_series().hash() if keys.width == 1 else keys.hash_rows()
    return hashed.to_numpy()


def grouped(keys: pl.DataFrame, ascending: int = 0, *, hashes: Hashes | None = None, bits: int = _BITS) -> Groups:
    """Group rows by all columns of `keys`.

    `ascending`: how many of the last columns never fall from row to row of one key (panes), so that the others alone
    order the rows. `hashes`: of the keys, by default `hashes_of`; groups come in their order. `bits`: of a place and
    what is left for the hash, fewer to test with.
    """
    if not keys.height:
        nothing = np.zeros(0, dtype=np.int64)
        return Groups(nothing, nothing)
    own = keys.select(keys.columns[: keys.width - ascending])
    hashes = hashes_of(own) if hashes is None else hashes
    order, apart = _sorted(hashes, bits)
    differs = _differ(own, order)
    if (differs != apart).any():
        _tell_apart(own, order, apart)
        differs = _differ(own, order)
    if ascending:
        differs |= _differ(keys.select(keys.columns[-ascending:]), order)
    return Groups(order, np.concatenate([[0], np.flatnonzero(differs) + 1]))


def _sorted(hashes: Hashes, bits: int) -> tuple[Index, Mask]:
    """Give the order by hash and place, and for each row but the first whether its hash is not that before."""
    place_bits = hashes.size.bit_length()
    packed = hashes >> np.uint64(64 - bits + place_bits)
    packed <<= np.uint64(place_bits)
    packed |= np.arange(hashes.size, dtype=np.uint64)
    packed.sort()
    order = (packed & np.uint64((1 << place_bits) - 1)).astype(np.int64)
    packed >>= np.uint64(place_bits)
    return order, packed[1:] != packed[:-1]


def neighbours(keys: pl.DataFrame, *, least: float = 0.0) -> Groups:
    """Group only rows that lie beside each other: all of a key, or most of it, where rows are sorted by its hash.

    `least`: where fewer than this part of the rows would be spared, every row is a group.
    """
    order = np.arange(keys.height)
    if not keys.height:
        return Groups(order, order, sorted=True)
    starts = np.concatenate([[0], np.flatnonzero(_differ(keys)) + 1])
    return Groups(order, order if starts.size > (1 - least) * order.size else starts, sorted=True)


def _differ(keys: pl.DataFrame, order: Index | None = None) -> Mask:
    """Say for each row in order, but the first, whether its key is another than that of the row before."""
    height = keys.height
    differs = np.zeros(height - 1, dtype=np.bool_)
    places = None if order is None else pl.Series(order.astype(np.uint32))
    for column in keys.get_columns():
        if column.dtype == pl.Int64 and not column.null_count():
            values = column.to_numpy() if order is None else column.to_numpy().take(order)
            differs |= values[1:] != values[:-1]
        else:
            sorted_ = column if places is None else column.gather(places)
            differs |= sorted_.slice(1).ne_missing(sorted_.slice(0, height - 1)).to_numpy()
    return differs


def _tell_apart(keys: pl.DataFrame, order: Index, apart: Mask) -> None:
    """Put rows of one key together where several keys share a hash; the rarest of events, so it may cost something."""
    run = np.concatenate([[0], np.cumsum(apart)])
    places = pl.Series(order.astype(np.uint32))
    told = keys.select(pl.all().gather(places)).with_columns(pl.Series("#run", run), pl.Series("#place", order))
    first = pl.col("#place").first().over("#run", *keys.columns)
    order[:] = told.select(pl.col("#place").sort_by("#run", first, "#place")).to_series().to_numpy()
