"""The evidence of windows that slide: a key's latest events as of an end, as far as they lie in the window.

What is carried has the last items of each key with their panes; what comes in is put behind them, so no pane is read
twice. Rows of items have columns ITEMS and PANES; AT is the end at which they come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.windows import items
from operators.windows.ending import END, PANE
from tocsin.model.rows import EVIDENCE, EVIDENCE_MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.grouping import Groups, Index, Mask
    from operators.windows.ending import Ending

PANES = tuple(f"#pane{number}" for number in range(EVIDENCE_MOST))
AT = "#at"
_INDEX, _FROM, _ROW, _START = "#index", "#from", "#row", "#start"


def known(rows: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Give the latest items of each key, with their panes; `rows` are the first of those that are grouped."""
    return items.latest(rows, groups, [PANES])


def inside(latest: pl.DataFrame, end: Ending, window: int) -> pl.DataFrame:
    """Count only the items that lie in the window of the one end of a step."""
    start = end.grid.start(window, pl.Series([end.most])).item()
    return _cut(latest, lambda panes: panes >= start).select(items.ITEMS)


def still_inside(latest: pl.DataFrame, end: Ending, window: int) -> pl.DataFrame:
    """Count only the items that lie in windows after a step, too."""
    oldest = end.grid.oldest(window, end.most)
    return _cut(latest, lambda panes: panes >= oldest)


def at_each_end(merged: pl.DataFrame, rows: pl.DataFrame, end: Ending, window: int) -> pl.DataFrame:
    """Add the items to merged partials, whose ends are those of a step."""
    lists = _with_evidence(merged, _all_items(end, rows), end, window)
    return lists.with_columns(items.of_lists(lists)).drop(EVIDENCE)


def _cut(latest: pl.DataFrame, wanted: Callable[[Index], Mask]) -> pl.DataFrame:
    """Count only the items in panes that are wanted: the latest ones, as panes follow each other."""
    has = latest.get_column(items.HAS).to_numpy()
    left = np.zeros(has.size, dtype=np.int64)
    for name, back in zip(PANES, items.BACK, strict=True):
        left += wanted(latest.get_column(name).to_numpy()) & (has >= back)
    return latest.with_columns(pl.Series(items.HAS, left))


def _all_items(end: Ending, rows: pl.DataFrame) -> pl.DataFrame:
    """Give a row per item, by key and in time order, with its key's first index."""
    panes = items.interleaved(rows.select(PANES).get_columns()).reshape((-1, EVIDENCE_MOST)).arr.to_list()
    cut = rows.select(*end.by, AT, items.lists(rows), panes.alias(PANE), items.HAS)
    ordered = cut.with_columns(pl.col(PANE).list.tail(items.HAS)).filter(pl.col(items.HAS) > 0).explode(EVIDENCE, PANE)
    ordered = ordered.sort(*end.by, PANE, maintain_order=True)
    ordered = ordered.with_row_index(_INDEX).with_columns(pl.col(_INDEX).cast(pl.Int64))
    first = pl.when(~_same(end.by, 1)).then(pl.col(_INDEX)).forward_fill()
    return ordered.with_columns(first.alias(_FROM))


def _with_evidence(merged: pl.DataFrame, every: pl.DataFrame, end: Ending, window: int) -> pl.DataFrame:
    """Add `__evidence` to merged partials."""
    rows = _found(merged, every, end).with_row_index(_ROW)
    start = end.grid.start(window, rows.get_column(END)).alias(_START)
    wanted = rows.select(_ROW, _INDEX, _FROM).with_columns(start).drop_nulls(_INDEX)
    back = [wanted.with_columns(pl.col(_INDEX) - number) for number in reversed(range(EVIDENCE_MOST))]
    each = pl.concat(back).filter(pl.col(_INDEX) >= pl.col(_FROM)).sort(_ROW, maintain_order=True)
    at = every.select(PANE, EVIDENCE)[each.get_column(_INDEX)]
    each = each.hstack(at).filter(pl.col(PANE) >= pl.col(_START))
    lists = each.group_by(_ROW, maintain_order=True).agg(EVIDENCE)
    return rows.join(lists, on=_ROW, how="left", maintain_order="left").drop(_ROW, _INDEX, _FROM, AT, strict=False)


def _found(merged: pl.DataFrame, every: pl.DataFrame, end: Ending) -> pl.DataFrame:
    """Add to each row the index of its key's last item as of its end."""
    steps = every.filter(~_same((*end.by, AT), -1)).select(*end.by, _INDEX, _FROM, AT)
    return merged.sort(END).join_asof(steps.sort(AT), left_on=END, right_on=AT, by=list(end.by), check_sortedness=False)


def _same(columns: Sequence[str], distance: int) -> pl.Expr:
    """Whether the row `distance` above (below: negative) has the same values."""
    return pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name).shift(distance)) & pl.col(_INDEX).shift(distance).is_not_null()
        for name in columns
    )
