"""What a subtask does with its tasks, without PyFlink: take what comes, let stages step, say what leaves.

A task settles when something has waited in it for a while: taking records in and a step cost nearly the same for few
rows as for many. What waits is part of its state.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from monitoring import registry
from monitoring.metrics import MemoryMetrics
from monitoring.names import shown
from streams.chosen_sinks import choose_sinks
from streams.dead_letters import DeadLetterStore
from streams.flink.early import EarlyCopying
from streams.flink.ends import Ends
from streams.flink.keeping import Keeping
from streams.flink.metrics import Telling
from streams.flink.packs import Pack
from streams.kafka.dead_letters import DeadLettersByStream
from streams.local.assembly import follow_tables
from streams.local.early import EarlyCopies
from streams.local.tally import Tally
from streams.pseudonyms import KEY, load_pseudonyms
from streams.sources.contract import Records
from streams.tasks import values
from streams.tasks.changes import refuse_other_shards
from streams.tasks.following import Following
from streams.tasks.inputs import load_tables, uris_of
from streams.tasks.intake import Fresh, Intake
from streams.tasks.key_check import KeyCheck
from streams.tasks.layout import SHARD, sender_of
from streams.tasks.making import Maker
from streams.tasks.shard_task import ShardTask
from streams.tasks.silence import Silence
from streams.tasks.source_task import SourceTask
from streams.tasks.task import PLAIN, SinkPlace
from tocsin.errors import SourceError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl

    from streams.chosen_sinks import ChosenSink
    from streams.flink.keeping import Kept
    from streams.flink.order import Order
    from streams.pseudonyms import Pseudonyms
    from streams.tasks.key_check import Told
    from streams.tasks.task import Task

Partition = tuple[str, int]

SETTLE_BYTES = 2 << 20
"""Of a task: beside so much a step of the stages is cheap."""
BEHIND_SECONDS = 5.0
"""Records that are older than that when they come are of a backlog: a task is settled less often, with more of them."""
BEHIND_SETTLE_SECONDS = 1.0

TELL_SECONDS = 1.0
"""How often a subtask tells keys of its partitions."""
FOLLOW_SECONDS = 0.5
"""How often it takes in what tables were told."""


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
    """The tasks of a subtask. `warn`: takes sentences for the log. `monotonic`, `clock`: seconds, since the epoch."""

    order: Order
    warn: Callable[[str], None]
    monotonic: Callable[[], float] = time.monotonic
    clock: Callable[[], float] = time.time
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    keeping: Keeping = field(init=False)
    _telling: Telling = field(init=False)
    _maker: Maker = field(init=False)
    _letters: DeadLettersByStream = field(init=False)
    _intake: Intake = field(init=False)
    _sinks: list[ChosenSink] = field(init=False)
    _early: EarlyCopying | None = None
    _silence: Silence = field(default_factory=Silence)
    _ends: Ends = field(init=False)
    _names: Mapping[int, str] = field(init=False)
    _keys: KeyCheck = field(init=False)
    _tell_at: float = 0.0
    _following: Following = field(init=False)
    _follow_at: float = 0.0

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
        self._letters = DeadLettersByStream.of(uris, store, self.warn)
        self._keys = KeyCheck.of(layout)
        early = partial(EarlyCopies, plan) if order.early else None
        self._intake = Intake(tally, self._letters, self._keys, early)
        self._sinks = choose_sinks(plan, order.sinks)
        self._following = self._follow(pseudonyms)
        self._maker = Maker(layout, self._following.tables, pseudonyms, order.until, tally.stepped)
        self._names = {key: name for name, key in order.keys.items()}
        self._ends = Ends(order.servers)
        self._telling = Telling(tally, plan)
        self.keeping = Keeping(self._make)

    def _follow(self, pseudonyms: Pseudonyms) -> Following:
        """Read the tables out of topics, and begin to follow them; OSError, which lets Flink try again, if it fails."""
        plan, uris = self.order.plan, self.order.followed
        try:
            read = load_tables(plan, uris, Path(), pseudonyms, only=uris)
        except SourceError as error:
            raise OSError(str(error)) from error
        self._intake.put_aside(read.dead)
        keys_of = {name: table.key for name, table in plan.tables.items()}
        followed = follow_tables(plan, uris, read.ends, replace(pseudonyms))
        following = Following({**self.order.tables, **read.tables}, keys_of, followed, self._intake.table_changed)
        following.start()
        return following

    def start_early(self) -> None:
        """Begin to make early copies."""
        self._early = EarlyCopying(self._sinks, self._maker, self._intake, self.metrics, self._source_here)
        self._early.start()

    def _source_here(self, tp: Partition) -> SourceTask:
        return cast("SourceTask", self.keeping.kept[self.order.keys[sender_of(*tp)]].task)

    def _make(self, key: int) -> tuple[Task, Partition]:
        node, _, number = self._names[key].rpartition("/")
        if node == SHARD:
            return self._maker.shard(int(number)), (node, int(number))
        return self._maker.source(node, int(number)), (self.order.topics[node], int(number))

    def knows(self, key: int) -> bool:
        """Whether a Flink key is that of a task; otherwise it was, before its stream or layer was taken out."""
        return key in self._names

    def let_go(self, key: int, stored: Mapping[bytes, bytes]) -> None:
        """Look at the state of a key that no task has: its stream or layer was taken out, and it may go.

        StateError if not so: the state is cut into other shards or partitions, and all its tasks have other keys.
        """
        loaded = values.load(stored, key)
        if loaded is None:
            return
        plain, layout = PLAIN.decode(loaded.head.plain), self.order.layout
        refuse_other_shards(plain.shards, layout.shards, layout.holder)
        for stream, number in layout.partitions.items():
            if plain.partitions.get(stream, number) != number:
                raise StateError(
                    f"{layout.holder.name} has read {plain.partitions[stream]} partitions of {stream}, not {number}: "
                    f"take another {layout.holder.option}"
                )

    def take(self, kept: Kept, data: bytes) -> None:
        """Take a pack of records, or a packet."""
        kept.waiting.append(data)
        kept.gathered += len(data)
        kept.fresh = True
        if self._early is not None and isinstance(kept.task, SourceTask):
            self._early.arrived(kept.task, data)

    def _take_in(self, kept: Kept) -> None:
        """Let the task have what waits for it."""
        waiting, kept.dirty = kept.take(), True
        if not waiting:
            return
        if isinstance(kept.task, SourceTask):
            packs = list(map(Pack, waiting))
            self._refuse_gone_back(kept.task, packs[0].first)
            self._records(kept.task, packs)
            kept.behind = int(packs[-1].stamps[-1]) < (self.clock() - BEHIND_SECONDS) * 1000
        elif isinstance(kept.task, ShardTask):
            self._intake.packets(kept.task, waiting, kept.task.end + len(waiting))
            self._telling.heard(kept.task)

    @staticmethod
    def _refuse_gone_back(task: SourceTask, first: int) -> None:
        """Raise StateError where records come that are in the state already: Flink has lost where its reader was."""
        if first < task.end:
            raise StateError(
                f"{task.name} has read up to the offset {task.end}, and records come from {first} on: the state of its "
                "reader is not there; take another --state"
            )

    def _records(self, task: SourceTask, packs: Sequence[Pack]) -> None:
        raw = None if task.through else Records.joined([pack.records() for pack in packs])
        (taken,) = self._intake.records([Fresh(task, raw, packs[-1].end)])
        if taken is None:
            return
        if taken.aside.height:
            self._intake.put_aside(taken.aside)
        task.brake.watch(taken.ingested)

    def due(self, kept: Kept) -> bool:
        """Whether something has waited in a task for long enough, or enough has."""
        patience = BEHIND_SETTLE_SECONDS if kept.behind else self.order.settle_seconds
        long = self.monotonic() >= kept.settled_at + patience
        return kept.fresh and (long or kept.gathered >= SETTLE_BYTES)

    def look(self, kept: Kept, clock: int) -> None:
        """Let time pass in a partition: where nothing happens at its end, and in what it counts by minutes.

        `clock`: ms since the epoch.
        """
        if isinstance(kept.task, SourceTask) and kept.task.minute_over(clock):
            kept.task.turn(clock)
            kept.fresh = kept.dirty = True
        if self._early is not None:
            self._early.path.check()
        self._change_tables()
        self._telling.tell(self.keeping.kept)
        still = [] if kept.waiting else self._silence.still([kept])
        if not still or self.monotonic() < kept.asked_at + still[0][1].stream.idle / 4000:
            return
        kept.asked_at = self.monotonic()
        left = self._ends.left({one.tp: task.end for one, task in still})
        for one, task in self._silence.idle(still, left, clock):
            before = task.watermark
            task.idle(clock)
            moved = task.watermark != before
            one.fresh |= moved
            one.dirty |= moved

    def _change_tables(self) -> None:
        """Take in what tables were told, now and then: it counts for all tasks of the subtask."""
        if self._following.followed and self.monotonic() >= self._follow_at:
            self._follow_at = self.monotonic() + FOLLOW_SECONDS
            self._following.look(min(kept.task.reached for kept in self.keeping.kept.values()))

    def told_keys(self) -> Told:
        """Give, now and then, keys that partitions of this subtask hold."""
        if self.monotonic() < self._tell_at:
            return []
        self._tell_at = self.monotonic() + TELL_SECONDS
        return self._keys.tell()

    def settle(self, kept: Kept) -> Iterator[Leaving]:
        """Let stages step, and give what leaves the task."""
        task = kept.task
        self._take_in(kept)
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
        with ExitStack() as ending:
            ending.callback(self._letters.close)
            ending.callback(self._following.close)
            ending.callback(self._ends.close)
            if self._early is not None:
                ending.callback(self._early.close)
