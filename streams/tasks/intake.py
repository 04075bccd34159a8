"""What is done with what comes: records go through the ingest stage, packets to the stages of a shard."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from monitoring import registry
from streams.ingest.together import Part
from streams.local.feed import Read, late_letters
from streams.tasks.source_task import SourceTask
from tocsin.model.alerts import TRANSITIONS
from tocsin.model.rows import greatest_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from streams.dead_letters import TakesLetters
    from streams.ingest.spec import Ingested
    from streams.local.early import EarlyCopies
    from streams.local.tally import Tally
    from streams.sources.contract import Records
    from streams.tables import TableRead
    from streams.tasks.key_check import KeyCheck
    from streams.tasks.shard_task import ShardTask
    from streams.tasks.task import Task


EXCHANGE: dict[Literal["stage"], str] = {"stage": "exchange"}
"""Under which packets are counted: those of all stages of a shard travel together."""


class Taken(NamedTuple):
    """What records of a task gave: ingested, put aside."""

    ingested: Ingested
    aside: pl.DataFrame


class Fresh(NamedTuple):
    """Records of a task of a stream that are new, and the offset behind them; None where there are none."""

    task: SourceTask
    raw: Records | None
    end: int


@dataclass(slots=True)
class Intake:
    """Takes what comes for all tasks of a process.

    `early`: makes the early copies of one stream; None gives none.
    """

    tally: Tally
    letters: TakesLetters
    keys: KeyCheck
    early: Callable[[], EarlyCopies] | None = None
    _writing: Lock = field(default_factory=Lock)
    _counting: Lock = field(default_factory=Lock)
    _dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    _early: dict[str, EarlyCopies] = field(default_factory=dict)

    def packets(self, shard: ShardTask, packets: Sequence[bytes], end: int) -> None:
        """Take packets of a shard up to an offset of the exchange."""
        self.tally.metrics.count(registry.STAGE_BATCHES_READ.of(EXCHANGE), len(packets))
        shard.take(packets, end)

    def records(self, sources: Sequence[Fresh]) -> Sequence[Taken | None]:
        """Take in records of partitions of one stream in one pass; what it gives goes to each task by itself."""
        for task, raw, end in sources:
            if raw is None:
                task.end = end
        given: dict[str, Taken] = {}
        full = sorted(((task, raw, end) for task, raw, end in sources if raw is not None), key=_by_partition)
        if full:
            first, *_ = full[0]
            parts = [Part(task.partition, raw, task.state) for task, raw, _ in full]
            done = first.ingest.steps(parts)
            for (task, raw, end), step in zip(full, done.each, strict=True):
                given[task.name] = self._taken(task, raw, step, end)
        return [given.get(one.task.name) for one in sources]

    def _taken(self, task: SourceTask, raw: Records, done: Ingested, end: int) -> Taken:
        name, rows = task.stream.name, task.took(done, end)
        self.keys.note(name, task.partition, rows)
        aside = pl.concat([done.dead, late_letters(done.late)]) if done.late.height else done.dead
        with self._counting:
            self.tally.read(name, Read(rows, aside, done, done.rows.height - rows.height, raw.size), time.time())
        return Taken(done, aside)

    def early_copies(self, stream: str, rows: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Make and count the early copies of rows that have just come; one thread at a time asks for them."""
        if self.early is None:
            return pl.DataFrame(schema=TRANSITIONS)
        if stream not in self._early:
            self._early[stream] = self.early()
        early = self._early[stream]
        copies = early.arrived(stream, rows, tables)
        early.pending = early.pending.clear()  # the truth is raised by another task
        with self._counting:
            self.tally.arrivals.note(greatest_time(rows), time.time())
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

    def committed(
        self, decided: Iterable[pl.DataFrame], dropped: Counter[tuple[str, str]], size: int, seconds: float
    ) -> None:
        """Count a commit that is durable now, and what it decided and dropped."""
        metrics = self.tally.metrics
        metrics.count(registry.COMMITS)
        metrics.count(registry.COMMIT_BYTES, size)
        metrics.observe(registry.COMMIT_SECONDS, seconds)
        self.counted(decided, dropped)

    def counted(self, decided: Iterable[pl.DataFrame], dropped: Counter[tuple[str, str]]) -> None:
        """Count what was decided and dropped since the last time."""
        with self._counting:
            for log in decided:
                self.tally.decided(log)
            self._dropped.update(dropped)
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


def _by_partition(one: tuple[SourceTask, Records, int]) -> int:
    return one[0].partition
