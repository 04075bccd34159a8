"""What stands in a Kafka topic, of alerts or others, read by a plain client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from confluent_kafka import Consumer, KafkaError, TopicPartition

from sinks import ndjson

if TYPE_CHECKING:
    from confluent_kafka import Message

DEADLINE = 120.0


def messages(servers: str, topic: str) -> list[Message]:
    """Give all messages, partition by partition."""
    settings = {"group.id": "test", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({"bootstrap.servers": servers, **settings})
    try:
        numbers = list(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
        found: dict[int, list[Message]] = {number: [] for number in numbers}
        left, until = set(numbers), time.monotonic() + DEADLINE
        while left:
            assert time.monotonic() < until
            for message in consumer.consume(10_000, 0.1):
                number = cast("int", message.partition())
                if (error := message.error()) is None:
                    found[number].append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left.discard(number)
    finally:
        consumer.close()
    return [message for number in numbers for message in found[number]]


def headers(message: Message) -> dict[str, str]:
    """Give the headers as text."""
    return {name: value.decode() for name, value in cast("list[tuple[str, bytes]]", message.headers() or [])}


def value(message: Message) -> bytes:
    """Give the value, which must be there."""
    found = message.value()
    assert found is not None
    return found


def key(message: Message) -> bytes:
    """Give the key, which must be there."""
    found = message.key()
    assert isinstance(found, bytes)
    return found


def ids(servers: str, topic: str) -> list[str]:
    """Give the ids of all messages, sorted; a copy shows."""
    return sorted(headers(message)["ce_id"] for message in messages(servers, topic))


def transitions(found: list[Message]) -> list[tuple[str, int]]:
    """Give alert and sequence of messages, as their values say."""
    rows = ndjson.decode([value(message) for message in found])
    return cast("list[tuple[str, int]]", rows.select("alert_id", "sequence").rows())
