"""Trailing windows: what each row's key did in the time before it.

At a row of time t a window holds the rows of the same key with times in (t - delayed - width, t - delayed], all rows of
the same time included: the RANGE frame of SQL (semantics 10). Each row is given back with the aggregates of all
windows.

*Empty rows* (semantics 13): when a window runs empty, the key gets one row at exactly that time, in which the events'
columns are null and all windows are evaluated; one row although two windows run empty at once, and none if the key has
a row of that time anyway. Its id is the key's text behind a NUL, with which no event's id begins.

With `probe` (the language's `at:`), rows marked PROBE ask and the others answer: only the asking rows are given back.
There are no empty rows then: what a feature says at another stream's events it says at those events only.

Cost per step: the rows that came, and the rows that the windows of their keys hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.contract import Step
from operators.stage import PROBE
from operators.trailing import evidence, keyring, memory, timers
from operators.trailing.answers import AFTER_EMPTY_ID, EMPTY_ID, Asked, answers
from operators.trailing.kept import Kept, initial
from operators.trailing.parts import Compiled, compiled
from operators.trailing.ranges import Edges, Line
from operators.trailing.timers import Timers
from operators.windows.identity import key_text
from tocsin.model.rows import FEATURE_SYSTEM, ID, TIME, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.contract import Instant, State
    from operators.expressions.bound import Aggregated
    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows
    from tocsin.model.windows import Trailing

ALL = "__all"
"""The key column of a feature without `by`."""


@dataclass(frozen=True, slots=True)
class TrailingOperator:
    """The operator of one feature's trailing windows.

    `by`: key columns, ALL if there are none. `windows`, with the columns that each gives, and their `calls`, compiled.
    `schema`: of the rows that are given back, before the windows' columns.
    """

    name: str
    by: tuple[str, ...]
    windows: tuple[tuple[Trailing, Mapping[str, Aggregated]], ...]
    calls: tuple[Compiled, ...]
    schema: Schema
    probe: bool
    output: Schema

    @property
    def memory(self) -> int:
        """How far the windows look back, in ms."""
        return max(window.delayed + window.width for window, _ in self.windows)

    def initial(self) -> State:
        """Give the state before any row."""
        keys = {name: pl.Int32() if name == ALL else self.schema.columns[name].physical for name in self.by}
        stored = {name: bound.type.physical for calls in self.calls for name, bound in calls.stored.items()}
        return initial(keys, stored)

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Answer every row that asks, and give the empty rows due by the watermark."""
        kept = Kept.load(state)
        now = instant.watermark if instant.until is None else min(instant.watermark, instant.until)
        if self.by == (ALL,):
            rows = rows.with_columns(pl.lit(0, dtype=pl.Int32).alias(ALL))
        given, kept = self._advance(rows, kept, now)
        if instant.closing:
            return Step(given, self.initial(), None)
        due, waiting = timers.next_due(kept.timers, lambda codes: memory.last_times(codes, kept.rows))
        return Step(given, kept._replace(timers=waiting, watermark=instant.watermark).dump(state), due)

    def _advance(self, rows: pl.DataFrame, kept: Kept, now: int) -> tuple[pl.DataFrame, Kept]:
        keys, slots = keyring.distinct(rows, self.by)
        found = keyring.find(keys, kept.keys)
        due, waiting = timers.popped(kept.timers, now)
        touched = np.unique(np.concatenate([found.codes, due.code]))
        key = np.searchsorted(touched, found.codes)[slots]
        asking, answering = self._sides(rows, key)
        piece = memory.piece_of(self._keep(answering[0]), answering[1], touched)
        held = memory.rows_of(touched, (*kept.rows, piece), kept.watermark - self.memory)
        line = _line(touched.size, held, rows)
        if line is None:
            return self._in_halves(rows, kept, now)
        fired, later = (Timers.of(), Timers.of()) if self.probe else self._empty(touched, held, line, due, kept, now)
        known = (*kept.keys, found.added) if found.added.height else kept.keys
        asked = self._asked(*asking, fired, touched, known)
        given = answers(self, asked, held, line)
        if self.probe:
            codes = piece.get_column(keyring.CODE).unique()
            found = found._replace(added=found.added.filter(pl.col(keyring.CODE).is_in(codes.implode())))
        return given, kept.plus(piece, found.added, (waiting, later), now, self.memory)

    def _sides(self, rows: pl.DataFrame, key: Ints) -> tuple[tuple[pl.DataFrame, Ints], tuple[pl.DataFrame, Ints]]:
        """Give the rows that ask, and those that answer, each with their keys."""
        if not self.probe:
            return (rows, key), (rows, key)
        asks = rows.get_column(PROBE)
        return (rows.filter(asks), key[asks.to_numpy()]), (rows.filter(~asks), key[~asks.to_numpy()])

    def _keep(self, rows: pl.DataFrame) -> pl.DataFrame:
        stored = {name: bound for calls in self.calls for name, bound in calls.stored.items()}
        columns = [bound.expr.cast(bound.type.physical).alias(name) for name, bound in stored.items()]
        return rows.select(TIME, evidence.source(rows.columns), *columns)

    def _empty(  # what is known of the moment
        self, touched: Ints, held: Rows, line: Line, due: Timers, kept: Kept, now: int
    ) -> tuple[Timers, Timers]:
        """Give which windows run empty by now, each (time, key) once, and the timers of what may do so later."""
        windows = [window for window, _ in self.windows]
        offsets = sorted({window.delayed + window.width for window in windows})
        ends = np.flatnonzero(np.append(held.key[1:] != held.key[:-1], held.key.size > 0))
        codes, last = touched[held.key[ends]], held.time[ends]
        gaps = timers.of_gaps(held, touched, windows, kept.watermark)
        # A key without new rows and without a timer that fires has a timer that waits already.
        live = (last > kept.watermark) | np.isin(codes, due.code[due.row == last[np.searchsorted(codes, due.code)]])
        silent, later = timers.of_last_rows(codes[live], last[live], offsets, kept.watermark, now)
        certain = Timers.of(due.where(due.row == timers.CERTAIN), gaps)
        fired = Timers.of(silent, certain.where(certain.due <= now)).distinct()
        later = Timers.of(later, gaps.where(gaps.due > now))
        if not any(window.delayed for window in windows):
            return fired, later  # a row of that time would be in the window
        key = np.searchsorted(touched, fired.code)
        seen = Edges(line, line.places(held.key, held.time), key, fired.due).ranges(1, 0)
        return fired.where(seen.size == 0), later

    def _asked(  # the rows and the empty rows, each with their keys
        self, rows: pl.DataFrame, key: Ints, fired: Timers, touched: Ints, known: tuple[pl.DataFrame, ...]
    ) -> Asked:
        """Put the rows that ask and the empty rows together, in order of (time, id)."""
        columns = list(dict.fromkeys([TIME, ID, *self.schema.columns]))
        own = rows.select(evidence.source(rows.columns)).to_series() if self._names_itself else None
        asking = rows.select(columns)
        row = np.arange(rows.height)
        if not fired.due.size:
            return Asked(asking, key, row, own)
        names = [name for name in self.by if name != ALL]
        empty = keyring.key_of(fired.code, known, self.by).select(
            pl.Series(TIME, fired.due, dtype=pl.Int64),
            pl.concat_str(pl.lit(EMPTY_ID), key_text(names)).alias(ID),
            *names,
            pl.Series("__code", fired.code, dtype=pl.Int64),
        )
        empty = empty.sort(TIME, ID)
        order = _order(empty, asking)
        codes = empty.get_column("__code").to_numpy()
        both = pl.concat([empty.drop("__code"), asking], how="diagonal").select(columns)
        key = np.concatenate([np.searchsorted(touched, codes), key])
        row = np.concatenate([np.full(fired.due.size, -1), row])
        return Asked(memory.taken(both, order), key[order], row[order], own)

    @property
    def _names_itself(self) -> bool:
        """Whether a row is evidence of itself though no window holds it."""
        return self.probe or all(window.delayed for window, _ in self.windows)

    def _in_halves(self, rows: pl.DataFrame, kept: Kept, now: int) -> tuple[pl.DataFrame, Kept]:
        """Step twice, cut at a time in the middle, so that keys and times fit a place each."""
        times = rows.get_column(TIME)
        middle = (int(times[0]) + int(times[-1])) // 2
        if int(times[0]) == int(times[-1]):
            raise OverflowError(f"{self.name}: too many keys at once for a memory of {self.memory} ms")
        first, kept = self._advance(rows.filter(times <= middle), kept, middle)
        second, kept = self._advance(rows.filter(times > middle), kept, now)
        return pl.concat([first, second]), kept


