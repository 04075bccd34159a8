"""The topics of a job: how its readers and writers are set up, in the names of Kafka's Java clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.flink.words import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.flink.alert_topics import AlertTopic
    from streams.flink.order import Order

POLL_RECORDS, FETCH_BYTES = 10_000, 4 << 20
"""Most of a partition that a reader takes and asks for at once."""
REQUEST_ROOM = 64 << 10
"""Bytes of a request beside its largest message."""
TRANSACTION_MS = 900_000
"""The most that a broker allows by default. What a job had written and not committed for longer than that is gone."""


class Topic(NamedTuple):
    """A topic that is read or written. `client`: settings.

    `transactions`: what the ids of transactions begin with where it is written exactly once; "" for at least once.
    """

    name: str
    client: Mapping[str, str]
    transactions: str = ""


def source(stream: str, order: Order, client: Mapping[str, str]) -> Topic:
    """Give the topic of a stream. `client`: settings beside those that follow from the order, here and below."""
    settings = {
        "group.id": order.group,
        "isolation.level": "read_committed",
        "max.poll.records": str(POLL_RECORDS),
        "max.partition.fetch.bytes": str(FETCH_BYTES),
    }
    return Topic(order.topics[stream], _on(order.servers, client) | settings)


def alerts(topic: AlertTopic, order: Order, client: Mapping[str, str]) -> Topic:
    """Give a topic of alerts, written exactly once."""
    settings = {
        "transaction.timeout.ms": str(TRANSACTION_MS),
        "compression.type": "lz4",
        "max.request.size": str(topic.limit + REQUEST_ROOM),
    }
    servers = topic.servers or order.servers
    return Topic(topic.topic, _on(servers, client) | settings, f"{order.group}-{topic.name}")


def words(order: Order, client: Mapping[str, str]) -> Topic:
    """Give the topic of words."""
    return Topic(words_of(order.group), _on(order.servers, client) | {"linger.ms": "0"})


def _on(servers: str, client: Mapping[str, str]) -> dict[str, str]:
    return {"bootstrap.servers": servers, **client}
