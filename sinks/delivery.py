"""Carries transitions to one sink: a thread, a bounded queue, batches, tries again, and says how far it got.

The host offers pieces of its outbox in order and writes `progress` into the next commit; after a restart it offers
everything after `progress.position` again. Sinks are carried by deliveries of their own, so one that is down holds back
neither the others nor, until its queue and the outbox are full, the stream.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import polars as pl

from monitoring import registry
from monitoring.metrics import Metrics, NoMetrics
from monitoring.names import shown
from sinks.at_most import Memory
from sinks.backoff import Backoff
from sinks.pending import Limits, Pending
from sinks.where import Where
from tocsin.errors import SinkError, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sinks.at_most import AtMost
    from sinks.contract import Sink
    from sinks.pending import Offered

GRACE_SECONDS = 5.0
"""How long `close` waits, after its deadline, for a delivery that is under way."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a host keeps per sink in each commit: all transitions before `position` are durable in the sink.

    `passed`: the memory of the sink's `where` at that position, `limited` that of its `at_most`. `bookmark`: the sink's
    own note of where it stood.
    """

    position: int = 0
    passed: pl.DataFrame = field(default_factory=Where.nothing_passed)
    bookmark: str = ""
    limited: Memory = field(default_factory=Memory)


class _Halted(Exception):
    """The delivery was told to stop while it waited for another try."""


class Delivery:
    """Carries transitions to `sink`.

    `clock`: monotonic seconds. `wall`: seconds since the epoch. `pause(seconds)` waits between two tries and says
    whether to give up; by default it ends early when the deadline of `close` has passed.
    """

    def __init__(  # noqa: PLR0913  # what tests inject is keyword-only with defaults
        self,
        name: str,
        sink: Sink,
        *,
        where: Where | None = None,
        at_most: AtMost | None = None,
        progress: Progress | None = None,
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self.name = name
        self.trouble: SinkUnavailable | None = None
        self._sink = sink
        self._where = where
        self._at_most = at_most
        self._progress = progress or Progress()
        self._offered = self._progress.position
        self._passed = self._progress.passed
        self._limited = self._progress.limited
        self._pending = Pending(limits or Limits(), clock)
        self._backoff = backoff or Backoff()
        self._metrics = metrics or NoMetrics()
        self._clock = clock
        self._wall = wall
        self._halt = threading.Event()
        self._pause = pause or self._halt.wait
        self._error: SinkError | None = None
        self._is_open = False
        self._bookmarks: deque[str] = deque()
        self._labels: dict[registry.Sink, str] = {"sink": shown(name)}
        self._gauging = threading.Lock()
        self._under_way: float | None = None
        self._thread = threading.Thread(target=self._work, name=f"tocsin-sink-{name}", daemon=True)

    @property
    def progress(self) -> Progress:
        """How far the sink got; one consistent value, to be written into a commit."""
        return self._progress

    @property
    def delivered(self) -> int:
        """All transitions before this position are durable in the sink."""
        return self._progress.position

    @property
    def held_back(self) -> int:
        """How many alerts `at_most` has held back since the state was new."""
        return self._progress.limited.flood.total

    @property
    def offered(self) -> int:
        """All transitions before this position were accepted; the host goes on offering from here."""
        return self._offered

    def start(self) -> None:
        """Open the sink and start; SinkError if it refuses. One that is down now is tried again in the background."""
        try:
            self._open()
        except SinkUnavailable as trouble:
            self.trouble = trouble
        self._metrics.gauge(registry.SINK_UP.of(self._labels), self._is_open)
        self._thread.start()

    def offer(self, rows: pl.DataFrame, end: int, wait: float = 0.0) -> bool:
        """Offer the transitions [`offered`, `end`), waiting up to `wait` seconds for room.

        False: the queue is full; nothing was taken, offer it again later. Raises SinkError if the sink failed for good.
        """
        self.check()
        if self._pending.offer(rows, end, wait):
            self._offered = end
            self._gauge()
            return True
        self.check()
        self._metrics.count(registry.SINK_REFUSED.of(self._labels))
        return False

    def offer_early(self, rows: pl.DataFrame) -> None:
        """Offer early copies; they are given up if the queue is full, or the truth may be held back."""
        self.check()
        if self._at_most is not None:
            return
        if not self._pending.offer(rows, None):
            self._metrics.count(registry.SINK_EARLY_LOST.of(self._labels), rows.height)

    def look_back(self, bookmark: str) -> None:
        """Let the sink look at what another process wrote since its bookmark, before anything that is offered later.

        For hosts where work moves between processes.
        """
        self._bookmarks.append(bookmark)

    def check(self) -> None:
        """Raise the SinkError with which the sink failed for good, if it did."""
        if self._error is not None:
            raise self._error

    def close(self, deadline: float = 30.0) -> bool:
        """Flush for up to `deadline` seconds and close the sink; whether everything offered is durable in it.

        What is not, stays in the outbox. Raises SinkError if the sink failed for good.
        """
        self._pending.close()
        if self._thread.ident is not None:
            if not self._is_open and self.delivered == self._offered:
                self._halt.set()  # there is nothing to open it for
            self._thread.join(deadline)
            self._halt.set()
            self._thread.join(GRACE_SECONDS)
        else:
            self._sink.close()
        self.check()
        return self.delivered == self._offered

    def _work(self) -> None:
        try:
            if not self._is_open:
                self._insist(self._open)
            while (taken := self._pending.take(self._sink.batching)) and not self._halt.is_set():
                self._carry(taken)
        except _Halted:
            pass
        except SinkError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  # a defect in a sink must stop the host, not vanish in a thread
            self._fail(SinkError(f"sink {self.name}: {type(error).__name__}: {error}"), error)
        finally:
            self._pending.discard()
            self._sink.close()

    def _open(self) -> None:
        self._sink.open(self._progress.bookmark)
        self._progress = replace(self._progress, bookmark=self._sink.bookmark)
        self._is_open = True

    def _carry(self, taken: Sequence[Offered]) -> None:
        self._under_way = taken[0].since
        self._gauge()
        while self._bookmarks:
            self._insist(partial(self._sink.look_back, self._bookmarks.popleft()))
        rows = self._select(pl.concat([item.rows for item in taken]) if len(taken) > 1 else taken[0].rows)
        for part in rows.iter_slices(self._sink.batching.rows):
            self._insist(partial(self._deliver, part))
        ends = [item.end for item in taken if item.end is not None]
        position = ends[-1] if ends else self._progress.position
        held = self._limited.flood.total - self._progress.limited.flood.total
        self._metrics.count(registry.SINK_HELD_BACK.of(self._labels), held)
        self._progress = Progress(position, self._passed, self._sink.bookmark, self._limited)
        self._under_way = None
        self._gauge()

    def _select(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give what the sink is to get: of that which `where` lets through, as much as `at_most` does."""
        reached: int | None = rows.get_column("time").max()  # type: ignore[assignment]  # of integers
        if self._at_most is not None:
            rows = self._at_most.beside(rows, self._limited)
        if self._where is not None:
            rows, self._passed = self._where.through(rows, self._passed)
        if self._at_most is not None:
            rows, self._limited = self._at_most.through(rows, reached, self._limited)
        return rows

    def _deliver(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        begin = self._clock()
        self._sink.deliver(rows)
        self._metrics.observe(registry.SINK_BATCH_SECONDS.of(self._labels), self._clock() - begin)
        self._metrics.observe(registry.SINK_BATCH_ROWS.of(self._labels), rows.height)
        self._metrics.count(registry.SINK_BATCHES.of(self._labels))
        self._metrics.count(registry.SINK_ROWS.of(self._labels), rows.height)

    def _insist(self, action: Callable[[], None]) -> None:
        for attempt in count():
            try:
                action()
            except SinkUnavailable as trouble:
                self.trouble = trouble
                self._metrics.count(registry.SINK_RETRIES.of(self._labels))
                self._metrics.gauge(registry.SINK_UP.of(self._labels), 0)
                if self._pause(self._backoff.delay(attempt)):
                    raise _Halted from trouble
            else:
                self.trouble = None
                self._metrics.gauge(registry.SINK_UP.of(self._labels), 1)
                return

    def _fail(self, error: SinkError, cause: Exception | None = None) -> None:
        error.__cause__ = cause or error.__cause__
        self._metrics.count(registry.SINK_FAILURES.of(self._labels))
        self._metrics.gauge(registry.SINK_UP.of(self._labels), 0)
        self._error = error

    def _gauge(self) -> None:
        """Record what waits; the thread that comes last records the last."""
        with self._gauging:
            since = self._pending.oldest if self._under_way is None else self._under_way
            stamp = 0.0 if since is None else self._wall() - (self._clock() - since)
            self._metrics.gauge(registry.SINK_QUEUE_SINCE.of(self._labels), stamp)
            self._metrics.gauge(registry.SINK_QUEUE_ROWS.of(self._labels), self._pending.rows)
            self._metrics.gauge(registry.SINK_QUEUE_BYTES.of(self._labels), self._pending.bytes)
