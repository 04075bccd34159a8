"""Evidence in partials: the latest events of a group, in plain columns, so that groups are cut and merged by gathering.

Ids and positions have a column per event each, the latest event in the last ones; HAS says how many of them count, and
in those that do not stands anything. (Lists or structs would be gathered five times as slowly.) In state, ids may be
numbers (`operators.windows.ids`), and numbers narrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.grouping import gathered
from tocsin.model.rows import EVIDENCE, EVIDENCE_MOST, ID, POSITION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.grouping import Groups, Index

IDS = tuple(f"#id{number}" for number in range(EVIDENCE_MOST))
POSITIONS = tuple(f"#position{number}" for number in range(EVIDENCE_MOST))
HAS = "#has"
ITEMS = (HAS, *IDS, *POSITIONS)
OWN = (pl.col(ID).alias(IDS[-1]), pl.col(POSITION).alias(POSITIONS[-1]))
"""The evidence of a row of a stream: itself."""
BACK = range(EVIDENCE_MOST, 0, -1)
"""How far from the end each item stands."""


def _same(ids: pl.Series) -> pl.Series:
    return ids


def of_lists(rows: pl.DataFrame) -> list[pl.Series]:
    """Give the items of rows that have evidence as a list."""
    lists = rows.get_column(EVIDENCE)
    has = lists.list.len().fill_null(0).clip(upper_bound=EVIDENCE_MOST).cast(pl.Int64).alias(HAS)
    columns = [has]
    for back in BACK:
        item = lists.list.get(-back, null_on_oob=True).struct
        columns += [item.field("id").alias(IDS[-back]), item.field("position").alias(POSITIONS[-back])]
    return columns


def lists(rows: pl.DataFrame, texts: Callable[[pl.Series], pl.Series] = _same) -> pl.Series:
    """Give the items of each row as a list again. `texts`: gives the ids of what stands for them."""
    ids, positions = (interleaved(rows.select(names).get_columns()) for names in (IDS, POSITIONS))
    items = pl.DataFrame([texts(ids), positions.cast(pl.Int64)], schema=["id", "position"]).to_struct()
    full = items.reshape((-1, EVIDENCE_MOST)).arr.to_list().alias(EVIDENCE)
    if rows.is_empty() or rows.get_column(HAS).min() == EVIDENCE_MOST:
        return full
    return rows.select(HAS).with_columns(full).select(pl.col(EVIDENCE).list.tail(HAS)).to_series()


def interleaved(columns: Sequence[pl.Series]) -> pl.Series:
    """Put columns into one, row by row."""
    width, height = len(columns), columns[0].len()
    places = (np.arange(width)[None, :] * height + np.arange(height)[:, None]).ravel()
    return gathered(_behind(columns), places)


def latest_rows(rows: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Give the items of the latest rows of each group; every row has one."""
    ids, positions = rows.get_column(IDS[-1]), rows.get_column(POSITIONS[-1])
    if groups.alone:
        return _alone(ids, positions)
    starts, ends = groups.starts, groups.ends
    places = [groups.places(np.maximum(ends - back, starts)) for back in BACK]
    return pl.DataFrame(
        [
            pl.Series(HAS, np.minimum(ends - starts, EVIDENCE_MOST)),
            *(gathered(ids, at).alias(name) for name, at in zip(IDS, places, strict=True)),
            *(gathered(positions, at).alias(name) for name, at in zip(POSITIONS, places, strict=True)),
        ]
    )


def latest(rows: pl.DataFrame, groups: Groups, also: Sequence[tuple[str, ...]] = ()) -> pl.DataFrame:
    """Give the latest items of each group of rows that have several.

    `also`: other columns that stand beside the items, a name for each of an item. `rows`: those that were grouped, or
    the first of them, if the others have no items.
    """
    places, has = _places(rows.get_column(HAS).cast(pl.Int64).to_numpy(), groups)
    columns = [pl.Series(HAS, has, dtype=pl.Int64)]
    for names in (IDS, POSITIONS, *also):
        behind = _behind(rows.select(names).get_columns())
        columns += [gathered(behind, at).alias(name) for name, at in zip(names, places, strict=True)]
    return pl.DataFrame(columns)


def _alone(ids: pl.Series, positions: pl.Series) -> pl.DataFrame:
    """Give one item per row; what does not count takes as little room as it can."""
    has, nothing = (pl.Series([value], dtype=pl.Int8).new_from_index(0, ids.len()) for value in (1, 0))
    before = [nothing.alias(name) for name in POSITIONS[:-1]]
    return pl.DataFrame([has.alias(HAS), *(ids.alias(name) for name in IDS), *before, positions])


class _Places(NamedTuple):
    """For each item to be: where it lies in the item's columns put behind each other; and how many count."""

    places: list[Index]
    has: Index


def _places(counts: Index, groups: Groups) -> _Places:
    """Walk back from the last row of each group, an item at a time."""
    order, starts, row = groups.order, groups.starts, groups.ends - 1
    ordered = np.append(counts, np.zeros(order.size - counts.size, dtype=np.int64)).take(order)
    if not ordered.all():
        some = ordered > 0
        up_to = np.concatenate([[0], np.cumsum(some)])
        order, ordered, starts, row = order[some], ordered[some], up_to[starts], up_to[row + 1] - 1
    if not order.size:
        return _Places([np.zeros_like(row)] * EVIDENCE_MOST, np.zeros_like(row))
    has, used = np.zeros_like(row), np.zeros_like(row)
    places: list[Index] = []
    for _ in BACK:
        has += row >= starts
        at = np.maximum(row, 0)
        places.append((EVIDENCE_MOST - 1 - used) * counts.size + order.take(at))
        used += 1
        used *= used < ordered.take(at)
        row = row - (used == 0)
    return _Places(places[::-1], has)


def _behind(columns: Sequence[pl.Series]) -> pl.Series:
    """Put columns behind each other; numbers may be of several widths."""
    same = len({column.dtype for column in columns}) == 1
    return pl.concat(
        [column.alias("") if same else column.alias("").cast(pl.Int64) for column in columns], rechunk=True
    )
