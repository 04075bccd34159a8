"""The local runtime: reads the sources of a topology, drives its dataflow, commits, publishes.

One thread reads, decodes and steps; Polars uses all cores inside. A commit hands frames over to a writer thread; each
sink has a thread of its own. The input whose watermark lags most is read next, so that inputs stay within one batch.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from streams.brake import Brake
from streams.local.dataflow import BEGINNING, Dataflow
from streams.local.outbox import Outbox
from streams.local.publishing import Publisher
from streams.local.snapshot import Snapshot
from tocsin.model.alerts import TRANSITIONS
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from sinks.delivery import Delivery
    from streams.dead_letters import DeadLetterStore
    from streams.local.feed import Feed, Read
    from streams.local.store import Store
    from tocsin.compiler import Plan

BATCH_ROWS = 131_072
COMMIT_SECONDS = 2.0
FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did: records per stream, dead letters by (stream, reason), counts of stages, transitions by rule."""

    records: Mapping[str, int]
    dead: Mapping[tuple[str, str], int]
    stages: Mapping[tuple[str, str], int]
    transitions: Mapping[tuple[str, str], int]
    seconds: float
    flushed: bool


@dataclass(slots=True)
class Settings:
    """How a run goes. `emit_from`: transitions before it are not given (`--from`).

    `receive`: takes the rows of wanted stages instead of the outbox, by stage.
    """

    batch_rows: int = BATCH_ROWS
    commit_seconds: float = COMMIT_SECONDS
    until: int | None = None
    emit_from: int | None = None
    progress: Callable[[Runner], None] | None = None
    receive: Callable[[str, pl.DataFrame], None] | None = None
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(slots=True)
class Runner:
    """One bounded run of a plan over its feeds, each a partition of a stream, by any names."""

    plan: Plan
    flow: Dataflow
    feeds: Mapping[str, Feed]
    deliveries: tuple[Delivery, ...] = ()
    store: Store | None = None
    dead_letters: DeadLetterStore | None = None
    settings: Settings = field(default_factory=Settings)
    dead: Counter[tuple[str, str]] = field(default_factory=Counter)
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    brakes: Mapping[str, Brake] = field(init=False)
    _publisher: Publisher = field(init=False)
    _commit: tuple[Future[int], int] | None = field(init=False, default=None)
    _committed_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Start with an empty outbox."""
        self._publisher = Publisher(self.deliveries)
        self.brakes = {feed.plan.name: Brake(feed.plan.name) for feed in self.feeds.values()}

    def run(self) -> Summary:
        """Read everything, close, flush.

        Raises:
            BrakeError: nearly everything that a source gives is bad.
            StateError: a commit failed; the one before is still valid.
            SinkError: a sink refused for good.
        """
        started = self._committed_at = self.settings.clock()
        self._resume()
        for delivery in self.deliveries:
            delivery.start()
        while (feed := self._lagging()) is not None:
            self._take(feed)
            self._keep_up()
        self._finish()
        flushed = self._publisher.flush(FLUSH_SECONDS)
        records = {name: feed.records for name, feed in self.feeds.items()}
        seconds = self.settings.clock() - started
        return Summary(records, self.dead, self.flow.counts, self.transitions, seconds, flushed)

    def _lagging(self) -> Feed | None:
        """Choose the input that holds the others back."""
        running = [feed for feed in self.feeds.values() if not feed.ended]
        return min(running, key=lambda feed: feed.watermark, default=None)

    def _take(self, feed: Feed) -> None:
        read = feed.read(self.settings.batch_rows)
        if read is None:
            self.brakes[feed.plan.name].finish()
        else:
            self._put_aside(feed, read)
            self.flow.feed(feed.plan.name, read.rows)
        if self._lagging() is not None:
            self._give(self.flow.advance(self._watermarks()))

    def _watermarks(self) -> dict[str, int]:
        """Give the watermarks; a source at its end holds nothing back, up to the greatest event time read so far.

        Not further: the run ends at the greatest event time of all inputs, and no timer after it may fire.
        """
        reached = max((f.greatest for f in self.feeds.values() if f.greatest is not None), default=BEGINNING)
        least: dict[str, int] = {}
        for feed in self.feeds.values():
            watermark = min(feed.watermark, reached) if feed.ended else feed.watermark
            least[feed.plan.name] = min(watermark, least.get(feed.plan.name, watermark))
        return least

    def _give(self, given: Mapping[str, pl.DataFrame]) -> None:
        if self.settings.receive is None:
            self._publish(given)
            return
        for stage, rows in given.items():
            self.settings.receive(stage, rows)

    def _put_aside(self, feed: Feed, read: Read) -> None:
        name = feed.plan.name
        for reason, number in read.aside.group_by("reason").len().iter_rows():
            self.dead[name, reason] += number
        if self.dead_letters is not None:
            self.dead_letters.put(read.aside, round(self.settings.wall() * 1000))
        self.brakes[name].watch(read.ingested)

    def _publish(self, given: Mapping[str, pl.DataFrame]) -> None:
        for rows in given.values():
            if self.settings.emit_from is not None:
                rows = rows.filter(pl.col(TIME) >= self.settings.emit_from)  # noqa: PLW2901
            log = rows.select(list(TRANSITIONS))
            for rule, kind, number in log.group_by("rule", "kind").len().iter_rows():
                self.transitions[rule, kind] += number
            self._publisher.add(log)

    def _keep_up(self) -> None:
        """Between two reads: commit if it is time, let out what has become durable, say how it goes."""
        if self.store is None:
            self._publisher.release(self._publisher.outbox.end)
        else:
            self._harvest(wait=False)
            due = self.settings.clock() - self._committed_at >= self.settings.commit_seconds
            if self._commit is None and due:
                self._begin_commit()
        self._publisher.hold()
        if self.settings.progress is not None:
            self.settings.progress(self)

    def _begin_commit(self) -> None:
        if self.store is not None:
            self._commit = self.store.commit_async(self._snapshot()), self._publisher.outbox.end
            self._committed_at = self.settings.clock()

    def _harvest(self, *, wait: bool) -> None:
        """Let out what the last commit made durable, if it is done."""
        if self._commit is not None and (wait or self._commit[0].done()):
            future, end = self._commit
            future.result()
            self._commit = None
            self._publisher.release(end)

    def _finish(self) -> None:
        """Bring every stage to the end of the run, make that durable, then close the windows in progress.

        What closing gives is decided by the commit before it: a run that is repeated from there gives the same.
        """
        times = [feed.greatest for feed in self.feeds.values() if feed.greatest is not None]
        until = self.settings.until if self.settings.until is not None else max(times, default=None)
        if until is not None:
            self._give(self.flow.advance(dict.fromkeys((f.plan.name for f in self.feeds.values()), until)))
        self._harvest(wait=True)
        self._begin_commit()
        self._harvest(wait=True)
        if until is not None:
            self._give(self.flow.close(until))
        self._publisher.release(self._publisher.outbox.end)

    def _snapshot(self) -> Snapshot:
        frames, plain = self.flow.snapshot()
        for name, feed in self.feeds.items():
            frames |= {("feed", name, key): frame for key, frame in feed.state.items()}
        outbox = self._publisher.outbox
        return Snapshot(
            frames,
            positions={name: feed.position for name, feed in self.feeds.items()},
            outbox=outbox.chunks,
            outbox_end=outbox.end,
            sinks=self._publisher.progress,
            meta={"flow": plain, "dead": [[*key, n] for key, n in self.dead.items()]},
        )

    def _resume(self) -> None:
        snapshot = self.store.load() if self.store is not None else None
        if snapshot is None:
            return
        frames = {path: frame for path, frame in snapshot.frames.items() if path[0] != "feed"}
        self.flow.restore(frames, snapshot.meta["flow"])
        for name, feed in self.feeds.items():
            state = {path[2]: frame for path, frame in snapshot.frames.items() if path[:2] == ("feed", name)}
            feed.resume(snapshot.positions[name], state)
        self.dead.update({(stream, reason): number for stream, reason, number in snapshot.meta["dead"]})
        self._publisher.outbox = Outbox(snapshot.outbox, snapshot.outbox_end)
        self._publisher.durable = snapshot.outbox_end
