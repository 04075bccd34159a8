"""The topics that a topology needs: those of its streams and tables, their dead letters, and those of its Kafka sinks.

A runtime that has topics of its own (stages, clock, changelogs) gives them as `Topic`s, too; whoever carries the
topics out (`streams/kafka/cluster.py`, `tocsin topics`) knows nothing of where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from streams.kafka.dead_letters import SUFFIX
from tocsin.errors import TopicError
from tocsin.kafka import SERVERS, address_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tocsin.compiler import Plan

DAY = 86_400_000
RETENTION = 7 * DAY
"""Milliseconds that records of streams are kept: Kafka's own default."""
LONG_RETENTION = 30 * DAY
"""Of alerts, at least: people look at them later, and they are few. Dead letters are raw, and go with their records."""
PARTITIONS = 8
_RECORD_BYTES = 1 << 20
_FRAME_BYTES = 1 << 16
"""Room for what stands beside the raw bytes of a dead letter: reason, position, details."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be. `settings`: by Kafka's names; `why`: what it is for.

    `keyed`: where a key lies matters (order, compaction, `partitioned_by`): more partitions would move keys.
    """

    name: str
    partitions: int
    why: str
    settings: Mapping[str, str] = field(default_factory=dict)
    keyed: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a topology does not say: partitions of a topic, milliseconds of retention, copies (-1: the brokers know)."""

    partitions: int = PARTITIONS
    retention: int = RETENTION
    copies: int = -1


def topics_of(plan: Plan, sizes: Sizes, servers: str, *, prefix: str = "") -> list[Topic]:
    """Give the topics of a plan on the cluster of `servers` (host:port, by commas), by name in order.

    `prefix`: before the names of the topics of streams and tables. Topics of sinks that name other servers are not
    among them. TopicError where one name would be two different topics.
    """
    inputs = [*_streams(plan, sizes), *_tables(plan, sizes)]
    return merged([*(replace(topic, name=prefix + topic.name) for topic in inputs), *_alerts(plan, sizes, servers)])


def merged(topics: Iterable[Topic]) -> list[Topic]:
    """Put topics of one name together, by name in order; TopicError where they would have to be different."""
    found: dict[str, Topic] = {}
    for topic in topics:
        before = found.get(topic.name)
        if before is None:
            found[topic.name] = topic
        elif (before.partitions, before.settings) == (topic.partitions, topic.settings):
            found[topic.name] = replace(before, why=f"{before.why}, {topic.why}", keyed=before.keyed or topic.keyed)
        else:
            raise TopicError(
                f"the topic {topic.name} would be that of {before.why} and of {topic.why}, which need different "
                "partitions or settings: give them topics of their own"
            )
    return [found[name] for name in sorted(found)]


def alert_topic(name: str, sizes: Sizes, why: str) -> Topic:
    """Give a topic that takes alerts: their transitions stay in order per fingerprint."""
    return Topic(name, sizes.partitions, why, _kept(max(sizes.retention, LONG_RETENTION)), keyed=True)


def _streams(plan: Plan, sizes: Sizes) -> list[Topic]:
    found = []
    dead = _kept(sizes.retention) | {"max.message.bytes": str(_RECORD_BYTES + _FRAME_BYTES)}
    for name, stream in plan.streams.items():
        if stream.topic:
            why = f"stream {name}"
            keyed = bool(stream.partitioned_by)
            found.append(Topic(stream.topic, sizes.partitions, why, _kept(sizes.retention), keyed))
            found.append(Topic(stream.topic + SUFFIX, 1, f"dead letters of {why}", dead))
    return found


def _tables(plan: Plan, sizes: Sizes) -> list[Topic]:
    """Give compacted topics; rows as they were stay as long as records of streams, so that these find them again."""
    kept = str(sizes.retention)
    settings = {"cleanup.policy": "compact", "min.compaction.lag.ms": kept, "delete.retention.ms": kept}
    return [
        Topic(table.topic, sizes.partitions if table.keyed else 1, f"table {name}", settings, keyed=True)
        for name, table in plan.tables.items()
        if table.topic
    ]


def _alerts(plan: Plan, sizes: Sizes, servers: str) -> list[Topic]:
    named = [(sink.name, sink.target) for sink in plan.sinks if sink.kind == "kafka"]
    sinks = [(name, address_of(target, TopicError, {SERVERS: servers})) for name, target in named]
    return [alert_topic(at.topic, sizes, f"alerts of sink {name}") for name, at in sinks if at.servers == servers]


def _kept(ms: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(ms)}
