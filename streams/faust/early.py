"""Early copies of what was just fetched, on a thread of their own.

They wait neither for the event loop, nor for tasks at work, nor for commits; so tasks may gather what has come. For
that, records of few rows are taken in twice: here for their early copies alone, and by their task for everything else.
Where more has come in a round than can be early, what came first is passed over: the truth comes all the same.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from streams.ingest.lateness import greatest_of
from streams.ingest.together import Part
from streams.local.dataflow import BEGINNING
from streams.sources.contract import Records
from streams.tasks.source_task import SourceTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from streams.faust.batches import Batch
    from streams.faust.outlets import Outlets
    from streams.faust.unit import Unit
    from streams.ingest.lateness import State
    from streams.ingest.stage import Ingest
    from streams.tasks.intake import Intake

ROUND_SECONDS = 0.008
"""Between two rounds; see `streams.local.intake`."""
WAITING_MOST = 50_000
"""Records that a round takes, at most."""


class _Arrived(NamedTuple):
    """What has come of a partition: the task that it belongs to, and its records."""

    unit: Unit
    task: SourceTask
    raw: Records


class EarlyPath:
    """Gives early copies to the sinks.

    `units`: by partition, those of this worker. `ingests`: by stream, used by nobody else.
    """

    def __init__(
        self,
        units: Mapping[Any, Unit],
        ingests: Mapping[str, Ingest],
        intake: Intake,
        outlets: Outlets,
    ) -> None:
        self._units = units
        self._ingests = ingests
        self._intake = intake
        self._outlets = outlets
        self._states: dict[str, State] = {}
        self._waiting: deque[Batch] = deque()
        self._bell = threading.Event()
        self._error: Exception | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="tocsin-early", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopping = True
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise what ended the thread."""
        if self._error is not None:
            raise self._error

    def arrived(self, batch: Batch) -> None:
        """Take what was fetched of a partition; any thread may say so."""
        self._waiting.append(batch)
        self._bell.set()

    def _work(self) -> None:
        try:
            while not self._stopping:
                self._bell.wait()
                self._bell.clear()
                begun = time.monotonic()
                self.go_on()
                time.sleep(max(0.0, begun + ROUND_SECONDS - time.monotonic()))
        except Exception as error:  # noqa: BLE001  # raised by `check`
            self._error = error

    def go_on(self) -> None:
        """Let out the early copies of what has come."""
        streams: dict[str, list[_Arrived]] = {}
        for one in self._arrived():
            streams.setdefault(one.task.stream.name, []).append(one)
        for stream, arrived in streams.items():
            self._let_out(stream, sorted(arrived, key=lambda one: one.task.partition))

    def _arrived(self) -> list[_Arrived]:
        found: dict[Any, list[Records]] = {}
        ends: dict[Any, int] = {}
        for batch in self._newest():  # what was fetched again after a rebalance begins before its end
            if (raw := batch.raw_from(ends.get(batch.tp, 0))) is not None:
                found.setdefault(batch.tp, []).append(raw)
                ends[batch.tp] = batch.end
        units = ((self._units.get(tp), raws) for tp, raws in found.items())
        return [
            _Arrived(unit, unit.task, Records.joined(raws))
            for unit, raws in units
            if unit is not None and isinstance(unit.task, SourceTask)
        ]

    def _newest(self) -> list[Batch]:
        """Take all that waits; give the newest of it, as they came."""
        taken, newest, rows = [], [], 0
        while self._waiting:
            taken.append(self._waiting.popleft())
        for batch in reversed(taken):
            rows += len(batch.records)
            if rows > WAITING_MOST:
                break
            newest.append(batch)
        return newest[::-1]

    def _state(self, task: SourceTask) -> State:
        """Give the greatest event time: ours, or that of the task, which hears of silence and of what was before."""
        own = self._states.get(task.name, task.state)
        return max(own, task.state, key=lambda state: greatest_of(state) or BEGINNING)

    def _let_out(self, stream: str, arrived: Sequence[_Arrived]) -> None:
        first = arrived[0]
        ingest = self._ingests[stream]
        parts = [Part(task.partition, raw, self._state(task)) for _, task, raw in arrived]
        done = ingest.steps(parts)
        for (_, task, _), step in zip(arrived, done.each, strict=True):
            self._states[task.name] = step.state
        copies = self._intake.early_copies(stream, first.task.within(done.rows), first.task.hosted.tables)
        if copies.height:
            self._outlets.offer_early(copies)
