"""What is done with a batch: records go through the ingest stage, packets to the stages of a shard."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import polars as pl

from monitoring import registry
from streams.faust.source_task import SourceTask
from streams.local.feed import Read, late_letters
from streams.sources.contract import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streams.dead_letters import TakesLetters
    from streams.faust.batches import Batch
    from streams.faust.key_check import KeyCheck
    from streams.faust.shard_task import ShardTask
    from streams.faust.task import Task
    from streams.faust.unit import Capture, Unit
    from streams.ingest.spec import Ingested
    from streams.local.early import EarlyCopies
    from streams.local.tally import Tally
    from streams.tables import TableRead


EXCHANGE: dict[Literal["stage"], str] = {"stage": "exchange"}
"""Under which packets are counted: those of all stages of a shard travel together."""


class Taken(NamedTuple):
    """What a batch of records gave: ingested, put aside, early copies if there are any to give."""

    ingested: Ingested
    aside: pl.DataFrame
    copies: pl.DataFrame | None


@dataclass(slots=True)
class Intake:
    """Takes batches for all tasks of a worker.

    `early`: makes the early copies of one partition; None gives none.
    """

    tally: Tally
    letters: TakesLetters
    keys: KeyCheck
    early: Callable[[], EarlyCopies] | None = None
    _writing: Lock = field(default_factory=Lock)
    _counting: Lock = field(default_factory=Lock)
    _dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    _early: dict[str, EarlyCopies] = field(default_factory=dict)

    def take(self, unit: Unit, batches: Sequence[Batch]) -> Taken | None:
        """Take what is new in consecutive batches; in a thread, with the task's lock held."""
        task = unit.task
        if isinstance(task, SourceTask):
            return self._records(task, batches)
        shard = cast("ShardTask", task)
        self.tally.metrics.count(registry.STAGE_BATCHES_READ.of(EXCHANGE), sum(len(batch.records) for batch in batches))
        for batch in batches:
            shard.take(batch.values_from(shard.end), max(shard.end, batch.end))
        return None

    def _records(self, task: SourceTask, batches: Sequence[Batch]) -> Taken | None:
        name, end = task.stream.name, max(task.end, batches[-1].end)
        parts = [part for batch in batches if (part := batch.raw_from(task.end)) is not None]
        if not parts or task.through:
            task.end = end
            return None
        raw = Records.joined(parts)
        done, rows = task.take(raw, end)
        self.keys.note(name, batches[0].tp.partition, rows)
        aside = pl.concat([done.dead, late_letters(done.late)])
        with self._counting:
            self.tally.read(name, Read(rows, aside, done, done.rows.height - rows.height, raw.size), time.time())
        return Taken(done, aside, self._copies(task, rows))

    def _copies(self, task: SourceTask, rows: pl.DataFrame) -> pl.DataFrame | None:
        if self.early is None:
            return None
        if task.name not in self._early:
            self._early[task.name] = self.early()
        early = self._early[task.name]
        copies = early.arrived(task.stream.name, rows, task.hosted.tables)
        early.pending = early.pending.clear()  # the truth is raised by another task
        with self._counting:
            self.tally.early_copies(copies)
        return copies

    def put_aside(self, letters: pl.DataFrame) -> None:
        """Make dead letters and late records durable; StateError if they cannot be."""
        with self._writing:
            self.letters.put(letters, round(time.time() * 1000))

    def table_changed(self, name: str, read: TableRead) -> None:
        """Put aside what came of a table and is no row of it, and count the rest."""
        self.put_aside(read.dead)
        with self._counting:
            self.tally.table_changed(name, read)

    def committed(self, capture: Capture, size: int, seconds: float) -> None:
        """Count a commit that is durable now, and what it decided and dropped."""
        metrics = self.tally.metrics
        metrics.count(registry.COMMITS)
        metrics.count(registry.COMMIT_BYTES, size)
        metrics.observe(registry.COMMIT_SECONDS, seconds)
        with self._counting:
            for log in capture.decided:
                self.tally.decided(log)
            self._dropped.update(capture.dropped)
            self.tally.dropped(self._dropped)

    def sent(self, packets: int) -> None:
        """Count packets that the broker has."""
        self.tally.metrics.count(registry.STAGE_BATCHES_SENT.of(EXCHANGE), packets)

    def assigned(self, tasks: Iterable[Task]) -> None:
        """Note what a rebalance has given to this worker."""
        streams = Counter(task.stream.name for task in tasks if isinstance(task, SourceTask))
        self.tally.metrics.count(registry.REBALANCES)
        for (stream, kind), _ in list(self.tally.records.items()):
            if kind == "records":
                self.tally.metrics.gauge(registry.PARTITIONS.of({"stream": stream}), streams[stream])

    def judge(self, unit: Unit, taken: Taken) -> None:
        """Let the brake see a step whose dead letters are durable; BrakeError if nearly all is bad."""
        if isinstance(unit.task, SourceTask):
            unit.task.brake.watch(taken.ingested)
