"""The thread that takes in what goes on: decodes, ingests and lets early copies out while the stages work."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from streams.ingest.together import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import polars as pl

    from streams.local.feed import Feed
    from streams.local.live_steps import LiveSteps
    from streams.sources.contract import RawBatch

    Early = Callable[[str, pl.DataFrame], pl.DataFrame]
    Waiting = list[tuple[LiveSteps, RawBatch]]
    """Partitions with the records that have come of them."""

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
                begun = time.monotonic()
                taken = sum(self._go_on(partitions) for partitions in self._streams.values())
                if not taken:
                    self._bell.wait(WAIT_SECONDS)
                    continue
                self._news.set()
                if taken < FEW:
                    time.sleep(max(0.0, begun + ROUND_SECONDS - time.monotonic()))
        except BaseException as error:  # noqa: BLE001  # raised where the stages are driven
            self._error = error
            self._news.set()

    def _go_on(self, partitions: Sequence[tuple[Feed, LiveSteps]]) -> int:
        """Take in what has come of a stream; give how many records that were."""
        taken, (feed, _) = 0, partitions[0]
        for waiting in self._waiting(partitions):
            self._take_in(feed, waiting)
            taken += sum(raw.count for _, raw in waiting)
        return taken

    def _waiting(self, partitions: Sequence[tuple[Feed, LiveSteps]]) -> Iterator[Waiting]:
        """Give what has come of a stream, about `most` records at once; let time pass where nothing has."""
        waiting: Waiting = []
        for feed, live in partitions:
            if feed.ended:
                continue
            raw = live.read(self._most)
            if raw is not None:
                waiting.append((live, raw))
            elif live.pass_time():
                self._news.set()
            if sum(raw.count for _, raw in waiting) >= self._most:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _take_in(self, feed: Feed, waiting: Waiting) -> None:
        """Take records of some partitions in; `feed`: any of their stream."""
        done = feed.ingest.steps([Part(live.source.partition, raw, live.state) for live, raw in waiting])
        copies = None
        if self._early is not None:
            copies = self._early(feed.plan.name, feed.span.within(done.rows))
        for (live, raw), step in zip(waiting, done.each, strict=True):
            live.put(step, raw.size, copies)
            copies = None if copies is None else copies.clear()  # told once
