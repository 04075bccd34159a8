"""The evidence of windows that slide: a key's latest events as of an end, as far as they lie in the window.

State: the last items of each key, with their panes; what comes in is put behind them, so no pane is read twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.grouping import grouped
from operators.windows import items
from operators.windows.ending import END, PANE
from operators.windows.runs import joined
from tocsin.model.rows import EVIDENCE, EVIDENCE_MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.windows.ending import Ending

PANES = tuple(f"#pane{number}" for number in range(EVIDENCE_MOST))
_AT, _INDEX, _FROM, _ROW, _START = "#at", "#index", "#from", "#row", "#start"


class Late(NamedTuple):
    """Merged partials with their items, and the items to go on with."""

    merged: pl.DataFrame
    kept: pl.DataFrame


def with_late(
    merged: pl.DataFrame, end: Ending, partials: Sequence[pl.DataFrame], late: pl.DataFrame | None, wide: int
) -> Late:
    """Add the items of the window `wide` to merged partials, whose ends are those of a step."""
    rows = joined([*([] if late is None else [late]), _fresh(partials, end)])
    groups = grouped(rows.select(end.by))
    keys = groups.firsts(rows.select(end.by))
    known = keys.hstack(items.latest(rows, groups, [PANES]))
    if end.is_one_hop:
        start = end.grid.start(wide, pl.Series([end.most])).item()
        inside = _cut(known, lambda panes: panes >= start).select(*end.by, *items.ITEMS)
        found = merged.join(inside, on=end.by, how="left", maintain_order="left")
        found = found.with_columns(pl.col(items.HAS).fill_null(0))
    else:
        lists = _with_evidence(merged, _all_items(end, partials, late), end, wide)
        found = lists.with_columns(items.of_lists(lists)).drop(EVIDENCE)
    kept = _cut(known, lambda panes: end.grid.last_end(wide, panes) > end.most)
    return Late(found, kept.filter(pl.col(items.HAS) > 0))


def _fresh(partials: Sequence[pl.DataFrame], end: Ending) -> pl.DataFrame:
    """Give what comes in, with the pane of each item."""
    fresh, columns = end.fresh, [*end.by, PANE, *items.ITEMS]
    found = [run.lazy().filter(fresh).select(columns).collect() for run in partials if end.may_be_fresh(run)]
    rows = joined(found) if found else partials[0].select(columns).clear()
    rows = rows.sort(PANE, maintain_order=True) if end.grid.splits else rows
    return rows.select(*end.by, *items.ITEMS, *(pl.col(PANE).alias(name) for name in PANES))


def _cut(known: pl.DataFrame, wanted: Callable[[pl.Series], pl.Series]) -> pl.DataFrame:
    """Count only the items in panes that are wanted: the latest ones, as panes follow each other."""
    has = known.get_column(items.HAS)
    left = [(wanted(known.get_column(name)) & (has >= back)) for name, back in zip(PANES, items.BACK, strict=True)]
    return known.with_columns(pl.sum_horizontal(pl.Series(column) for column in left).cast(pl.Int64).alias(items.HAS))


def _all_items(end: Ending, partials: Sequence[pl.DataFrame], late: pl.DataFrame | None) -> pl.DataFrame:
    """Give a row per item, by key and in time order, with the end where it comes in (AT) and its key's first index."""
    rows = [] if late is None else [late.with_columns(pl.lit(None, dtype=pl.Int64).alias(_AT))]
    fresh = _fresh(partials, end)
    rows.append(fresh.with_columns(end.grid.first_end(fresh.get_column(PANES[-1])).alias(_AT)))
    each = joined(rows)
    panes = items.interleaved(each.select(PANES).get_columns()).reshape((-1, EVIDENCE_MOST)).arr.to_list()
    cut = each.select(*end.by, _AT, items.lists(each), panes.alias(PANE), items.HAS)
    ordered = cut.with_columns(pl.col(PANE).list.tail(items.HAS)).filter(pl.col(items.HAS) > 0).explode(EVIDENCE, PANE)
    ordered = ordered.sort(*end.by, PANE, maintain_order=True)
    ordered = ordered.with_row_index(_INDEX).with_columns(pl.col(_INDEX).cast(pl.Int64))
    first = pl.when(~_same(end.by, 1)).then(pl.col(_INDEX)).forward_fill()
    return ordered.with_columns(first.alias(_FROM))


def _with_evidence(merged: pl.DataFrame, known: pl.DataFrame, end: Ending, wide: int) -> pl.DataFrame:
    """Add `__evidence` to merged partials."""
    rows = _found(merged, known, end).with_row_index(_ROW)
    start = end.grid.start(wide, rows.get_column(END)).alias(_START)
    wanted = rows.select(_ROW, _INDEX, _FROM).with_columns(start).drop_nulls(_INDEX)
    back = [wanted.with_columns(pl.col(_INDEX) - number) for number in reversed(range(EVIDENCE_MOST))]
    each = pl.concat(back).filter(pl.col(_INDEX) >= pl.col(_FROM)).sort(_ROW, maintain_order=True)
    at = known.select(PANE, EVIDENCE)[each.get_column(_INDEX)]
    each = each.hstack(at).filter(pl.col(PANE) >= pl.col(_START))
    lists = each.group_by(_ROW, maintain_order=True).agg(EVIDENCE)
    return rows.join(lists, on=_ROW, how="left", maintain_order="left").drop(_ROW, _INDEX, _FROM, _AT, strict=False)


def _found(merged: pl.DataFrame, known: pl.DataFrame, end: Ending) -> pl.DataFrame:
    """Add to each row the index of its key's last item as of its end."""
    steps = known.filter(~_same((*end.by, _AT), -1)).select(*end.by, _INDEX, _FROM, pl.col(_AT).fill_null(-(2**62)))
    return merged.sort(END).join_asof(
        steps.sort(_AT), left_on=END, right_on=_AT, by=list(end.by), check_sortedness=False
    )


def _same(columns: Sequence[str], distance: int) -> pl.Expr:
    """Whether the row `distance` above (below: negative) has the same values."""
    return pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name).shift(distance)) & pl.col(_INDEX).shift(distance).is_not_null()
        for name in columns
    )
