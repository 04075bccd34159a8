"""Windows made of panes: tumbling, hopping, cumulating, calendar days; several sizes of one hop in one feature.

Rows become partials per (key, pane) at once; partials wait in state until the windows of their pane have ended. Panes
that no later window needs are dropped. A row is given for a key and an end if the widest window has rows of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.windows import runs
from operators.windows.ending import END, PANE, Ending, ending
from operators.windows.late import with_late
from operators.windows.results import finished, side_by_side
from operators.windows.sliding import Sliding
from tocsin.model.rows import EVIDENCE, TIME, WINDOW_END, WINDOW_START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.contract import Instant, State
    from operators.windows.accumulators import Accumulators
    from operators.windows.for_all import ForAll
    from operators.windows.grids import Grid
    from operators.windows.results import WindowColumns
    from tocsin.model.rows import Schema

Runs = list[pl.DataFrame]
Frames = dict[str, pl.DataFrame]

_RUN, _PROGRESS, _SUM, _LATE = "run", "progress", "sum", "late"
_START, _SEEN = "start", "seen"
_SPARED = 0.25
_ALL = "#all"
"""The key of a feature without `by`: one constant."""


@dataclass(frozen=True, slots=True)
class PaneWindows:
    """Aggregate rows per key and window.

    `by`: the key. `grid`: panes and ends. `accumulators`: of the calls of all windows together. `windows`: in the order
    of the grid. `wide`: the number of the widest, whose bounds and evidence a row has. Rows leave at `window_end - 1`.
    `by_key`: rows come sorted by a hash of their key, and those of one key by time.
    """

    name: str
    by: tuple[str, ...]
    grid: Grid
    accumulators: Accumulators
    windows: tuple[WindowColumns, ...]
    wide: int
    output: Schema
    for_all: ForAll | None = None
    by_key: bool = False

    def initial(self) -> State:
        """Give the state before any row: no partials, no window given, no start said."""
        start = {} if self.for_all is None else {_START: pl.DataFrame(schema={"time": pl.Int64})}
        return {_PROGRESS: _progress(None), **start}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Add the rows to their panes; give the windows that have ended."""
        partials, bags = self._loaded(state)
        self._add(rows, partials, bags)
        done = _done(state)
        end = ending(self.keys, self.grid, partials, done, instant) or self._only_expected(done, instant)
        sums = {name: frame for name, frame in state.items() if name.startswith((_SUM, _LATE, _START, _SEEN))}
        hops = [] if end is None else end.hops()
        given = pl.concat(
            [self.output.empty(), *(self._given(hop, partials, bags, sums, instant) for hop in hops)], rechunk=False
        )
        if instant.closing:
            return Step(given, self.initial(), None)
        reached = self.grid.done(instant.watermark)
        reached = reached if done is None else max(reached, done)
        partials = self._kept(partials, reached)
        bags = {column: self._kept(bag, reached) for column, bag in bags.items()}
        frames = self._stored(partials, bags, reached)
        due = self.grid.after(reached) - 1 if self._expects(sums) else self._next_due(partials, reached)
        return Step(given, {**frames, **sums}, due)

    def _only_expected(self, done: int | None, instant: Instant) -> Ending | None:
        """Without rows, only `for_all` may have something to give."""
        most = self.grid.done(instant.watermark) if instant.until is None else self.grid.after(instant.until)
        over = done is not None and most <= done
        return None if self.for_all is None or over else Ending(self.keys, self.grid, done, most)

    @staticmethod
    def _expects(sums: Mapping[str, pl.DataFrame]) -> bool:
        return any(sums[name].height for name in (_SEEN, _START) if name in sums)

    @property
    def keys(self) -> tuple[str, ...]:
        """The key's columns in state."""
        return self.by or (_ALL,)

    def _add(self, rows: pl.DataFrame, partials: Runs, bags: Mapping[str, Runs]) -> None:
        """Add the partials of a slice of rows as runs of their own."""
        if rows.is_empty():
            return
        key = self.by or (pl.lit(0, dtype=pl.Int8).alias(_ALL),)
        prepared = self.accumulators.prepare(rows, [*key, pl.lit(self.grid.panes(rows.get_column(TIME))).alias(PANE)])
        own = self.accumulators.partial(prepared, [*self.keys, PANE], ascending=1, by_key=self.by_key)
        partials.append(self._held(own))
        for bag in self.accumulators.bags:
            bags[bag.column].append(self._held(bag.partial(prepared, [*self.keys, PANE])))

    def _held(self, run: pl.DataFrame) -> pl.DataFrame:
        """Leave out the panes between windows that are shorter than their hop."""
        panes = run.get_column(PANE)
        return run.filter(self.grid.last_end(self.wide, panes) >= self.grid.first_end(panes))

    def _given(
        self, end: Ending, partials: Runs, bags: Mapping[str, Runs], sums: Frames, instant: Instant
    ) -> pl.DataFrame:
        """Give the rows of all windows that end; brings `sums` up to date."""
        keys = [*self.keys, END]
        results: list[pl.DataFrame | None] = []
        for number, window in enumerate(self.windows):
            merged = self._merged(number, end, partials, sums)
            values = {bag.column: end.spread(bags[bag.column], number) for bag in window.accumulators.bags}
            named = number == self.wide
            results.append(None if merged is None else window.results(merged, values, keys, evidence=named))
        wanted = self._wanted(end, results[self.wide], sums, instant)
        if wanted.is_empty():
            return self.output.empty()
        table = side_by_side(wanted, self.windows, results, keys)
        ends = table.get_column(END)
        bounds = [self.grid.start(self.wide, ends).alias(WINDOW_START), ends.alias(WINDOW_END)]
        return finished(table.with_columns(bounds), self.by, self.output)

    def _wanted(self, end: Ending, base: pl.DataFrame | None, sums: Frames, instant: Instant) -> pl.DataFrame:
        """Give the keys and ends that are due a row, and their evidence."""
        keys = [*self.keys, END]
        columns = [*keys, *([EVIDENCE] if self.accumulators.evidence else [])]
        if self.for_all is None:
            return pl.DataFrame() if base is None else base.select(columns)
        key_types = {name: self.output.columns[name].physical for name in self.by}
        rows = pl.DataFrame(schema={**key_types, END: pl.Int64}) if base is None else base.select(keys)
        start = sums[_START].get_column("time").max()
        asked = None if start is None else int(start)  # type: ignore[arg-type]  # Int64 column
        table = instant.tables[self.for_all.table]
        expected = self.for_all.expected(end, rows, table, sums.get(_SEEN), asked)
        sums[_SEEN] = expected.seen
        if base is None or EVIDENCE not in columns:
            return expected.wanted
        return expected.wanted.join(base.select(columns), on=keys, how="left")

    def _merged(self, number: int, end: Ending, partials: Runs, sums: Frames) -> pl.DataFrame | None:
        """Give the merged partials of one window per key and end, None if no window has rows."""
        own = self.windows[number].accumulators
        if not partials:
            return None
        if not self.grid.slides:
            pieces = end.spread(partials, number)
            if pieces is None or (not self.by_key and end.merged(partials)):
                return pieces
            return own.merge(pieces, [*self.keys, END], ascending=1)
        slid = Sliding(own, number).slide(end, partials, sums.get(f"{_SUM}{number}"))
        sums[f"{_SUM}{number}"] = slid.sums
        merged = slid.merged
        if own.evidence and number == self.wide:
            late = with_late(merged, end, partials, sums.get(_LATE), self.wide)
            merged, sums[_LATE] = late.merged, late.kept
        return merged if merged.height else None

    def _kept(self, pieces: Runs, reached: int) -> Runs:
        """Drop the panes that no window after `reached` needs.

        Where windows slide, a run is cut only when a quarter of it is not needed: it is not copied at every hop, and a
        pane that is past its last window is not read again.
        """
        oldest, spared = self.grid.oldest(self.wide, reached), _SPARED if self.grid.slides else 0.0
        kept = []
        for run in pieces:
            needed = run.get_column(PANE) >= oldest
            kept.append(run if needed.sum() >= (1 - spared) * run.height else run.filter(needed))
        return kept

    def _next_due(self, partials: Runs, reached: int) -> int | None:
        least = [run.get_column(PANE).min() for run in partials if run.height]
        if not least:
            return None
        first = self.grid.first_end(pl.Series(least, dtype=pl.Int64)).min()
        return max(int(first), self.grid.after(reached)) - 1  # type: ignore[arg-type]  # Int64 column

    def _loaded(self, state: State) -> tuple[Runs, dict[str, Runs]]:
        bags = enumerate(self.accumulators.bags)
        return runs.load(state, _RUN), {bag.column: runs.load(state, f"bag{number}") for number, bag in bags}

    def _stored(self, partials: Runs, bags: Mapping[str, Runs], reached: int) -> State:
        keys = [*self.keys, PANE]
        frames = dict(
            runs.store(runs.compact(partials, partial(self.accumulators.merge, keys=keys, ascending=1)), _RUN)
        )
        for number, bag in enumerate(self.accumulators.bags):
            merged = runs.compact(bags[bag.column], partial(bag.merge, keys=keys))
            frames |= runs.store(merged, f"bag{number}")
        return {_PROGRESS: _progress(reached), **frames}


def _progress(reached: int | None) -> pl.DataFrame:
    """The greatest end whose windows have been given."""
    return pl.DataFrame({"end": [] if reached is None else [reached]}, schema={"end": pl.Int64})


def _done(state: State) -> int | None:
    progress = state[_PROGRESS]
    return None if progress.is_empty() else int(progress.item())
