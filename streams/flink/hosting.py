"""What a subtask does with its tasks, without PyFlink: take what comes, let stages step, say what leaves.

A task settles when rows have gathered in it for a while: a step costs nearly the same for few rows as for many. What
has come and not been stepped is part of its state.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from monitoring import registry
from monitoring.metrics import MemoryMetrics
from monitoring.names import shown
from sinks.contract import HERE
from sinks.delivery import Delivery, Progress
from streams.chosen_sinks import choose_sinks
from streams.dead_letters import DeadLetterStore
from streams.flink.ends import Ends
from streams.flink.keeping import Keeping
from streams.flink.metrics import Telling
from streams.flink.packs import Pack
from streams.kafka.dead_letters import DeadLettersByStream
from streams.local.early import EarlyCopies
from streams.local.tally import Tally
from streams.pseudonyms import KEY, load_pseudonyms
from streams.tasks.inputs import uris_of
from streams.tasks.intake import Fresh, Intake
from streams.tasks.key_check import KeyCheck
from streams.tasks.layout import SHARD
from streams.tasks.making import Maker
from streams.tasks.shard_task import ShardTask
from streams.tasks.silence import Silence
from streams.tasks.source_task import SourceTask
from streams.tasks.task import SinkPlace
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl

    from streams.chosen_sinks import ChosenSink
    from streams.flink.keeping import Kept
    from streams.flink.order import Order
    from streams.tasks.key_check import Told
    from streams.tasks.task import Task

Partition = tuple[str, int]

SETTLE_RECORDS = 5_000
"""Of a partition: beside them a step of the stages is cheap, and what was not stepped is written with the state."""

TELL_SECONDS = 1.0
"""How often a subtask tells keys of its partitions."""


class Packet(NamedTuple):
    """Rows for a shard: its layer, its Flink key, the packet."""

    layer: int
    key: int
    data: bytes


class Raised(NamedTuple):
    """Transitions for a sink, by its number."""

    sink: int
    rows: pl.DataFrame


class Through(NamedTuple):
    """A task that has come to the end of the run."""

    task: str


Leaving = Packet | Raised | Through


@dataclass(slots=True)
class Hosting:
    """The tasks of a subtask. `warn`: takes sentences for the log. `monotonic`: seconds."""

    order: Order
    warn: Callable[[str], None]
    monotonic: Callable[[], float] = time.monotonic
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    keeping: Keeping = field(init=False)
    _telling: Telling = field(init=False)
    _maker: Maker = field(init=False)
    _intake: Intake = field(init=False)
    _sinks: list[ChosenSink] = field(init=False)
    _early: list[Delivery] = field(default_factory=list)
    _silence: Silence = field(default_factory=Silence)
    _ends: Ends = field(init=False)
    _names: Mapping[int, str] = field(init=False)
    _keys: KeyCheck = field(init=False)
    _tell_at: float = 0.0

    def __post_init__(self) -> None:
        """Make what tasks are made of."""
        order, pseudonyms = self.order, load_pseudonyms()
        plan, layout = order.plan, order.layout
        if plan.names_persons and pseudonyms.fingerprint != order.fingerprint:
            raise StateError(
                f"a task manager makes pseudonyms with another key than the command that started the job: set {KEY} to "
                "the same key in both environments"
            )
        tally = Tally(self.metrics)
        tally.begin(order.topics)
        store, uris = DeadLetterStore(order.letters), uris_of(order.servers, order.topics)
        letters = DeadLettersByStream.of(uris, store, self.warn)
        self._keys = KeyCheck.of(layout)
        self._intake = Intake(tally, letters, self._keys, partial(EarlyCopies, plan) if order.early else None)
        self._sinks = choose_sinks(plan, order.sinks)
        self._maker = Maker(layout, dict(order.tables), pseudonyms, order.until, tally.stepped)
        self._names = {key: name for name, key in order.keys.items()}
        self._ends = Ends(order.servers)
        self._telling = Telling(tally, plan)
        self.keeping = Keeping(self._make)

    def start_early(self) -> None:
        """Open the sinks for early copies, which go past everything else."""
        begin = Progress(bookmark=HERE)
        self._early = [
            Delivery(one.name, one.sink, at_most=one.at_most, progress=begin, metrics=self.metrics)
            for one in self._sinks
        ]
        for delivery in self._early:
            delivery.start()

    def _make(self, key: int) -> tuple[Task, Partition]:
        node, _, number = self._names[key].rpartition("/")
        if node == SHARD:
            return self._maker.shard(int(number)), (node, int(number))
        return self._maker.source(node, int(number)), (self.order.topics[node], int(number))

    def take(self, kept: Kept, data: bytes) -> None:
        """Take a pack of records, or a packet."""
        kept.fresh = kept.dirty = True
        if isinstance(kept.task, SourceTask):
            kept.gathered += self._records(kept.task, data)
        elif isinstance(kept.task, ShardTask):
            self._intake.packets(kept.task, [data], kept.task.end + 1)
            self._telling.heard(kept.task)

    def _records(self, task: SourceTask, data: bytes) -> int:
        """Take records in; give how many."""
        pack = Pack(data)
        (taken,) = self._intake.records([Fresh(task, None if task.through else pack.records(), pack.end)])
        if taken is None:
            return 0
        if taken.copies is not None and taken.copies.height:
            self._offer_early(taken.copies)
        if taken.aside.height:
            self._intake.put_aside(taken.aside)
        task.brake.watch(taken.ingested)
        return pack.count

    def _offer_early(self, copies: pl.DataFrame) -> None:
        for one, delivery in zip(self._sinks, self._early, strict=True):
            rows = copies
            if one.where is not None:
                rows, _ = one.where.through(copies, one.where.nothing_passed())
            delivery.offer_early(rows)

    def due(self, kept: Kept) -> bool:
        """Whether a task has gathered for long enough, or enough."""
        long = self.monotonic() >= kept.settled_at + self.order.settle_seconds
        return kept.fresh and (long or kept.gathered >= SETTLE_RECORDS)

    def look(self, kept: Kept, clock: int) -> None:
        """Let time pass in a partition at whose end nothing happens; `clock`: ms since the epoch."""
        self._telling.tell(self.keeping.kept)
        still = self._silence.still([kept])
        if not still or self.monotonic() < kept.asked_at + still[0][1].stream.idle / 4000:
            return
        kept.asked_at = self.monotonic()
        left = self._ends.left({one.tp: task.end for one, task in still})
        for one, task in self._silence.idle(still, left, clock):
            before = task.watermark
            task.idle(clock)
            one.fresh = one.dirty = one.fresh or task.watermark != before

    def told_keys(self) -> Told:
        """Give, now and then, keys that partitions of this subtask hold."""
        if self.monotonic() < self._tell_at:
            return []
        self._tell_at = self.monotonic() + TELL_SECONDS
        return self._keys.tell()

    def settle(self, kept: Kept) -> Iterator[Leaving]:
        """Let stages step, and give what leaves the task."""
        task = kept.task
        task.settle()
        kept.fresh, kept.dirty, kept.settled_at, kept.gathered = False, True, self.monotonic(), 0
        shards = self.order.shards
        for sealed in task.outgoing.waiting:
            for slot, _, packet in sealed.packets.iter_rows():
                yield Packet(slot // shards, self.order.keys[f"{SHARD}/{slot}"], packet)
        task.outgoing.waiting.clear()
        yield from self._raised(task)
        if task.through and not kept.told:
            kept.told = True
            yield Through(task.name)

    def _raised(self, task: Task) -> Iterator[Raised]:
        """Give what was decided to the sinks that want it; Flink's checkpoints are its outbox."""
        for chunk in task.outbox.chunks:
            for number, one in enumerate(self._sinks):
                rows, passed = chunk.rows, task.places.get(one.name, SinkPlace()).passed
                if one.where is not None:
                    rows, passed = one.where.through(rows, passed)
                task.places[one.name] = SinkPlace(chunk.end, passed)
                if rows.height:
                    yield Raised(number, rows)
        task.outbox.trim(task.outbox.end)
        self._intake.counted(task.decided, task.hosted.counts)
        task.decided.clear()
        task.hosted.counts.clear()

    def handed_over(self, raised: Raised) -> None:
        """Count transitions that go to a topic in Flink's transactions."""
        sink: dict[registry.Sink, str] = {"sink": shown(self._sinks[raised.sink].name)}
        self.metrics.count(registry.SINK_ROWS.of(sink), raised.rows.height)
        self.metrics.count(registry.SINK_BATCHES.of(sink))

    def close(self) -> None:
        """Let go of clients."""
        for delivery in self._early:
            delivery.close(1.0)
        self._ends.close()
