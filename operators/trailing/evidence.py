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
FULL = 0.75
"""The part of all places of lists from which on it is quicker to fill the others, too, and to cut them off."""


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
    asks = np.zeros(asker.size, dtype=np.int64) if own is None else (asker >= 0).astype(np.int64)
    count = np.minimum(ranges.size, EVIDENCE_MOST - asks) + asks
    pairs = parts[0].dtype != EVIDENCE_DTYPE
    full = pairs and count.sum() > FULL * EVIDENCE_MOST * count.size
    laid = np.full_like(count, EVIDENCE_MOST) if full else count
    # What stands behind the range's last row gives way to the row itself.
    source = np.append(rows.source, 0).take(np.maximum(spread(ranges.high + asks - laid, laid), 0))
    if own is not None:
        own_rows = np.flatnonzero(asks)
        source[np.cumsum(laid)[own_rows] - 1] = sum(len(part) for part in parts) + asker[own_rows]
        parts = [*parts, own]
    return _pairs(parts, source, count, full=full) if pairs else _lists(parts, source, count)


def _pairs(parts: Sequence[pl.Series], places: Ints, count: Ints, *, full: bool) -> pl.Series:
    """Give one list of so many pairs each; columns are gathered faster than structs.

    `full`: there are EVIDENCE_MOST places for each, and the last of them count.
    """
    fields = [gathered([part.struct.field(name) for part in parts], places) for name in EVIDENCE_ITEM.to_schema()]
    items = pl.DataFrame(fields, schema=list(EVIDENCE_ITEM.to_schema())).to_struct(EVIDENCE)
    if not full:
        some, flat = _owned(items, count)
        return _at(flat.group_by("owner", maintain_order=True).agg(EVIDENCE).get_column(EVIDENCE), some, count.size)
    lists = items.reshape((-1, EVIDENCE_MOST)).arr.to_list().alias(EVIDENCE)
    if count.min() == EVIDENCE_MOST:
        return lists
    return pl.DataFrame([lists, pl.Series("count", count)]).select(pl.col(EVIDENCE).list.tail("count")).to_series()


def _owned(items: pl.Series, count: Ints) -> tuple[Ints, pl.DataFrame]:
    """Give which rows have items, and each item with the number of its row among those.

    Groups that lie behind each other, as Polars knows of a sorted column, become lists at once.
    """
    some = np.flatnonzero(count)
    owner = pl.Series("owner", np.repeat(np.arange(some.size, dtype=np.uint32), count[some])).set_sorted()
    return some, pl.DataFrame({"owner": owner, EVIDENCE: items})


def _lists(parts: Sequence[pl.Series], places: Ints, count: Ints) -> pl.Series:
    """Give the last items of so many lists of items each."""
    some, flat = _owned(gathered(parts, places), count)
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
