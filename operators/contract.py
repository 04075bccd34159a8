"""The one contract of every operator.

An operator is a pure function with explicit state. A host calls `step` again and again; between two calls it may put
the state away as bytes and bring it back in another process.

* `rows` are all rows with `previous watermark < __time <= watermark`, no duplicates, sorted by `__time`, those of one
  key and time by `__id`: `Reorder` stands before every chain of operators. So an operator never sees a late row, and
  never the same time in two calls. In which order keys follow one another within a time means nothing. Operators that
  take them so get them sorted by a hash of the key, and by `__time` only within a key (`Reorder.by_key`).
* The result must not depend on where the watermarks cut the stream: `step(rows up to 5)` then `step(rows up to 9)`
  gives the same rows, in total, as one `step(rows up to 9)`.
* Rows given back are final, have `__time <= watermark` (but in the closing step, see below) and are in the same order.
* State is named frames that are never changed in place: a snapshot is a reference, a dump is Arrow IPC per frame. It
  is bounded by a window end or a time-to-live.
* `next_due` is the least watermark at which the operator has something to give although no row comes; None if nothing
  is due. No operator asks for the time.
* The closing step of a bounded run has `until` set: every row is in, no row after `until` was read. Windows in
  progress give their next row although their end is later; timers (`keep`, `expires`, empty rows) that are due after
  `until` do not fire. Nothing is called after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import polars as pl

if TYPE_CHECKING:
    from tocsin.model.rows import Schema

State = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Instant:
    """When a step happens, and the tables as they may be looked up in it.

    `tables`: all versions still needed, per table: its key columns, `__time` (valid from), `__gone` (deleted), its
    other fields; sorted by `__time`. `file` and `rows` tables have one version with the least possible time.

    `missed` takes how many look-ups found no row, by table: for a host that counts, no result depends on it.
    """

    watermark: int
    until: int | None = None
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    missed: Counter[str] = field(default_factory=Counter, compare=False)

    @property
    def closing(self) -> bool:
        """Whether this is the last step of a bounded run."""
        return self.until is not None


class Step(NamedTuple):
    """What one call gives: final rows, the state to go on with, when to call again at the latest."""

    rows: pl.DataFrame
    state: State
    next_due: int | None


class Operator(Protocol):
    """One operator of a chain; picklable, without state of its own between calls."""

    @property
    def name(self) -> str:
        """Unique in its stage; names its part of the state."""
        ...

    @property
    def output(self) -> Schema:
        """The schema of the rows it gives."""
        ...

    def initial(self) -> State:
        """Give the state before any row: all its frames, empty."""
        ...

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Take the rows up to the watermark; give what has become final."""
        ...


def earliest(*dues: int | None) -> int | None:
    """Give the least of the times that are set."""
    return min((due for due in dues if due is not None), default=None)
