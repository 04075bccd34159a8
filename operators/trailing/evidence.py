"""The latest events behind each trailing row, by arithmetic on the places of sorted rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tocsin.model.rows import EVIDENCE, EVIDENCE_DTYPE, EVIDENCE_ITEM, EVIDENCE_MOST, ID, POSITION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows
    from operators.trailing.ranges import Ranges

ITEM = "__item"
LAST = np.arange(EVIDENCE_MOST, 0, -1)


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
    size = ranges.low.size
    if not size:
        return pl.Series(EVIDENCE, [], dtype=EVIDENCE_DTYPE)
    places = np.maximum(ranges.high[:, None] - LAST, 0)
    count = np.minimum(ranges.size, EVIDENCE_MOST)
    if not rows.key.size:
        items = pl.Series([None], dtype=EVIDENCE_ITEM if own is None else own.dtype).new_from_index(0, places.size)
    else:
        items = rows.pick(ITEM, places.ravel())
    if own is None:
        return _lists(items, count)
    index = np.arange(places.size).reshape(places.shape)
    asks = asker >= 0
    index[asks, :-1] = index[asks, 1:]
    index[asks, -1] = places.size + asker[asks]
    items = pl.concat([items, own], rechunk=True).gather(index.ravel())
    return _lists(items, np.minimum(count + asks, EVIDENCE_MOST))


def _lists(items: pl.Series, taken: Ints) -> pl.Series:
    """Cut each range's items to those that count; lists of items become one list."""
    if items.dtype == EVIDENCE_DTYPE:
        return _flattened(items, taken)
    rows = pl.DataFrame({EVIDENCE: items.reshape((taken.size, EVIDENCE_MOST)), "taken": taken})
    return rows.select(pl.col(EVIDENCE).arr.to_list().list.tail("taken")).to_series().cast(EVIDENCE_DTYPE)


def _flattened(items: pl.Series, taken: Ints) -> pl.Series:
    where = np.repeat(np.arange(taken.size), EVIDENCE_MOST)
    counted = np.arange(EVIDENCE_MOST)[None, :] >= (EVIDENCE_MOST - taken)[:, None]
    flat = pl.DataFrame({"range": where, EVIDENCE: items}).filter(pl.Series(counted.ravel())).explode(EVIDENCE)
    flat = flat.drop_nulls(EVIDENCE).unique(keep="last", maintain_order=True)
    lists = flat.group_by("range", maintain_order=True).agg(pl.col(EVIDENCE).tail(EVIDENCE_MOST))
    everyone = pl.DataFrame({"range": pl.int_range(taken.size, eager=True)})
    filled = everyone.join(lists, on="range", how="left", maintain_order="left").get_column(EVIDENCE)
    return filled.fill_null(pl.Series([[]], dtype=EVIDENCE_DTYPE)).alias(EVIDENCE)
