"""Early copies of what was just fetched, on a thread of their own.

They wait neither for who fetches, nor for tasks at work, nor for commits; so tasks may gather what has come. For that,
records of few rows are taken in twice: here for their early copies alone, and by their task for everything else. Where
more has come in a round than can be early, what came first is passed over, and the thread rests: the truth comes all
the same.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from streams.ingest.lateness import greatest_of
from streams.ingest.together import Part
from streams.local.dataflow import BEGINNING
from streams.sources.contract import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from streams.ingest.lateness import State
    from streams.ingest.stage import Ingest
    from streams.tasks.intake import Intake
    from streams.tasks.source_task import SourceTask

ROUND_SECONDS = 0.008
"""Between two rounds; see `streams.local.intake`."""
WAITING_MOST = 20_000
"""Records that a round takes, at most."""
REST = 3
"""Times that a round took for which the thread rests where more has come than that: then nothing is early."""


class Fetched(Protocol):
    """Consecutive records of one partition, at least one."""

    @property
    def tp(self) -> Any:  # noqa: ANN401  # the host's
        """The partition."""

    @property
    def end(self) -> int:
        """The offset behind the last record."""

    @property
    def count(self) -> int:
        """How many there are."""

    def raw_from(self, offset: int) -> Records | None:
        """Give the records from an offset on as the decoder takes them, None if there are none; it may not be cut."""


class _Arrived(NamedTuple):
    """What has come of a partition: the task that it belongs to, and its records."""

    task: SourceTask
    raw: Records


class EarlyPath:
    """Gives early copies to the sinks.

    `task_of`: gives the task of a partition, None where that is none of ours. `ingests`: by stream, used by nobody
    else. `offer`: passes copies on to the sinks.
    """

    def __init__(
        self,
        task_of: Callable[[Any], SourceTask | None],
        ingests: Mapping[str, Ingest],
        intake: Intake,
        offer: Callable[[pl.DataFrame], None],
    ) -> None:
        self._task_of = task_of
        self._ingests = ingests
        self._intake = intake
        self._offer = offer
        self._states: dict[str, State] = {}
        self._waiting: deque[Fetched] = deque()
        self._bell = threading.Event()
        self._error: Exception | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tocsin-early", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise what ended the thread."""
        if self._error is not None:
            raise self._error

    def arrived(self, batch: Fetched) -> None:
        """Take what was fetched of a partition; any thread may say so."""
        if self._error is None:
            self._waiting.append(batch)
            self._bell.set()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._bell.wait()
                self._bell.clear()
                begun = time.monotonic()
                whole = self.go_on()
                took = time.monotonic() - begun
                self._stopping.wait(max(ROUND_SECONDS - took, 0.0 if whole else REST * took))
        except Exception as error:  # noqa: BLE001  # raised by `check`
            self._error = error

    def go_on(self) -> bool:
        """Let out the early copies of what has come; whether that was all of it."""
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        newest = _newest(taken)
        streams: dict[str, list[_Arrived]] = {}
        for one in self._arrived(newest):
            streams.setdefault(one.task.stream.name, []).append(one)
        for stream, arrived in streams.items():
            self._let_out(stream, sorted(arrived, key=lambda one: one.task.partition))
        return len(newest) == len(taken)

    def _arrived(self, batches: Sequence[Fetched]) -> list[_Arrived]:
        found: dict[Any, list[Records]] = {}
        ends: dict[Any, int] = {}
        for batch in batches:  # what was fetched again after a rebalance begins before its end
            if (raw := batch.raw_from(ends.get(batch.tp, 0))) is not None:
                found.setdefault(batch.tp, []).append(raw)
                ends[batch.tp] = batch.end
        tasks = ((self._task_of(tp), raws) for tp, raws in found.items())
        return [_Arrived(task, Records.joined(raws)) for task, raws in tasks if task is not None]

    def _state(self, task: SourceTask) -> State:
        """Give the greatest event time: ours, or that of the task, which hears of silence and of what was before."""
        own = self._states.get(task.name, task.state)
        return max(own, task.state, key=lambda state: greatest_of(state) or BEGINNING)

    def _let_out(self, stream: str, arrived: Sequence[_Arrived]) -> None:
        first = arrived[0]
        ingest = self._ingests[stream]
        parts = [Part(task.partition, raw, self._state(task)) for task, raw in arrived]
        done = ingest.steps(parts)
        for (task, _), step in zip(arrived, done.each, strict=True):
            self._states[task.name] = step.state
        copies = self._intake.early_copies(stream, first.task.within(done.rows), first.task.hosted.tables)
        if copies.height:
            self._offer(copies)


def _newest(batches: Sequence[Fetched]) -> Sequence[Fetched]:
    """Give as many of the last ones as a round takes, and one at least."""
    rows = 0
    for at in range(len(batches) - 1, -1, -1):
        rows += batches[at].count
        if rows > WAITING_MOST:
            return batches[min(at + 1, len(batches) - 1) :]
    return batches
