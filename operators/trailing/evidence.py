"""The latest events behind each trailing row, by arithmetic on the places of sorted rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.trailing.memory import gathered, spread
from tocsin.model.rows import EVIDENCE, EVIDENCE_DTYPE, EVIDENCE_ITEM, EVIDENCE_MOST, ID, POSITION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows
    from operators.trailing.ranges import Ranges

ITEM = "__item"


def source(columns: Sequence[str]) -> pl.Expr:
    """Give what is kept of a row to name it later: the pair (id, position), or a list of such for rows of features."""
    position = pl.col(POSITION) if POSITION in columns else pl.lit(None, dtype=pl.Int64)
    pair = pl.struct(pl.col(ID).alias("id"), position.alias("position"))
    if EVIDENCE not in columns:
        return pair.alias(ITEM)
    return pl.when(pl.col(EVIDENCE).is_null()).then(pl.concat_list(pair)).otherwise(pl.col(EVIDENCE)).alias(ITEM)


def single(columns: Sequence[str]) -> pl.Expr:
    """Give the one item that names a row best: itself, or the latest event behind the row of a feature."""
    return pl.col(EVIDENCE).list.last().alias(ITEM) if EVIDENCE in columns else source(columns)


def paired(first: pl.Series, second: pl.Series, count: pl.Series) -> pl.Series:
    """Give lists of both items, or of the second only where `count` is 1."""
    rows = len(first)
    order = np.arange(2 * rows).reshape(2, rows).T.ravel()
    items = pl.concat([first, second.alias(first.name)], rechunk=True).gather(order).reshape((rows, 2))
    lists = pl.DataFrame({EVIDENCE: items, "count": count}).select(pl.col(EVIDENCE).arr.to_list().list.tail("count"))
    return lists.to_series().cast(EVIDENCE_DTYPE)


def latest(rows: Rows, ranges: Ranges, own: pl.Series | None, asker: Ints) -> pl.Series:
    """Give the last EVIDENCE_MOST items of each range, oldest first.

    `own`: items of the rows that ask, where these do not lie in their own range; they stand last. `asker`: the index of
    each range's row in `own`, -1 for an empty row, which has none.
    """
    parts = [piece.get_column(ITEM) for piece in rows.pieces]
    count = np.minimum(ranges.size, EVIDENCE_MOST)
    asks = np.zeros(count.size, dtype=np.int64) if own is None else (asker >= 0).astype(np.int64)
    count = np.minimum(count, EVIDENCE_MOST - asks)
    first, count = ranges.high - count, count + asks
    if own is not None:
        parts = [*parts, own]
    if parts[0].dtype != EVIDENCE_DTYPE:
        return _pairs(parts, _last_places(rows, ranges.high + asks, asks, asker), count)
    # What stands behind the range's last row gives way to the row itself.
    source = np.append(rows.source, 0)[spread(first, count)]
    if own is not None:
        own_rows = np.flatnonzero(asks)
        source[np.cumsum(count)[own_rows] - 1] = sum(len(part) for part in parts[:-1]) + asker[own_rows]
    return _lists(gathered(parts, source), count)


def _last_places(rows: Rows, ends: Ints, asks: Ints, asker: Ints) -> Ints:
    """Give where the last EVIDENCE_MOST items before each end lie, or anywhere if there are fewer."""
    near = np.append(rows.source, 0)
    slots = np.empty((ends.size, EVIDENCE_MOST), dtype=np.int64)
    for slot in range(EVIDENCE_MOST):
        slots[:, slot] = near[np.maximum(ends - EVIDENCE_MOST + slot, 0)]
    own = np.flatnonzero(asks)
    slots[own, -1] = sum(piece.height for piece in rows.pieces) + asker[own]
    return slots.ravel()


def _pairs(parts: Sequence[pl.Series], places: Ints, count: Ints) -> pl.Series:
    """Give lists of the last `count` of EVIDENCE_MOST pairs each; columns are gathered faster than structs."""
    if not any(len(part) for part in parts):
        return pl.Series(EVIDENCE, [[]], dtype=EVIDENCE_DTYPE).new_from_index(0, count.size)
    fields = [gathered([part.struct.field(name) for part in parts], places) for name in EVIDENCE_ITEM.to_schema()]
    items = pl.DataFrame(fields, schema=list(EVIDENCE_ITEM.to_schema())).to_struct()
    lists = items.reshape((-1, EVIDENCE_MOST)).arr.to_list().alias(EVIDENCE)
    if not count.size or count.min() == EVIDENCE_MOST:
        return lists
    cut = pl.DataFrame([lists, pl.Series("count", count)]).select(pl.col(EVIDENCE).list.tail("count"))
    return cut.to_series()


def _lists(items: pl.Series, count: Ints) -> pl.Series:
    """Give one list of so many lists of items each.

    Groups that lie behind each other, as Polars knows of a sorted column, become lists at once.
    """
    some = np.flatnonzero(count)
    owner = pl.Series("owner", np.repeat(np.arange(some.size, dtype=np.uint32), count[some])).set_sorted()
    flat = pl.DataFrame({"owner": owner, EVIDENCE: items})
    flat = flat.explode(EVIDENCE).drop_nulls(EVIDENCE).unique(keep="last", maintain_order=True)
    found = flat.group_by("owner", maintain_order=True).agg(pl.col(EVIDENCE).tail(EVIDENCE_MOST))
    some = some[found.get_column("owner").to_numpy()]
    return _at(found.get_column(EVIDENCE).cast(EVIDENCE_DTYPE), some, count.size)


def _at(lists: pl.Series, places: Ints, size: int) -> pl.Series:
    """Put lists at their places of so many; the others are empty."""
    if places.size == size:
        return lists
    index = np.full(size, places.size, dtype=np.uint32)
    index[places] = np.arange(places.size)
    return pl.concat([lists, pl.Series(EVIDENCE, [[]], dtype=EVIDENCE_DTYPE)], rechunk=True).gather(pl.Series(index))
