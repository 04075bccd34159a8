"""The local runtime: reads the sources of a topology, drives its dataflow, commits, publishes.

The main thread steps the stages and takes the inputs that are to be read next (`inputs`); a thread beside it reads and
decodes the next batch meanwhile, and one per Kafka topic fetches. A commit hands frames over to a writer
thread; each sink has a thread of its own; Polars uses all cores inside of a step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from monitoring.health import SINKS, SOURCES, Health
from streams.brake import Brake
from streams.leaps import Leaps
from streams.local import checkpoint
from streams.local.committing import Committer
from streams.local.dataflow import BEGINNING, END
from streams.local.early import EarlyCopies
from streams.local.publishing import Publisher
from streams.local.quality import QualityCounts
from streams.local.tally import Tally, sizes_of
from tocsin.model.alerts import TRANSITIONS
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sinks.delivery import Delivery
    from streams.dead_letters import TakesLetters
    from streams.local.dataflow import Dataflow
    from streams.local.feed import Feed, Read
    from streams.local.inputs import Inputs
    from streams.local.snapshot import Snapshot
    from streams.local.store import Store
    from tocsin.compiler import Plan

BATCH_ROWS = 131_072
COMMIT_SECONDS = 2.0
FLUSH_SECONDS = 30.0
"""How long the end of a run waits for slow sinks; what they lack then stays in the state."""
HURRY_SECONDS = 5.0
"""The same for a run that was told to stop."""


def never() -> bool:
    """Stand in where nobody stops a run."""
    return False


def silent(message: str) -> None:
    """Stand in where nobody reads warnings."""
    del message


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did, over all its lives: see `Tally`.

    `seconds`: of this process. `flushed`: every sink has everything. `stopped`: it was told to stop before the end.
    `until`: the event time in ms at which it ended, None if no record had a time. `troubles`: sinks that are down.
    `held_back`: alerts that `at_most` held back, per sink.
    """

    tally: Tally
    seconds: float
    flushed: bool
    stopped: bool
    until: int | None
    troubles: tuple[str, ...] = ()
    held_back: Mapping[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """How many records were read."""
        return sum(number for (_, kind), number in self.tally.records.items() if kind == "records")


@dataclass(slots=True)
class Settings:
    """How a run goes.

    `until`: no row after it is taken. `emit_from`: transitions before it are not given (`--from`). `keep`: leave
    windows open at the end, for a run that goes on with more input. `early`: give early copies of immediate rules.
    `brakes`: stop where nearly everything is bad. `receive`: takes the rows of wanted stages, by stage, instead of the
    outbox. `stop`: asked between two batches. `warn`: takes a sentence for people. `health`: told how it goes.
    """

    batch_rows: int = BATCH_ROWS
    commit_seconds: float = COMMIT_SECONDS
    until: int | None = None
    emit_from: int | None = None
    keep: bool = False
    early: bool = False
    brakes: bool = True
    progress: Callable[[Runner], None] | None = None
    receive: Callable[[str, pl.DataFrame], None] | None = None
    stop: Callable[[], bool] = never
    warn: Callable[[str], None] = silent
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    health: Health = field(default_factory=Health)


@dataclass(slots=True)
class Runner:
    """One run of a plan over its feeds, each a partition of a stream, by any names.

    `begin`: the commit to go on from, None to begin anew.
    """

    plan: Plan
    flow: Dataflow
    inputs: Inputs
    deliveries: tuple[Delivery, ...] = ()
    store: Store | None = None
    dead_letters: TakesLetters | None = None
    settings: Settings = field(default_factory=Settings)
    tally: Tally = field(default_factory=Tally)
    begin: Snapshot | None = None
    brakes: dict[str, Brake] = field(init=False)
    publisher: Publisher = field(init=False)
    quality: QualityCounts | None = field(init=False)
    _committer: Committer | None = field(init=False)
    _early: EarlyCopies | None = field(init=False)
    leaps: dict[str, Leaps] = field(init=False)

    def __post_init__(self) -> None:
        """Start with an empty outbox."""
        how, metrics = self.settings, self.tally.metrics
        self.publisher = Publisher(self.deliveries)
        self.quality = QualityCounts(self.flow) if self.flow.counts_quality else None
        self.brakes, self.leaps = {}, {}
        self._committer = None if self.store is None else Committer(self.store, how.commit_seconds, metrics, how.clock)
        self._early = EarlyCopies(self.plan) if how.early else None
        self._watch(self.feeds)
        self.flow.watch = self.tally.stepped
        self.tally.begin({feed.plan.name for feed in self.feeds.values()})

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """The feeds by name."""
        return self.inputs.feeds

    def _watch(self, feeds: Mapping[str, Feed]) -> None:
        for name, feed in feeds.items():
            self.leaps[name] = Leaps(feed.plan.name, feed.plan.ahead)
            if self.settings.brakes:
                self.brakes[name] = Brake(feed.plan.name)

    def run(self, accepted: Callable[[], None] | None = None) -> Summary:
        """Read everything, close, flush. `accepted` is called when nothing speaks against going on from `begin`.

        Raises:
            BrakeError: nearly everything that a source gives is bad.
            StateError: a commit failed, the one before is still valid; or `begin` is of another run.
            SinkError: a sink refused for good.
        """
        started = self.settings.clock()
        try:
            if self.begin is not None:
                checkpoint.resume(self, self.begin)
            if accepted is not None:
                accepted()
            if self.quality is not None:
                self.quality.begin(self.settings.wall())
            self.publisher.start()
            self.inputs.start(self.settings.batch_rows, None if self._early is None else self._let_out_early)
            self.settings.health.watch(SOURCES, lambda: self.inputs.silent)
            self.settings.health.watch(SINKS, lambda: self.publisher.down)
            stopped = self._read_on()
            flushed = self._finish(stopped=stopped)
        except BaseException:
            self.publisher.abandon()
            raise
        finally:
            self.inputs.close()
        seconds = self.settings.clock() - started
        troubles, held_back = tuple(self.publisher.troubles), self.publisher.held_back
        return Summary(self.tally, seconds, flushed, stopped, self._end(), troubles, held_back)

    def _read_on(self) -> bool:
        """Read until all sources are at their end, or until told to stop; say whether it was the latter."""
        while self.inputs.running:
            if self._told_to_stop():
                return True
            names = self.inputs.ready()
            for name in names:
                self._take(name)
            if not names:
                self.inputs.wait()
            self._watch(self.inputs.grown())
            self._change_tables()
            if self.inputs.running:
                self._advance()
            self._keep_up()
        return False

    def _take(self, name: str) -> None:
        read = self.feeds[name].read(self.settings.batch_rows)
        for sentence in self.leaps[name].finish() if read is None else self.leaps[name].watch(read.ingested):
            self.settings.warn(sentence)
        if read is not None:
            self._take_in(name, read)
        elif name in self.brakes and self.feeds[name].ended:
            self.brakes[name].finish()

    def _change_tables(self) -> None:
        """Take in what tables were told meanwhile: it counts from the watermark at which it arrives (semantics 20)."""
        for name, read in self.inputs.table_changes():
            if self.dead_letters is not None:
                self.dead_letters.put(read.dead, round(self.settings.wall() * 1000))
            self.tally.table_changed(name, read)
            self.flow.change_table(name, read.versions)

    def _advance(self) -> None:
        watermarks = self._watermarks()
        clock = {} if self.quality is None else {QUALITY: self.quality.watermark(self.settings.wall())}
        self._give(self.flow.advance(watermarks | clock), min(watermarks.values()))

    def _take_in(self, name: str, read: Read) -> None:
        """Store what is dead before the brake judges it: what stops a run can be looked at."""
        stream = self.feeds[name].plan.name
        now = self.settings.wall()
        self.tally.read(stream, read, now)
        if self.quality is not None:
            self.quality.count(read.ingested.counts.frame, now)
        if self.dead_letters is not None:
            self.dead_letters.put(read.aside, round(now * 1000))
        if name in self.brakes:
            self.brakes[name].watch(read.ingested)
        if self._early is not None:
            copies = self._let_out_early(stream, read.rows) if read.copies is None else read.copies
            if copies.height:
                self.tally.early_copies(copies)
        self.flow.feed(stream, read.rows)

    def _watermarks(self) -> dict[str, int]:
        """Give the watermarks, none after `until`; a source at its end holds nothing back up to the greatest time.

        Not further: the run ends at the greatest event time of all inputs, and no timer after it may fire. Where a
        later run goes on with more input, the end of a source is no end, and its own watermark counts.
        """
        reached = self._end()
        least: dict[str, int] = {}
        for feed in self.feeds.values():
            own = feed.watermark if reached is None else min(feed.watermark, reached)
            lifted = feed.ended and not self.settings.keep
            watermark = reached if lifted and reached is not None else own
            least[feed.plan.name] = min(watermark, least.get(feed.plan.name, watermark))
        return least

    def _end(self) -> int | None:
        """Give the event time at which the run ends as far as is known, None before any record."""
        times = [feed.greatest for feed in self.feeds.values() if feed.greatest is not None]
        return max(times, default=None) if self.settings.until is None else self.settings.until

    def _give(self, given: Mapping[str, pl.DataFrame], watermark: int) -> None:
        """Pass on the rows of wanted stages that became final with a watermark."""
        self.tally.dropped(self.flow.counts)
        if self.settings.receive is not None:
            for stage, rows in given.items():
                self.settings.receive(stage, rows)
            return
        if not given and (self._early is None or self._early.pending.is_empty()):
            return
        log = pl.concat(
            [pl.DataFrame(schema=TRANSITIONS), *(rows.select(list(TRANSITIONS)) for rows in given.values())]
        )
        if len(given) > 1:  # of several rules: receivers, and limits of what they get, go by time
            log = log.sort("time", maintain_order=True)
        if self._early is not None:
            self.tally.unconfirmed(self._early.decided(log, watermark))
        log = self._of_this_run(log)
        self.tally.log(log)
        self.publisher.add(log)

    def _let_out_early(self, stream: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Pass on the early copies of rows that have just come, and give them; also called by the intake's thread."""
        if self._early is None or rows.is_empty():
            return pl.DataFrame(schema=TRANSITIONS)
        copies = self._of_this_run(self._early.arrived(stream, rows, self.flow.tables))
        if copies.height:
            self.publisher.add_early(copies)
        return copies

    def _of_this_run(self, log: pl.DataFrame) -> pl.DataFrame:
        return log if self.settings.emit_from is None else log.filter(pl.col("time") >= self.settings.emit_from)

    def _keep_up(self) -> None:
        """Between two reads: commit if it is time, let out what has become durable, say how it goes."""
        if self._committer is None:
            self.publisher.release(self.publisher.outbox.end)
        else:
            self._harvest(self._committer, wait=self.publisher.full)
            if self._committer.due:
                self._begin_commit(self._committer)
        self.publisher.hold(self._told_to_stop)
        self.tally.watermarks(self._watermarks())
        self.tally.outbox(self.publisher.outbox)
        self.inputs.tell(self.tally.metrics)
        if self.settings.progress is not None:
            self.settings.progress(self)

    def _told_to_stop(self) -> bool:
        """Say that the run lives, and hear whether to stop."""
        self.settings.health.beat()
        return self.settings.stop()

    def _begin_commit(self, committer: Committer) -> None:
        snapshot = checkpoint.take(self)
        keys = {stage.name: stage.key for stage in self.plan.stages}
        # counting keys takes as long as a step; the thread that commits has the time
        committer.begin(snapshot).add_done_callback(lambda _: self.tally.sizes(sizes_of(snapshot.frames, keys)))

    def _harvest(self, committer: Committer, *, wait: bool) -> None:
        """Let out what the last commit made durable, if it is done."""
        durable = committer.harvest(wait=wait)
        if durable is not None:
            self.tally.committed()
            self.publisher.release(durable.end)
            self.inputs.commit(durable.positions)

    def _finish(self, *, stopped: bool) -> bool:
        """Commit, close the windows in progress where this is the end, flush; say whether all sinks have everything.

        What closing gives is decided by the commit before it: a run that is repeated from there gives the same.
        """
        self.settings.health.drain("told to stop" if stopped else "everything was read")
        ends = not stopped and not self.settings.keep
        if ends and self.quality is not None:
            self.quality.close(self.settings.wall())
        if self._committer is not None:
            self._harvest(self._committer, wait=True)
            self._begin_commit(self._committer)
            self._harvest(self._committer, wait=True)
        if ends:
            self._close()
        self.publisher.release(self.publisher.outbox.end)
        return self.publisher.flush(HURRY_SECONDS if stopped else FLUSH_SECONDS)

    def _close(self) -> None:
        until, clock = self._end(), None if self.quality is None else self.quality.end
        last = {} if until is None else {feed.plan.name: until for feed in self.feeds.values()}
        self._give(
            self.flow.advance(last if clock is None else {**last, QUALITY: clock}),
            BEGINNING if until is None else until,
        )
        self._give(self.flow.close(until, clock), END)
