"""Windows that slide: every pane is added once and taken away once, however many windows it belongs to.

Carried from end to end, per window: a row for each key, with the additive parts as they enter the next window before
its newest panes come in, and where evidence is wanted the key's latest items (`operators.windows.late`). Parts that
cannot be taken away again (min, max, first, …) are merged from the panes of each window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.grouping import grouped
from operators.windows import items, late
from operators.windows.ending import END, PANE
from operators.windows.late import AT
from operators.windows.parts import ROWS
from operators.windows.runs import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from operators.grouping import Groups
    from operators.windows.accumulators import Accumulators
    from operators.windows.closed import ClosedPanes
    from operators.windows.ending import Ending

_NEXT = "#next"


class Slid(NamedTuple):
    """The merged partials per key and end, and what is carried to the next end."""

    merged: pl.DataFrame
    carried: pl.DataFrame


class _Changes(NamedTuple):
    """What is carried and comes in, what goes out, and both by key; `keys`: of each group."""

    entering: pl.DataFrame
    leaving: pl.DataFrame
    groups: Groups
    keys: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Sliding:
    """One window of a grid that slides; `accumulators` are of its calls. `evidence`: whether its rows have some."""

    accumulators: Accumulators
    window: int
    evidence: bool

    def slide(
        self, end: Ending, fresh: Sequence[pl.DataFrame], closed: ClosedPanes, carried: pl.DataFrame | None
    ) -> Slid | None:
        """Give the partials of every window that ends, for keys that have rows in it; None if no key ever had.

        `fresh`: partials, with evidence, that come in at these ends, by pane. `closed`: those of all panes before
        `end.most`.
        """
        changes = self._changes(end, fresh, closed, carried)
        if changes is None:
            return None
        known = late.known(changes.entering, changes.groups) if self.evidence else None
        now, after = self._sums(changes)
        if known is not None:
            after = after.hstack(late.still_inside(known, end, self.window))
        if not end.is_one_hop:
            merged = self._many_hops(end, changes)
        else:
            merged = now if known is None else now.hstack(late.inside(known, end, self.window))
            merged = merged.hstack([_all(end.most, END, merged.height)])
        return Slid(self._with_rest(merged, end, closed), after.filter(pl.col(ROWS) > 0))

    @property
    def _additive(self) -> list[str]:
        return [part.name for part in self.accumulators.sums]

    def _changes(
        self, end: Ending, fresh: Sequence[pl.DataFrame], closed: ClosedPanes, carried: pl.DataFrame | None
    ) -> _Changes | None:
        """Give what comes and goes, each at the end where it does."""
        columns = [*end.by, *self._additive]
        entering = [rows.select(*columns, AT, *self._items) for rows in self._entering(end, fresh)]
        if carried is not None:
            entering.insert(0, carried.with_columns(end.first.alias(AT)).select(*columns, AT, *self._items))
        if not entering:
            return None
        leaving = [rows.select(*columns, AT) for rows in self._leaving(end, closed)]
        come = joined(entering)
        gone = joined(leaving) if leaving else come.select(*columns, AT).clear()
        keys = pl.concat([come.select(end.by), gone.select(end.by)], rechunk=True)
        groups = grouped(keys)
        return _Changes(come, gone, groups, groups.firsts(keys))

    @property
    def _items(self) -> tuple[str, ...]:
        return (*items.ITEMS, *late.PANES) if self.evidence else ()

    def _entering(self, end: Ending, fresh: Sequence[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for rows in self._held(end, fresh):
            panes = rows.get_column(PANE)
            of_items = [panes.alias(name) for name in late.PANES]
            yield rows.with_columns(end.grid.first_end(panes).alias(AT), *of_items)

    def _leaving(self, end: Ending, closed: ClosedPanes) -> Iterator[pl.DataFrame]:
        for rows in self._held(end, closed.between(*end.gone(self.window))):
            last = end.grid.last_end(self.window, rows.get_column(PANE))
            yield rows.with_columns((last + end.grid.every).alias(AT))

    def _held(self, end: Ending, partials: Sequence[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Leave out the panes between windows that are shorter than their hop."""
        for rows in partials:
            panes = rows.get_column(PANE)
            gaps = end.grid.gaps
            yield rows.filter(end.grid.last_end(self.window, panes) >= end.grid.first_end(panes)) if gaps else rows

    def _sums(self, changes: _Changes) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Give the sums of each key, before and after what goes is taken away.

        A key has come before it goes, so that it has rows before.
        """
        come, gone = changes.entering, changes.leaving
        before = [changes.groups.sums(_padded(come.get_column(name), gone.height)) for name in self._additive]
        away = (changes.groups.sums(_padded(gone.get_column(name), -come.height)) for name in self._additive)
        after = [sum_ - less for sum_, less in zip(before, away, strict=True)]
        return changes.keys.hstack(before), changes.keys.hstack(after)

    def _many_hops(self, end: Ending, changes: _Changes) -> pl.DataFrame:
        """Give the partials of all ends."""
        entering = self.accumulators.wide(changes.entering)
        leaving = self.accumulators.wide(changes.leaving)
        merged = self._running(end, entering, leaving)
        return late.at_each_end(merged, entering, end, self.window) if self.evidence else merged

    def _running(self, end: Ending, entering: pl.DataFrame, leaving: pl.DataFrame) -> pl.DataFrame:
        """Sum up by key over time; each sum holds at every end until the next change."""
        names = self._additive
        columns = [*end.by, AT, *names]
        taken = leaving.with_columns(pl.col(names) * -1).select(columns)
        changes = pl.concat([entering.select(columns), taken]).filter(pl.col(AT) <= end.most)
        steps = changes.group_by(*end.by, AT).agg(pl.col(names).sum()).sort(AT)
        running = steps.group_by(end.by).agg(pl.col(names).cum_sum(), pl.col(AT), pl.col(AT).shift(-1).alias(_NEXT))
        held = running.explode(*names, AT, _NEXT).filter(pl.col(ROWS) > 0)
        if end.limits is not None:
            held = held.join(end.limits, on=end.by, how="left")
        after = end.limit + end.grid.every
        held = held.with_columns(pl.min_horizontal(pl.col(_NEXT).fill_null(after), after))
        held = held.filter(pl.col(AT) < pl.col(_NEXT))
        ends = pl.int_ranges(AT, _NEXT, end.grid.every).alias(END)
        return held.select(*end.by, *names, ends).explode(END)

    def _with_rest(self, merged: pl.DataFrame, end: Ending, closed: ClosedPanes) -> pl.DataFrame:
        """Add the parts that are merged from all panes of each window."""
        rest = replace(self.accumulators, sums=(), evidence="")
        if not rest.parts:
            return merged
        pieces = self._in_window(end, closed) if end.is_one_hop else end.spread(closed.runs, self.window)
        keys = [*end.by, END]
        return merged if pieces is None else merged.join(rest.merge(pieces, keys), on=keys, how="left")

    def _in_window(self, end: Ending, closed: ClosedPanes) -> pl.DataFrame | None:
        """Give the partials of the window of the one end of a step."""
        start = end.grid.start(self.window, pl.Series([end.most])).item()
        found = list(self._held(end, closed.between(start, end.most)))
        return joined(found).with_columns(pl.lit(end.most, dtype=pl.Int64).alias(END)) if found else None


def _all(value: int, name: str, height: int) -> pl.Series:
    return pl.Series(name, [value], dtype=pl.Int64).new_from_index(0, height)


def _padded(values: pl.Series, zeros: int) -> pl.Series:
    """Put so many zeros behind values, or before them if there are less than none."""
    if not zeros:
        return values
    nothing = pl.Series(values.name, [0], dtype=values.dtype).new_from_index(0, abs(zeros))
    return pl.concat([values, nothing] if zeros > 0 else [nothing, values], rechunk=True)
