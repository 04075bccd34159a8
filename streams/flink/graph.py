"""The operators of a job and what flows between them, without PyFlink.

    Kafka source ─► pack (columns of a batch to one pack per partition) ─► source tasks ─► shards, layer by layer
                                                                                  └────────┴─► sinks

`job.py` builds what is said here, and `tocsin plan --runtime flink` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from streams.flink import statements
from streams.tasks.layout import SHARD, sender_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from operators.stage import Stage
    from streams.flink.alert_topics import AlertTopic
    from streams.flink.order import Order
    from streams.flink.statements import Insert, Table

TASK = "task"
"""The key of tasks: each has one of its own."""


class Edge(NamedTuple):
    """What an operator reads: another one's output, its main one if `output` is empty."""

    operator: str
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A part of the job.

    `uid`: by what its state is known, wherever it stands; where SQL makes several operators of it, each has a number
    behind that. `parallelism`: its subtasks; `key`: by what its rows are spread; `state`: what it keeps.
    """

    name: str
    uid: str
    does: str
    parallelism: int
    reads: tuple[Edge, ...] = ()
    key: str = ""
    state: str = ""

    @property
    def statements(self) -> tuple[str, ...]:
        """Those of Flink's SQL that make it."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Operator):
    """Reads a topic and packs its records."""

    stream: str
    table: Table

    @property
    def query(self) -> str:
        """What is read of the table."""
        return statements.RECORDS.format(self.table.name)

    @property
    def statements(self) -> tuple[str, ...]:
        """Those that make it."""
        return self.table.create, self.query


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds(Operator):
    """Wakes tasks once; their names."""

    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks(Operator):
    """Hosts tasks; `early`: whether early copies come from here."""

    early: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer(Operator):
    """Writes rows to a topic, by a statement."""

    insert: Insert

    @property
    def statements(self) -> tuple[str, ...]:
        """Those that make it."""
        return self.insert.table.create, self.insert.statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinks(Operator):
    """Serves the sinks that are no topic."""


def graph_of(
    order: Order, alerts: Mapping[int, AlertTopic], client: Mapping[str, str], parallelism: int
) -> list[Operator]:
    """Give the operators, each behind those that it reads. `alerts`: by the number of their sink."""
    return list(_Drawing(order, alerts, client, parallelism).operators())


@dataclass(frozen=True, slots=True)
class _Drawing:
    order: Order
    alerts: Mapping[int, AlertTopic]
    client: Mapping[str, str]
    parallelism: int

    def operators(self) -> Iterator[Operator]:
        sources = [self._source(number, stream) for number, stream in enumerate(sorted(self.order.partitions))]
        hosts = [self._sources(sources)]
        yield from sources
        yield self._seeds("seeds-sources", self._partitions())
        yield hosts[0]
        for layer, stages in enumerate(self.order.layout.layers):
            seeds = self._seeds(f"seeds-{layer}", self._shards(layer))
            yield seeds
            hosts.append(self._layer(layer, stages, seeds, hosts))
            yield hosts[-1]
        yield from self._writers(hosts)

    def _source(self, number: int, stream: str) -> Source:
        name, order = f"source_{number}", self.order
        return Source(
            name=name,
            uid=f"source {stream}",
            does=f"reads {order.topics[stream]}, the stream {stream}; packs what a batch has of each partition",
            parallelism=self.parallelism,
            state=f"offsets of {order.partitions[stream]} partitions",
            stream=stream,
            table=statements.source(name, stream, order, self.client),
        )

    def _seeds(self, name: str, tasks: Iterable[str]) -> Seeds:
        uid = f"{name} {self.order.run}"  # a seed that a state says was sown would wake nobody new
        return Seeds(name=name, uid=uid, does="wakes each task once", parallelism=1, tasks=tuple(tasks))

    def _sources(self, sources: Sequence[Source]) -> Tasks:
        direct = [stage.name for stages in self.order.layout.direct.values() for stage in stages]
        return Tasks(
            name="sources",
            uid="sources",
            does=f"{len(self._partitions())} tasks, one per partition: decode, ingest, {_run(direct)}",
            parallelism=self.parallelism,
            reads=(Edge("seeds-sources"), *(Edge(one.name) for one in sources)),
            key=TASK,
            state=f"per partition greatest event time, brake, duplicates{_with(direct)}",
            early=self.order.early,
        )

    def _layer(self, layer: int, stages: Sequence[Stage], seeds: Seeds, before: Iterable[Operator]) -> Tasks:
        names = [stage.name for stage in stages]
        return Tasks(
            name=f"shards-{layer}",
            uid=f"shards-{layer}",
            does=f"{len(seeds.tasks)} tasks, one per shard of keys: {_run(names)}",
            parallelism=self.parallelism,
            reads=(Edge(seeds.name), *(Edge(one.name, f"layer-{layer}") for one in before)),
            key=TASK,
            state=f"per shard how far each sender is{_with(names)}",
        )

    def _writers(self, hosts: Sequence[Operator]) -> Iterator[Operator]:
        for number, topic in self.alerts.items():
            insert = statements.alerts(number, topic, self.order, self.client)
            does = f"writes alerts to {topic.topic}, exactly once: committed with each checkpoint"
            reads = tuple(Edge(one.name, f"sink-{number}") for one in hosts)
            yield self._writer(insert, f"alerts {topic.name}", does, "transactions", reads)
        does = "tells whoever started the job who is through, and why nobody can go on"
        words = statements.words(self.order, self.client)
        yield self._writer(words, words.table.name, does, "", tuple(Edge(one.name, "words") for one in hosts))
        yield Sinks(
            name="sinks",
            uid="sinks",
            does="serves the other sinks, and a checkpoint waits for them; compares keys of partitions",
            parallelism=1,
            reads=tuple(Edge(one.name, "delivered") for one in hosts),
            key="sink",
        )

    def _writer(self, insert: Insert, uid: str, does: str, state: str, reads: tuple[Edge, ...]) -> Writer:
        return Writer(
            name=insert.table.name,
            uid=uid,
            does=does,
            parallelism=self.parallelism,
            reads=reads,
            state=state,
            insert=insert,
        )

    def _partitions(self) -> list[str]:
        return [sender_of(name, at) for name, number in sorted(self.order.partitions.items()) for at in range(number)]

    def _shards(self, layer: int) -> list[str]:
        shards = self.order.shards
        return [sender_of(SHARD, slot) for slot in range(layer * shards, (layer + 1) * shards)]


def _run(stages: Sequence[str]) -> str:
    return f"run {', '.join(stages)}" if stages else "pass rows on"


def _with(stages: Sequence[str]) -> str:
    return "; stages" if stages else ""
