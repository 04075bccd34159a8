"""What was read and taken in of a partition that goes on, before the stages ask for it.

One thread (`intake`) asks all live partitions in turn; the stages take what is done. The state of the ingest stage
stands at the head, where records come in; what a commit keeps is that of the steps that were taken. What one thread
writes (`_rows_in`, `state`) the other one does not, and so for `_rows_out`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from streams.ingest.idling import idled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.ingest.spec import Ingested
    from streams.sources.contract import LiveSource, Position, RawBatch

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
    """The steps of a partition that are done and not taken. `idle`: ms, see the word; `state`: of the ingest stage."""

    source: LiveSource
    idle: int
    state: Mapping[str, pl.DataFrame] = field(init=False)
    _rows_in: int = field(init=False, default=0)
    _rows_out: int = field(init=False, default=0)
    _done: deque[Step] = field(init=False, default_factory=deque)

    def begin(self, state: Mapping[str, pl.DataFrame]) -> None:
        """Go on from the state of the ingest stage."""
        self.state = state

    @property
    def rows(self) -> int:
        """How many rows the steps hold that were not taken."""
        return self._rows_in - self._rows_out

    @property
    def ready(self) -> bool:
        """Whether a step is done."""
        return bool(self._done)

    def read(self, most: int) -> RawBatch | None:
        """Give what has come, at most about `most` records; None if nothing has, or enough waits for the stages."""
        return None if self.rows >= AHEAD_ROWS else self.source.read(most)

    def put(self, done: Ingested, size: int, copies: pl.DataFrame | None) -> None:
        """Keep what became of the records that were read last, `size` bytes, until it is taken."""
        self.state = done.state
        self._rows_in += done.rows.height
        self._done.append(Step(done, done.state, self.source.position, size, copies))

    def take(self) -> Step | None:
        """Give all steps that were not taken as one; None if there is none."""
        steps = []
        while self._done:
            step = self._done.popleft()
            self._rows_out += 0 if step.done is None else step.done.rows.height
            steps.append(step)
        return _joined(steps) if len(steps) > 1 else next(iter(steps), None)

    def pass_time(self) -> bool:
        """Let silence move the watermark (semantics 5); whether it has."""
        clock = None if self._done else self.source.quiet(self.idle)
        if clock is None:
            return False
        state = idled(self.state, clock, self.idle)
        if state is self.state:
            return False
        self.state = state
        self._done.append(Step(None, state, self.source.position, 0))
        return True


def _joined(steps: Sequence[Step]) -> Step:
    """Make one step of several, as if their records had come at once."""
    done = [step.done for step in steps if step.done is not None]
    copies = [step.copies for step in steps if step.copies is not None]
    last = steps[-1]
    return Step(
        done[0].joined(done[1:]) if done else None,
        last.state,
        last.place,
        sum(step.size for step in steps),
        pl.concat(copies) if copies else None,
    )
