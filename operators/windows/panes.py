"""Windows made of panes: tumbling, hopping, cumulating, calendar days; several sizes of one hop in one feature.

Rows become partials per (key, pane) at once; partials wait in state until the windows of their pane have ended. Panes
that no later window needs are dropped. A row is given for a key and an end if the widest window has rows of the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.windows import closed, ids, items, runs
from operators.windows.closed import ClosedPanes
from operators.windows.ending import END, PANE, Ending, ending
from operators.windows.key_ranges import KeyRanges
from operators.windows.results import finished, in_order, side_by_side
from operators.windows.runs import joined
from operators.windows.sliding import Sliding
from tocsin.model.keys import HASH_VERSION
from tocsin.model.rows import EVIDENCE, TIME, WINDOW_END, WINDOW_START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from operators.contract import Instant, State
    from operators.windows.accumulators import Accumulators
    from operators.windows.for_all import ForAll
    from operators.windows.grids import Grid
    from operators.windows.ids import Form
    from operators.windows.results import WindowColumns
    from tocsin.model.rows import Schema

Runs = list[pl.DataFrame]
Frames = dict[str, pl.DataFrame]

_RUN, _CLOSED, _PROGRESS, _CARRIED, _IDS = "run", "closed", "progress", "carried", "ids"
_START, _SEEN = "start", "seen"
_SPARED = 0.25
_WORTH_NUMBERS = 1 << 18
"""Merged rows from which on ids are held as numbers: to make them and to undo that costs more than fewer are worth."""
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
        return {_PROGRESS: _progress(None), _IDS: ids.dump(None), **start}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Add the rows to their panes; give the windows that have ended."""
        held = self._loaded(state)
        self._add(rows, held)
        done = _done(state)
        end = ending(self.keys, self.grid, held.all, done, instant) or self._only_expected(done, instant)
        if end is not None and self.grid.slides:
            self._close(held, end.most)
        hops = [] if end is None else end.hops(held.carried_rows)
        given = [rows for hop in hops for rows in self._given_by(hop, held, instant)]
        rows = in_order(pl.concat([self.output.empty(), *given], rechunk=False))
        if instant.closing:
            return Step(rows, self.initial(), None)
        reached = self.grid.done(instant.watermark)
        reached = reached if done is None else max(reached, done)
        if reached != done:
            self._drop(held, reached)
        frames = self._stored(held, reached)
        return Step(rows, frames, self._next_due(held, reached))

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

    def _add(self, rows: pl.DataFrame, held: _Held) -> None:
        """Add the partials of a slice of rows as runs of their own."""
        if rows.is_empty():
            return
        key = self.by or (pl.lit(0, dtype=pl.Int8).alias(_ALL),)
        prepared = self.accumulators.prepare(rows, [*key, pl.lit(self.grid.panes(rows.get_column(TIME))).alias(PANE)])
        own = self._in_windows(self.accumulators.partial(prepared, [*self.keys, PANE], ascending=1, by_key=self.by_key))
        if self.accumulators.evidence and own.height:
            own = held.in_form(own)
        held.partials.add(self.accumulators.packed(own))
        for bag in self.accumulators.bags:
            held.bags[bag.column].add(self._in_windows(bag.partial(prepared, [*self.keys, PANE])))

    def _in_windows(self, run: pl.DataFrame) -> pl.DataFrame:
        """Leave out the panes between windows that are shorter than their hop."""
        if not self.grid.gaps:
            return run
        panes = run.get_column(PANE)
        inside = self.grid.last_end(self.wide, panes) >= self.grid.first_end(panes)
        return run if inside.all() else run.filter(inside)

    def _close(self, held: _Held, most: int) -> None:
        """Merge the partials of panes that have ended, by ranges of keys; nothing comes into these panes any more."""
        due = held.partials.take(lambda run: run.get_column(PANE) < most)
        if not due:
            return
        merged = joined([self.accumulators.merge(joined(parts), [*self.keys, PANE], ascending=1) for parts in due])
        fresh = merged if merged.get_column(PANE).is_sorted() else merged.sort(PANE, maintain_order=True)
        held.fresh.append(fresh)
        plain = replace(self.accumulators, evidence="")
        held.closed.add(plain.packed(fresh.drop(items.ITEMS, strict=False)))

    def _given_by(self, end: Ending, held: _Held, instant: Instant) -> Iterator[pl.DataFrame]:
        """Give the rows of all windows that end, of a range of keys after the other where nothing else is kept."""
        if self.grid.slides or self.for_all is not None or self.accumulators.bags:
            yield self._given(end, held.partials.all, held, instant)
            return
        held.partials.cut()
        for range_ in held.partials.ranges:
            yield self._given(end, range_.runs, held, instant)

    def _given(self, end: Ending, partials: Runs, held: _Held, instant: Instant) -> pl.DataFrame:
        """Give the rows of all windows that end; brings the sums that are held up to date."""
        keys, sums = [*self.keys, END], held.sums
        results: list[pl.DataFrame | None] = []
        for number, window in enumerate(self.windows):
            merged = self._slid(number, end, held) if self.grid.slides else self._merged(number, end, partials)
            values = {bag.column: end.spread(held.bags[bag.column].all, number) for bag in window.accumulators.bags}
            named = number == self.wide
            results.append(
                None if merged is None else window.results(merged, values, keys, evidence=named, form=held.form)
            )
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

    def _merged(self, number: int, end: Ending, partials: Runs) -> pl.DataFrame | None:
        """Give the merged partials of one window per key and end, None if no window has rows."""
        own = self.windows[number].accumulators
        if not partials:
            return None
        pieces = end.spread(partials, number)
        if pieces is None or (not self.by_key and end.merged(partials)):
            return pieces
        return own.merge(pieces, [*self.keys, END], ascending=1)

    def _slid(self, number: int, end: Ending, held: _Held) -> pl.DataFrame | None:
        """Do the same for windows that slide; brings what is carried up to date."""
        own, name = self.windows[number].accumulators, f"{_CARRIED}{number}"
        sliding = Sliding(own, number, bool(own.evidence) and number == self.wide)
        fresh = [part for run in held.fresh if (part := closed.between(run, end.done, end.most)).height]
        slid = sliding.slide(end, fresh, held.closed, held.sums.get(name))
        if slid is None:
            return None
        held.sums[name] = slid.carried
        return slid.merged if slid.merged.height else None

    def _drop(self, held: _Held, reached: int) -> None:
        """Drop the panes that no window after `reached` needs.

        Where windows slide, a run is cut only when a quarter of it is not needed: it is not copied at every hop, and a
        pane that is past its last window is not read again.
        """
        held.closed.drop(self.grid.oldest(self.wide, reached))
        oldest, spared = self.grid.oldest(self.wide, reached), _SPARED if self.grid.slides else 0.0

        def needed(run: pl.DataFrame) -> pl.DataFrame:
            young = run.get_column(PANE) >= oldest
            return run if young.sum() >= (1 - spared) * run.height else run.filter(young)

        for pieces in (held.partials, *held.bags.values()):
            pieces.change(needed)

    def _next_due(self, held: _Held, reached: int) -> int | None:
        newest = held.closed.newest
        if self._expects(held.sums) or (newest is not None and newest >= self.grid.oldest(self.wide, reached)):
            return self.grid.after(reached) - 1
        least = [run.get_column(PANE).min() for run in held.partials.all if run.height]
        if not least:
            return None
        first = self.grid.first_end(pl.Series(least, dtype=pl.Int64)).min()
        return max(int(first), self.grid.after(reached)) - 1  # type: ignore[arg-type]  # Int64 column

    def _loaded(self, state: State) -> _Held:
        bags = enumerate(self.accumulators.bags)
        cut = state[_PROGRESS].get_column("hash").to_list() in ([], [HASH_VERSION])
        return _Held(
            KeyRanges.load(state, _RUN, self.keys, cut=cut),
            {bag.column: KeyRanges.load(state, f"bag{number}", self.keys, cut=cut) for number, bag in bags},
            {name: frame for name, frame in state.items() if name.startswith((_CARRIED, _START, _SEEN))},
            ids.load(state[_IDS]),
            ClosedPanes(runs.load(state, _CLOSED)),
        )

    def _stored(self, held: _Held, reached: int) -> State:
        keys = [*self.keys, PANE]
        own = self.accumulators
        held.partials.compact(lambda run: own.packed(own.merge(run, keys, ascending=1)))
        frames = dict(held.partials.store(_RUN))
        for number, bag in enumerate(own.bags):
            held.bags[bag.column].compact(partial(bag.merge, keys=keys))
            frames |= held.bags[bag.column].store(f"bag{number}")
        frames |= runs.store(held.closed.runs, _CLOSED)
        return {_PROGRESS: _progress(reached), _IDS: held.form_frame(), **frames, **held.sums}


