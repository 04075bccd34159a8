"""Which windows end in a step: rows of partials to the ends that they still have to be given at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from operators.windows.runs import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.contract import Instant
    from operators.windows.grids import Grid

PANE = "#pane"
END = "#end"
LIMIT = "#limit"
_LAST = "#last"
_FEW = 8
_SOME = 64
_WORTH_ONE_BY_ONE = 4_096
"""Rows at an end from which on it is cheaper to look at `_SOME` ends one by one; below it at `_FEW`."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The ends of one step: after `done`, up to `most`.

    `done`: the greatest end given before, None if none was. `limits`: in the closing step, the greatest end of each key
    if they differ (columns `by` and LIMIT).
    """

    by: tuple[str, ...]
    grid: Grid
    done: int | None
    most: int
    limits: pl.DataFrame | None = None

    def selected(self, partials: Sequence[pl.DataFrame]) -> pl.DataFrame | None:
        """Give the partials whose first window has ended, in row order, with that end in END; None without any."""
        due = [rows for run in partials if (rows := self._due(run)).height]
        if not due:
            return None
        rows = joined(due)
        return self._limited(rows.with_columns(self.grid.first_end(rows.get_column(PANE)).alias(END)))

    def _due(self, run: pl.DataFrame) -> pl.DataFrame:
        """Give the partials of a run whose pane has ended; mostly that is all or none of them."""
        due = run.get_column(PANE) < self.most
        return run if due.all() else run.filter(due)

    def spread(self, partials: Sequence[pl.DataFrame], window: int) -> pl.DataFrame | None:
        """Give each partial once per end of this window that it belongs to, in row order per end."""
        rows = self.selected(partials)
        if rows is None:
            return None
        if self.grid.gaps or self.grid.slides:
            rows = rows.with_columns(self.grid.last_end(window, rows.get_column(PANE)).alias(_LAST))
        rows = rows.filter(pl.col(_LAST) >= pl.col(END)) if self.grid.gaps else rows
        rows = rows.sort(PANE, maintain_order=True) if self.grid.splits else rows
        return self._repeated(rows) if self.grid.slides else rows

    def _repeated(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give each row once per end."""
        first = pl.max_horizontal(END, self.first)
        rows = rows.with_columns(first.alias(END), pl.min_horizontal(_LAST, self.limit))
        rows = rows.filter(pl.col(END) <= pl.col(_LAST))
        ends = pl.int_ranges(END, pl.col(_LAST) + self.grid.every, self.grid.every).alias(END)
        return rows.with_columns(ends).explode(END)

    def merged(self, partials: Sequence[pl.DataFrame]) -> bool:
        """Whether at most one run has rows that are due, and windows of one pane each: nothing is left to merge."""
        least = (run.get_column(PANE).min() for run in partials if run.height)
        due = sum(pane < self.most for pane in least)  # type: ignore[operator, misc]  # Int64 column
        return due <= 1 and not self.grid.splits

    def gone(self, window: int) -> tuple[int | None, int]:
        """Give the panes that windows leave at these ends: from the first (None: the oldest there is) up to another."""
        before = None if self.done is None else self.grid.oldest(window, self.done)
        return before, self.grid.oldest(window, self.most)

    @property
    def first(self) -> pl.Expr:
        """The first of these ends, null if none was given before."""
        return pl.lit(None if self.done is None else self.done + self.grid.every, dtype=pl.Int64)

    def hops(self, rows: int) -> list[Ending]:
        """Give the ends one by one, if they are few: that is cheaper than to look at all of them at once.

        `rows`: about how many keys have rows at an end.
        """
        if self.done is None or self.limits is not None or not self.grid.slides:
            return [self]
        if self.most - self.done > (_FEW if rows < _WORTH_ONE_BY_ONE else _SOME) * self.grid.every:
            return [self]
        ends = range(self.done + self.grid.every, self.most + 1, self.grid.every)
        return [replace(self, done=end - self.grid.every, most=end) for end in ends]

    @property
    def is_one_hop(self) -> bool:
        """Whether there is one end only, the same for all keys."""
        return self.limits is None and self.done is not None and self.most == self.done + self.grid.every

    @property
    def limit(self) -> pl.Expr:
        """The greatest end of the row's key."""
        return pl.lit(self.most, dtype=pl.Int64) if self.limits is None else pl.col(LIMIT)

    def _limited(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.limits is None:
            return rows
        rows = rows.join(self.limits, on=self.by, how="left", maintain_order="left")
        return rows.filter(pl.col(END) <= pl.col(LIMIT))


def ending(
    by: tuple[str, ...], grid: Grid, partials: Sequence[pl.DataFrame], done: int | None, instant: Instant
) -> Ending | None:
    """Say what ends at this instant, None if nothing can.

    In the closing step that is, for each key, the hop in progress at `until`, or at its last row if that is later (rows
    of windows upstream that were closed early too).
    """
    if not any(run.height for run in partials):
        return None
    if instant.until is None:
        reached = grid.done(instant.watermark)
        return None if done is not None and reached <= done else Ending(by, grid, done, reached)
    usual = grid.after(instant.until)
    last = pl.concat(run.select(*by, PANE) for run in partials)
    last = last.with_columns(grid.first_end(last.get_column(PANE)).alias(LIMIT))
    most = last.select(pl.col(LIMIT).max()).item()
    if most <= usual:
        return Ending(by, grid, done, usual)
    own = pl.max_horizontal(pl.col(LIMIT).max(), pl.lit(usual, dtype=pl.Int64))
    return Ending(by, grid, done, most, last.group_by(by).agg(own))
