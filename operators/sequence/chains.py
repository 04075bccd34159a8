"""Chains of steps: each row goes on with the latest chain before it, in columns, one step of the sequence at a time.

Whether a chain can go on depends on its first row alone. A later row never goes on with a chain that began earlier than
that of a row before it; so the latest chain is the one that lasts longest, and no other one need be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.grouping import taken
from operators.trailing.latest import BEGINNING
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.expressions.bound import Lookup
    from operators.sequence.line import Flags, Line
    from operators.sequence.steps import StepSpec
    from operators.trailing.keyring import Ints

    LookUp = Callable[[pl.DataFrame, Sequence[Lookup]], pl.DataFrame]
    """Adds to rows, sorted by time, the columns of look-ups."""

START = "__start"
SINCE = "__since"


class Chains(NamedTuple):
    """The chains up to a step, per place of a line.

    `flags`: the places at which one ends. `start`: the time of its first row. `since`: of the last row before that
    which must not be there, BEGINNING if none. `refs`: a column per step, where its row lies in the pool.
    """

    flags: Flags
    start: Ints
    since: Ints
    refs: Ints


class Behind(NamedTuple):
    """The latest chain before each place, over or not. `at`: where it ends, -1 for before this batch."""

    at: Ints
    start: Ints
    since: Ints
    refs: Ints


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one call, in a line, and what is known from before.

    `pool`: the chains carried (per key one of each of the `levels`), then the rows of the batch. `start`, `since`: of
    the chains carried.
    """

    rows: pl.DataFrame
    line: Line
    pool: pl.DataFrame
    levels: Sequence[int]
    start: Ints
    since: Ints

    @property
    def nothing(self) -> Ints:
        """The chains before any step: of no step, at every place."""
        return np.zeros((self.line.row.size, 0), dtype=np.int64)

    def begin(self, flags: Flags, missing: Flags | None) -> Chains:
        """Begin chains at these places; `missing`: the places of rows that must not come before them."""
        since = np.full(flags.size, BEGINNING)
        if missing is not None:
            at, carried = self.line.before(missing), self._carried(0)
            since = np.where(at >= 0, self.line.time[at], self.start[carried])
        return Chains(flags, self.line.time, since, self._own())

    def behind(self, chains: Chains, level: int) -> Behind:
        """Give the latest chain up to step `level` (from 1) before each place."""
        at, carried = self.line.before(chains.flags), self._carried(level)
        here = at >= 0
        start = np.where(here, chains.start[at], self.start[carried])
        since = np.where(here, chains.since[at], self.since[carried])
        return Behind(at, start, since, np.where(here[:, None], chains.refs[at], carried[:, None]))

    def go_on(self, behind: Behind, flags: Flags) -> Chains:
        """Give the chains that go on at these places."""
        return Chains(flags, behind.start, behind.since, np.hstack([behind.refs, self._own()]))

    def alive(self, behind: Behind, within: int) -> Flags:
        """Say at which places the chain behind is not over yet."""
        return self.line.time - behind.start <= within

    def broken(self, behind: Behind, missing: Flags) -> Flags:
        """Say at which places a row that must not be there lies between it and the end of the chain behind."""
        at = self.line.before(missing)
        return (at >= 0) & (self.line.tie[at] > behind.at)

    def _own(self) -> Ints:
        return (self.start.size + self.line.row)[:, None]

    def _carried(self, level: int) -> Ints:
        """Give where the chain of this level and of each place's key lies in the pool."""
        return self.line.key * len(self.levels) + self.levels.index(level)

    def picked(self, steps: Sequence[StepSpec], refs: Ints) -> list[pl.Series]:
        """Give what is kept of the rows of the first steps of chains; `refs`: as in Chains, of some places."""
        found = (taken(self.pool.select(step.kept), refs[:, number]) for number, step in enumerate(steps))
        return [column for frame in found for column in frame.get_columns()]

    def meets(self, step: StepSpec, flags: Flags, before: Sequence[StepSpec], refs: Ints, look_up: LookUp) -> Flags:
        """Say at which of these places the condition of a step holds; `before`: the steps of the chains at `refs`."""
        if step.condition is None:
            return flags
        places = self.line.in_order(flags)
        own = [pl.col(name).alias(column) for column, name in zip(step.columns, step.named, strict=True)]
        seen = taken(self.rows.select(TIME, *own), self.line.row[places])
        seen = look_up(seen.with_columns(self.picked(before, refs[places])), step.condition.lookups)
        held = self.line.none
        held[places] = seen.select(step.condition.expr.fill_null(value=False)).to_series().to_numpy()
        return held
