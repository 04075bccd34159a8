"""The topics of a group: those of streams must be there, its own are made: exchange, clock, a changelog per table."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from streams.faust.app import changelog_of
from streams.faust.security import aiokafka_settings
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHANGELOG = {
    "cleanup.policy": "compact",
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.1",
    "max.message.bytes": str(4 << 20),
}
"""Small segments, cleaned early: a worker that takes over reads what is not cleaned, too."""
EXCHANGE = {"cleanup.policy": "delete", "retention.ms": str(7 * 86_400_000), "max.message.bytes": str(4 << 20)}
COPIES = 3
"""Replicas of these topics, or as many as there are brokers."""
CLOCK = {"cleanup.policy": "delete", "retention.ms": "3600000"}


def exchange_of(group: str) -> str:
    """Name the topic in which packets travel."""
    return f"{group}-exchange"


def clock_of(group: str) -> str:
    """Name the topic of the clock."""
    return f"{group}-clock"


async def partitions_of(servers: str, topics: Iterable[str]) -> dict[str, int]:
    """Count the partitions of topics; SourceError names those that are not there, or says that no broker answers."""
    wanted = sorted(topics)
    admin = await _admin(servers)
    try:
        found = {one["topic"]: one for one in await admin.describe_topics(wanted)}
    except KafkaError as error:
        raise SourceError(f"the topics at {servers} cannot be looked at: {error}") from error
    finally:
        await admin.close()
    missing = [name for name in wanted if name not in found or not found[name]["partitions"]]
    if missing:
        why = for_code(found[missing[0]]["error_code"]).__name__ if missing[0] in found else "unknown"
        raise SourceError(
            f"{servers} has no topic {', '.join(missing)} ({why}): make it, for instance with `tocsin topics apply`"
        )
    return {name: len(found[name]["partitions"]) for name in wanted}


async def existing(servers: str, topic: str) -> int | None:
    """Count the partitions of a topic; None if there is none."""
    try:
        return (await partitions_of(servers, [topic]))[topic]
    except SourceError:
        return None


async def make_own(servers: str, group: str, sources: Mapping[str, int], shards: int) -> None:
    """Make what is missing of a group's own topics.

    `sources`: partitions of the topics of streams. Without `shards` there is no exchange.
    """
    exchange = exchange_of(group)
    admin = await _admin(servers)
    try:
        copies = min(COPIES, len((await admin.describe_cluster())["brokers"]))
        wanted = [NewTopic(clock_of(group), 1, copies, topic_configs=CLOCK)]
        if shards:
            wanted.append(NewTopic(exchange, shards, copies, topic_configs=EXCHANGE))
        for topic, number in {**sources, **({exchange: shards} if shards else {})}.items():
            wanted.append(NewTopic(changelog_of(group, topic), number, copies, topic_configs=CHANGELOG))
        done = await admin.create_topics(wanted)
        for name, code, *rest in done.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise SourceError(f"the topic {name} cannot be made: {for_code(code).__name__} {rest}")
    except KafkaError as error:
        raise SourceError(f"the topics of the group {group} cannot be made at {servers}: {error}") from error
    finally:
        await admin.close()


class _Heard(logging.Handler):
    """The last of what the client logs: its errors do not say why."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.last = record.getMessage()


async def _admin(servers: str) -> AIOKafkaAdminClient:
    heard, logger = _Heard(), logging.getLogger("aiokafka")
    logger.addHandler(heard)
    admin = AIOKafkaAdminClient(**aiokafka_settings(servers))
    try:
        await admin.start()
    except KafkaConnectionError as error:
        await admin.close()
        raise SourceError(
            f"no Kafka broker answers at {servers}: {heard.last or error}; start one, or correct the address or "
            "TOCSIN_KAFKA_…"
        ) from error
    finally:
        logger.removeHandler(heard)
    return admin
