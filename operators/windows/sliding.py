"""Windows that slide: every pane is added once and taken away once, however many windows it belongs to.

State per window: `sum`, the additive parts of each key as they enter the next window before its newest panes come in.
Parts that cannot be taken away again (min, max, first, …) are merged from the panes of each window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.grouping import grouped
from operators.windows.ending import END, PANE
from operators.windows.parts import ROWS
from operators.windows.runs import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.grouping import Groups
    from operators.windows.accumulators import Accumulators
    from operators.windows.ending import Ending

_AT, _LAST, _NEXT = "#at", "#last", "#next"


class Slid(NamedTuple):
    """The merged partials per key and end, and the sums to go on with."""

    merged: pl.DataFrame
    sums: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Sliding:
    """One window of a grid that slides; `accumulators` are of its calls."""

    accumulators: Accumulators
    window: int

    def slide(self, end: Ending, partials: Sequence[pl.DataFrame], sums: pl.DataFrame | None) -> Slid:
        """Give the partials of every window that ends, for keys that have rows in it."""
        pool = self._changes(end, partials, sums)
        groups = grouped(pool.select(end.by))
        keys = groups.firsts(pool.select(end.by))
        kept = self._summed(keys, pool, groups)
        now = pl.col(_AT) <= end.most
        if end.is_one_hop:
            coming = pool.select(pl.when(now).then(pl.col(self._additive)).otherwise(0))
            slid = self._summed(keys, coming, groups).with_columns(pl.lit(end.most, dtype=pl.Int64).alias(END))
        else:
            slid = self._many_hops(end, pool.filter(now))
        return Slid(self._with_rest(slid, end, partials), kept)

    @property
    def _additive(self) -> list[str]:
        return [part.name for part in self.accumulators.sums]

    def _summed(self, keys: pl.DataFrame, changes: pl.DataFrame, groups: Groups) -> pl.DataFrame:
        """Give the sums of keys that have rows."""
        sums = [part.merge(changes, groups).cast(part.wide) for part in self.accumulators.sums]
        return keys.hstack(sums).filter(pl.col(ROWS) > 0)

    def _changes(self, end: Ending, partials: Sequence[pl.DataFrame], sums: pl.DataFrame | None) -> pl.DataFrame:
        """Give what comes into the sums and goes out of them, each at the end where it does."""
        begin = pl.lit(end.done, dtype=pl.Int64)
        changes = [] if sums is None or end.done is None else [sums.with_columns((begin + end.grid.every).alias(_AT))]
        columns = [*end.by, *self._additive]
        wanted = end.fresh | end.gone(self.window)
        some = [run.lazy().filter(wanted).select(*columns, PANE).collect() for run in partials]
        rows = self.accumulators.wide(joined(some))
        panes = rows.get_column(PANE)
        first, last = end.grid.first_end(panes).alias(_AT), end.grid.last_end(self.window, panes).alias(_LAST)
        held = rows.with_columns(first, last).filter(pl.col(_LAST) >= pl.col(_AT))
        changes.append(held.filter(end.fresh).select(*columns, _AT))
        going = pl.col(self._additive) * -1
        left = pl.col(_LAST).alias(_AT) + end.grid.every
        changes.append(held.filter(end.gone(self.window)).select(*end.by, going, left))
        return pl.concat(changes)

    def _many_hops(self, end: Ending, changes: pl.DataFrame) -> pl.DataFrame:
        """Sum up by key over time; each sum holds at every end until the next change."""
        names = self._additive
        steps = changes.group_by(*end.by, _AT).agg(pl.col(names).sum()).sort(_AT)
        running = steps.group_by(end.by).agg(pl.col(names).cum_sum(), pl.col(_AT), pl.col(_AT).shift(-1).alias(_NEXT))
        held = running.explode(*names, _AT, _NEXT).filter(pl.col(ROWS) > 0)
        if end.limits is not None:
            held = held.join(end.limits, on=end.by, how="left")
        after = end.limit + end.grid.every
        held = held.with_columns(pl.min_horizontal(pl.col(_NEXT).fill_null(after), after))
        held = held.filter(pl.col(_AT) < pl.col(_NEXT))
        ends = pl.int_ranges(_AT, _NEXT, end.grid.every).alias(END)
        return held.select(*end.by, *names, ends).explode(END)

    def _with_rest(self, slid: pl.DataFrame, end: Ending, partials: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Add the parts that are merged from all panes of each window."""
        rest = replace(self.accumulators, sums=(), evidence="")
        pieces = end.spread(partials, self.window) if rest.parts else None
        if pieces is None:
            return slid
        keys = [*end.by, END]
        return slid.join(rest.merge(pieces, keys), on=keys, how="left")
