"""The thread that takes in what goes on: decodes, ingests and lets early copies out while the stages work."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from streams.ingest.together import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import polars as pl

    from streams.local.feed import Feed
    from streams.local.live_steps import LiveSteps
    from streams.sources.contract import RawBatch

    Early = Callable[[str, pl.DataFrame], pl.DataFrame]

WAIT_SECONDS = 0.02
"""How long nothing may come before it is asked whether partitions are silent."""
ROUND_SECONDS = 0.008
"""Between two rounds that found few records: a round costs as much for ten as for a thousand, and the cores are shared
with the broker's threads, whose turn it is."""
FEW = 5_000
"""Records of a round that are few."""


class Intake:
    """Takes in what has come of the live feeds, stream by stream: its partitions in one pass, however little each has.

    `bell` is rung by readers that have something. `most`: about how many records are taken at once. `early` takes the
    name of a stream and rows that have just come, lets their early copies out and gives them.
    """

    def __init__(self, bell: threading.Event, most: int, early: Early | None) -> None:
        self._bell = bell
        self._most = most
        self._early = early
        self._streams: dict[str, list[tuple[Feed, LiveSteps]]] = {}
        self._error: BaseException | None = None
        self._stopping = False
        self._taken = 0
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tocsin-intake", daemon=True)

    def add(self, feeds: Iterable[Feed]) -> None:
        """Ask these feeds, too, as far as they are live."""
        streams = {name: list(known) for name, known in self._streams.items()}
        for feed in feeds:
            if feed.live is not None:
                streams.setdefault(feed.plan.name, []).append((feed, feed.live))
        for known in streams.values():
            known.sort(key=lambda one: one[1].source.partition)
        self._streams = streams

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until a feed has something new, at most so long."""
        if self._news.wait(seconds):
            self._news.clear()

    def check(self) -> None:
        """Raise what ended the thread."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread."""
        self._stopping = True
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stopping:
                self._bell.clear()
                begun, before = time.monotonic(), self._taken
                if any([self._go_on(feeds) for feeds in self._streams.values()]):  # noqa: C419  # all of them
                    self._news.set()
                    if self._taken - before < FEW:
                        time.sleep(max(0.0, begun + ROUND_SECONDS - time.monotonic()))
                else:
                    self._bell.wait(WAIT_SECONDS)
        except BaseException as error:  # noqa: BLE001  # raised where the stages are driven
            self._error = error
            self._news.set()

    def _go_on(self, partitions: Sequence[tuple[Feed, LiveSteps]]) -> bool:
        """Take in what has come of a stream, let time pass where nothing has; whether there is anything new."""
        new, records = False, 0
        waiting: list[tuple[LiveSteps, RawBatch]] = []
        for feed, live in partitions:
            raw = None if feed.ended else live.read(self._most)
            if raw is None:
                new |= not feed.ended and live.pass_time()
                continue
            waiting.append((live, raw))
            records += raw.count
            self._taken += raw.count
            if records >= self._most:
                self._take_in(feed, waiting)
                new, records, waiting = True, 0, []
        if waiting:
            self._take_in(feed, waiting)
        return new or bool(waiting)

    def _take_in(self, feed: Feed, waiting: Sequence[tuple[LiveSteps, RawBatch]]) -> None:
        """Take records of some partitions in; `feed`: any of their stream."""
        done = feed.ingest.steps([Part(live.source.partition, raw, live.state) for live, raw in waiting])
        copies = None
        if self._early is not None:
            copies = self._early(feed.plan.name, feed.span.within(done.rows))
        for (live, raw), step in zip(waiting, done.each, strict=True):
            live.put(step, raw.size, copies)
            copies = None if copies is None else copies.clear()  # told once
