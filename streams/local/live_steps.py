"""What was read and taken in of a partition that goes on, before the stages ask for it.

One thread (`intake`) asks all live partitions in turn; the stages take what is done. The state of the ingest stage
stands at the head, where records come in; what a commit keeps is that of the steps that were taken. What one thread
writes (`_rows_in`, `_state`) the other one does not, and so for `_rows_out`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from streams.ingest.idling import idled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from streams.ingest.spec import Ingested
    from streams.ingest.stage import Ingest
    from streams.sources.contract import LiveSource, Position

AHEAD_ROWS = 200_000
"""Rows of a partition that wait for the stages; beyond them its records stay where they are."""


class Step(NamedTuple):
    """What was read and ingested, and where the source stood behind it.

    `done`: None where only time has passed. `copies`: early copies of immediate rules that went out already; None where
    nobody looked for them.
    """

    done: Ingested | None
    state: Mapping[str, pl.DataFrame]
    place: Position
    size: int
    copies: pl.DataFrame | None = None


@dataclass(slots=True)
class LiveSteps:
    """The steps of a partition that are done and not taken. `idle`: ms, see the word."""

    source: LiveSource
    ingest: Ingest
    idle: int
    _rows_in: int = field(init=False, default=0)
    _rows_out: int = field(init=False, default=0)
    _state: Mapping[str, pl.DataFrame] = field(init=False)
    _done: deque[Step] = field(init=False, default_factory=deque)

    def begin(self, state: Mapping[str, pl.DataFrame]) -> None:
        """Go on from the state of the ingest stage."""
        self._state = state

    @property
    def rows(self) -> int:
        """How many rows the steps hold that were not taken."""
        return self._rows_in - self._rows_out

    @property
    def ready(self) -> bool:
        """Whether a step is done."""
        return bool(self._done)

    def go_on(self, most: int, early: Callable[[pl.DataFrame], pl.DataFrame] | None) -> bool:
        """Take in what has come, at most about `most` records; whether there is anything new for the stages.

        `early` takes the rows at once, gives the early copies and lets them out.
        """
        if self.rows >= AHEAD_ROWS:
            return False
        raw = self.source.read(most)
        if raw is None:
            return self._pass_time()
        done = self.ingest.step(raw, self._state)
        self._state = done.state
        copies = None if early is None else early(done.rows)
        self._rows_in += done.rows.height
        self._done.append(Step(done, done.state, self.source.position, raw.size, copies))
        return True

    def take(self) -> Step | None:
        """Give the first step that was not taken; None if there is none."""
        step = self._done.popleft() if self._done else None
        if step is not None and step.done is not None:
            self._rows_out += step.done.rows.height
        return step

    def _pass_time(self) -> bool:
        """Let silence move the watermark (semantics 5)."""
        clock = None if self._done else self.source.quiet(self.idle)
        if clock is None:
            return False
        state = idled(self._state, clock, self.idle)
        if state is self._state:
            return False
        self._state = state
        self._done.append(Step(None, state, self.source.position, 0))
        return True