def _order(empty: pl.DataFrame, rows: pl.DataFrame) -> Ints:
    """Give the order by (time, id) of empty rows followed by others, both in that order already."""
    both = pl.concat([empty.select(TIME, ID), rows.select(TIME, ID)])
    if (rows.get_column(ID) < AFTER_EMPTY_ID).any() or rows.get_column(ID).null_count():
        return both.select(pl.arg_sort_by(TIME, ID)).to_series().to_numpy()
    # Ids of empty rows are less than all others, so a merge by time alone is enough.
    return np.argsort(both.get_column(TIME).to_numpy(), kind="stable")


def _line(keys: int, held: Rows, rows: pl.DataFrame) -> Line | None:
    times = [held.time.min(), held.time.max()] if held.time.size else []
    if rows.height:
        times += [rows.get_column(TIME)[0], rows.get_column(TIME)[-1]]
    return Line.over(keys, int(min(times)), int(max(times))) if times else Line(0, 1)


def trailing_operator(  # the words of the feature
    name: str,
    by: Sequence[str],
    windows: Sequence[tuple[Trailing, Mapping[str, Aggregated]]],
    schema: Schema,
    *,
    probe: bool = False,
) -> TrailingOperator:
    """Make the operator.

    `schema`: of the rows that come; with `probe`, of those that ask (the others need the key, and what the aggregates
    read). The output has its columns and those of the windows, and FEATURE_SYSTEM.
    """
    added = {column: aggregated.type for _, columns in windows for column, aggregated in columns.items()}
    output = Schema({**schema.columns, **added}, FEATURE_SYSTEM)
    calls = tuple(compiled(columns.values()) for _, columns in windows)
    return TrailingOperator(name, tuple(by) or (ALL,), tuple(windows), calls, schema, probe, output)