@dataclass(slots=True)
class _Held:
    """What is taken out of a state for a step: partials and values by range of keys, other frames, the form of ids.

    Where windows slide, `partials` are only of panes that go on; `closed` of the others, and `fresh` those of them, by
    pane and with evidence, that this step has closed.
    """

    partials: KeyRanges
    bags: dict[str, KeyRanges]
    sums: Frames
    chosen: Form | None
    closed: ClosedPanes
    fresh: Runs = field(default_factory=list)

    @property
    def all(self) -> Runs:
        """All partials."""
        return [*self.closed.runs, *self.partials.all]

    @property
    def form(self) -> Form:
        """The form of all ids that are held."""
        return self.chosen or ids.TEXTS

    @property
    def carried_rows(self) -> int:
        """How many keys are carried from end to end, where windows slide."""
        return max((frame.height for name, frame in self.sums.items() if name.startswith(_CARRIED)), default=0)

    def in_form(self, run: pl.DataFrame) -> pl.DataFrame:
        """Give a run with ids as all are held: as texts while they are few, and for good where one does not fit."""
        if self.chosen is None:
            if max(self.partials.merged_rows, self.carried_rows) < _WORTH_NUMBERS:
                return run
            self.chosen = ids.form_of(run)
            if not self._rewrite(lambda other: ids.coded(other, self.form)):
                self.chosen = ids.TEXTS
        fitting = ids.coded(run, self.form)
        if fitting is not None:
            return fitting
        self._rewrite(lambda other: ids.decoded(other, self.form))
        self.chosen = ids.TEXTS
        return run

    def _rewrite(self, change: Callable[[pl.DataFrame], pl.DataFrame | None]) -> bool:
        """Change all that is held, or nothing if a part cannot be changed."""
        held = [*self.partials.all, *self._carried.values()]
        changed = {id(frame): new for frame in held if (new := change(frame)) is not None}
        if len(changed) < len(held):
            return False
        self.partials.change(lambda run: changed[id(run)])
        self.sums |= {name: changed[id(frame)] for name, frame in self._carried.items()}
        return True

    @property
    def _carried(self) -> Frames:
        """The frames beside the partials that have evidence."""
        return {name: frame for name, frame in self.sums.items() if items.HAS in frame.columns}

    def form_frame(self) -> pl.DataFrame:
        """Give the form for the state; where no id is held, the next one may choose another."""
        some = self.partials.all or any(frame.height for frame in self._carried.values())
        return ids.dump(self.chosen if some else None)


def _progress(reached: int | None) -> pl.DataFrame:
    """The greatest end whose windows have been given, and the hash by which partials are cut into ranges."""
    rows = [] if reached is None else [(reached, HASH_VERSION)]
    return pl.DataFrame(rows, schema={"end": pl.Int64, "hash": pl.String}, orient="row")


def _done(state: State) -> int | None:
    progress = state[_PROGRESS]
    return None if progress.is_empty() else int(progress.get_column("end").item())
