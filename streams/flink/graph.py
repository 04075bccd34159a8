"""The operators of a job and what flows between them, without PyFlink.

    Kafka source, packs (the records of each partition put together) ─► source tasks ─► shards, layer by layer
                                                                              └──────────┴─► sinks

`job.py` builds what is said here, and `tocsin plan --runtime flink` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from streams.flink import topics
from streams.tasks.layout import SHARD, sender_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from operators.stage import Stage
    from streams.flink.alert_topics import AlertTopic
    from streams.flink.order import Order
    from streams.flink.topics import Topic

TASK = "task"
"""The key of tasks: each has one of its own."""


class Edge(NamedTuple):
    """What an operator reads: another one's output, its main one if `output` is empty."""

    operator: str
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A part of the job.

    `uid`: by what its state is known, wherever it stands. `parallelism`: its subtasks; `key`: by what its rows are
    spread; `state`: what it keeps; `topic`: what it reads or writes, None for neither.
    """

    name: str
    uid: str
    does: str
    parallelism: int
    reads: tuple[Edge, ...] = ()
    key: str = ""
    state: str = ""
    topic: Topic | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Operator):
    """Reads a topic and packs its records."""

    stream: str
    topic: Topic


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
    """Writes rows to a topic."""

    topic: Topic


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
            does=f"reads {order.topics[stream]}, the stream {stream}; puts the records of each partition together",
            parallelism=self.parallelism,
            state=f"offsets of {order.partitions[stream]} partitions",
            stream=stream,
            topic=topics.source(stream, order, self.client),
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
            yield Writer(
                name=f"alerts_{number}",
                uid=f"alerts {topic.name}",
                does=f"writes alerts to {topic.topic}, exactly once: committed with each checkpoint",
                parallelism=self.parallelism,
                reads=tuple(Edge(one.name, f"sink-{number}") for one in hosts),
                state="transactions",
                topic=topics.alerts(topic, self.order, self.client),
            )
        yield Writer(
            name="words",
            uid="words",
            does="tells whoever started the job who is through, and why nobody can go on",
            parallelism=self.parallelism,
            reads=tuple(Edge(one.name, "words") for one in hosts),
            topic=topics.words(self.order, self.client),
        )
        yield Sinks(
            name="sinks",
            uid="sinks",
            does="serves the other sinks, and a checkpoint waits for them; compares keys of partitions",
            parallelism=1,
            reads=tuple(Edge(one.name, "delivered") for one in hosts),
            key="sink",
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
