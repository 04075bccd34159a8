"""The evidence of windows that slide: a key's latest events as of an end, as far as they lie in the window.

State: the last items of each key, with their panes; what comes in is put behind them, so no pane is read twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from operators.windows.ending import END, PANE
from tocsin.model.rows import EVIDENCE, EVIDENCE_MOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.windows.ending import Ending

_AT, _INDEX, _FROM, _ROW, _START = "#at", "#index", "#from", "#row", "#start"


def evidence_items(end: Ending, partials: Sequence[pl.DataFrame], late: pl.DataFrame | None) -> pl.DataFrame:
    """Give a row per item, by key and in time order, with the end where it comes in (AT) and its key's first index."""
    items = [] if late is None else [late.with_columns(pl.lit(None, dtype=pl.Int64).alias(_AT))]
    for run in partials:
        rows = run.lazy().filter(end.fresh).select(*end.by, PANE, EVIDENCE).collect()
        due = rows.with_columns(end.grid.first_end(rows.get_column(PANE)).alias(_AT))
        items.append(due.explode(EVIDENCE).drop_nulls(EVIDENCE))
    ordered = pl.concat(items).sort(*end.by, PANE, maintain_order=True).with_row_index(_INDEX)
    ordered = ordered.with_columns(pl.col(_INDEX).cast(pl.Int64))
    first = pl.when(~_same(end.by, 1)).then(pl.col(_INDEX)).forward_fill()
    return ordered.with_columns(first.alias(_FROM))


def latest_items(items: pl.DataFrame, end: Ending, wide: int) -> pl.DataFrame:
    """Give the items to keep: the last of each key, as far as a later window can hold them."""
    kept = items.filter(~_same(end.by, -EVIDENCE_MOST)).select(*end.by, PANE, EVIDENCE)
    return kept.filter(end.grid.last_end(wide, kept.get_column(PANE)) > end.most)


def with_evidence(merged: pl.DataFrame, items: pl.DataFrame, end: Ending, wide: int) -> pl.DataFrame:
    """Add `__evidence` to merged partials."""
    rows = _found(merged, items, end).with_row_index(_ROW)
    start = end.grid.start(wide, rows.get_column(END)).alias(_START)
    wanted = rows.select(_ROW, _INDEX, _FROM).with_columns(start).drop_nulls(_INDEX)
    back = [wanted.with_columns(pl.col(_INDEX) - number) for number in reversed(range(EVIDENCE_MOST))]
    each = pl.concat(back).filter(pl.col(_INDEX) >= pl.col(_FROM)).sort(_ROW, maintain_order=True)
    at = items.select(PANE, EVIDENCE)[each.get_column(_INDEX)]
    each = each.hstack(at).filter(pl.col(PANE) >= pl.col(_START))
    lists = each.group_by(_ROW, maintain_order=True).agg(EVIDENCE)
    return rows.join(lists, on=_ROW, how="left", maintain_order="left").drop(_ROW, _INDEX, _FROM, _AT, strict=False)


def _found(merged: pl.DataFrame, items: pl.DataFrame, end: Ending) -> pl.DataFrame:
    """Add to each row the index of its key's last item as of its end."""
    if end.is_one_hop:
        last = items.filter(~_same(end.by, -1)).select(*end.by, _INDEX, _FROM)
        return merged.join(last, on=end.by, how="left")
    steps = items.filter(~_same((*end.by, _AT), -1)).select(*end.by, _INDEX, _FROM, pl.col(_AT).fill_null(-(2**62)))
    return merged.sort(END).join_asof(
        steps.sort(_AT), left_on=END, right_on=_AT, by=list(end.by), check_sortedness=False
    )


def _same(columns: Sequence[str], distance: int) -> pl.Expr:
    """Whether the row `distance` above (below: negative) has the same values."""
    return pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name).shift(distance)) & pl.col(_INDEX).shift(distance).is_not_null()
        for name in columns
    )
