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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.contract import Step
from operators.stage import PROBE
from operators.trailing import evidence, keyring, memory, timers
from operators.trailing.answers import Asked, answers, asked
from operators.trailing.empties import Empties, empties, run_empty
from operators.trailing.kept import Kept, initial
from operators.trailing.parts import Compiled, compiled
from operators.trailing.ranges import Line
from operators.trailing.timers import Timers
from tocsin.model.rows import FEATURE_SYSTEM, ID, TIME, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from operators.contract import Instant, State
    from operators.expressions.bound import Aggregated
    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows
    from tocsin.model.windows import Trailing

ALL = "__all"
"""The key column of a feature without `by`."""


class Side(NamedTuple):
    """Rows of a step that ask or answer; their `order` by (key, time, id), and in that order their keys' indices."""

    rows: pl.DataFrame
    order: Ints
    key: Ints

    @staticmethod
    def of(rows: pl.DataFrame, order: Ints, key: Ints, chosen: npt.NDArray[np.bool_]) -> Side:
        """Give some of the rows."""
        some = chosen[order]
        place = np.cumsum(chosen) - 1
        return Side(rows.filter(pl.Series(chosen)), place[order[some]], key[some])


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
        grouped = keyring.grouped(rows, self.by)
        found = keyring.find(grouped.keys, kept.keys)
        due, waiting = timers.popped(kept.timers, now)
        touched = np.unique(np.concatenate([found.codes, due.code]))
        due = due._replace(code=np.searchsorted(touched, due.code))
        order, key = grouped.ranked(np.searchsorted(touched, found.codes))
        asking, answering = self._sides(rows, order, key)
        piece = memory.piece_of(self._keep(answering.rows), answering.order, touched[answering.key])
        held = memory.rows_of(touched, (*kept.rows, piece))
        line = self._line(touched.size, held, rows)
        if line is None:
            return self._in_halves(rows, kept, now)
        known = (*kept.keys, found.added) if found.added.height else kept.keys
        fired, later = Timers.of(), Timers.of()
        if not self.probe:
            fired, later = run_empty(held, line, [window for window, _ in self.windows], due, kept.watermark, now)
        empty = empties(fired, touched, known, self.by, [name for name in self.by if name != ALL])
        given = answers(self, self._asked(asking, empty), held, line)
        if self.probe:
            found = found._replace(added=keyring.known_in(found.added, piece.get_column(keyring.CODE).to_numpy()))
        return given, kept.plus(piece, found.added, (waiting, later.renamed(touched)), now, self.memory)

    def _sides(self, rows: pl.DataFrame, order: Ints, key: Ints) -> tuple[Side, Side]:
        """Give the rows that ask, and those that answer."""
        if not self.probe:
            side = Side(rows, order, key)
            return side, side
        asks = rows.get_column(PROBE).to_numpy()
        return Side.of(rows, order, key, asks), Side.of(rows, order, key, ~asks)

    def _keep(self, rows: pl.DataFrame) -> pl.DataFrame:
        stored = {name: bound for calls in self.calls for name, bound in calls.stored.items()}
        columns = [bound.expr.cast(bound.type.physical).alias(name) for name, bound in stored.items()]
        return rows.select(TIME, evidence.source(rows.columns), *columns)

    def _asked(self, asking: Side, empty: Empties) -> Asked:
        own = asking.rows.select(evidence.source(asking.rows.columns)).to_series() if self._names_itself else None
        columns = list(dict.fromkeys([TIME, ID, *self.schema.columns]))
        key = np.empty_like(asking.key)
        key[asking.order] = asking.key
        return asked(asking.rows.select(columns), key, own, empty)

    @property
    def _names_itself(self) -> bool:
        """Whether a row is evidence of itself though no window holds it."""
        return self.probe or all(window.delayed for window, _ in self.windows)

    def _line(self, keys: int, held: Rows, rows: pl.DataFrame) -> Line | None:
        """Give the line of all rows and of all times at which their windows run empty."""
        times = [held.time.min(), held.time.max()] if held.time.size else []
        if rows.height:
            times += [rows.get_column(TIME)[0], rows.get_column(TIME)[-1]]
        return Line.over(keys, int(min(times)), int(max(times)) + self.memory) if times else Line(0, 1)

    def _in_halves(self, rows: pl.DataFrame, kept: Kept, now: int) -> tuple[pl.DataFrame, Kept]:
        """Step twice, cut at a time in the middle, so that keys and times fit a place each."""
        times = rows.get_column(TIME)
        middle = (int(times[0]) + int(times[-1])) // 2
        if int(times[0]) == int(times[-1]):
            raise OverflowError(f"{self.name}: too many keys at once for a memory of {self.memory} ms")
        first, kept = self._advance(rows.filter(times <= middle), kept, middle)
        second, kept = self._advance(rows.filter(times > middle), kept, now)
        return pl.concat([first, second]), kept


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
