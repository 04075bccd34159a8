"""What a job would be: its operators and topics, found without a broker, a cluster or a JVM."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from streams.flink.alert_topics import alert_topics
from streams.flink.client_settings import java_settings
from streams.flink.graph import Operator, graph_of
from streams.flink.order import RUNTIME, Order, shards_for
from streams.flink.remote import job_name
from streams.flink.spreading import groups_for
from streams.kafka.topics import PARTITIONS
from streams.tasks.inputs import group_of, topics_of
from tocsin.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tocsin.compiler import Plan

MESSAGE_BYTES = 1_048_588
"""Of the largest message that a topic takes where nobody has said otherwise: Kafka's default."""
SECRET = "***"  # noqa: S105  # what stands for one
_SHOWN = ("security.protocol", "sasl.mechanism", "ssl.truststore.type", "ssl.keystore.type")


@dataclass(slots=True)
class Wanted:
    """What job is meant; as `submitting.Run`. `partitions`: of streams whose topics have another number than usual."""

    plan: Plan
    sources: Mapping[str, str] = field(default_factory=dict)
    sinks: Sequence[str] = ()
    group: str = ""
    parallelism: int = 2
    shards: int | None = None
    early: bool = False
    partitions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """A job as text. `groups`: Flink's key groups; `operators`: each behind those that it reads."""

    job: str
    parallelism: int
    shards: int
    groups: int
    operators: Sequence[Operator]


def planned(wanted: Wanted) -> Planned:
    """Say what job it would be, without a state before; SourceError or SinkError for what no broker has to be asked."""
    servers, topics = topics_of(wanted.plan, wanted.sources, RUNTIME)
    partitions = _partitions(topics, wanted.partitions)
    shards = wanted.shards or shards_for(wanted.parallelism, partitions)
    group = wanted.group or group_of(wanted.plan)
    order = Order(
        wanted.plan,
        run="RUN",
        group=group,
        servers=servers,
        topics=topics,
        partitions=partitions,
        shards=shards,
        letters=Path(),
        fingerprint="",
        sinks=tuple(wanted.sinks),
        early=wanted.early,
    )
    client = {name: value if name in _SHOWN else SECRET for name, value in java_settings(servers).items()}
    operators = graph_of(order, alert_topics(order, lambda _: MESSAGE_BYTES), client, wanted.parallelism)
    groups = groups_for(max(shards, *partitions.values()))
    return Planned(job_name(wanted.plan.name, group), wanted.parallelism, shards, groups, operators)


def _partitions(topics: Mapping[str, str], said: Mapping[str, int]) -> dict[str, int]:
    for stream in said:
        if stream not in topics:
            raise SourceError(
                f"no rule reads a stream {stream!r}, only {', '.join(topics)}{did_you_mean(stream, topics)}"
            )
    return {stream: said.get(stream, PARTITIONS) for stream in topics}
