"""A consumer of all partitions, from their beginnings, outside of any group."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from bench.kafka_cluster import CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.kafka_job import Order


@contextmanager
def consumer_of(order: Order) -> Iterator[Consumer]:
    """Give a consumer that fetches from now on, with the queues that Tocsin's reader has."""
    consumer = Consumer(
        {
            "bootstrap.servers": order.servers,
            "group.id": CLIENT,
            "enable.auto.commit": "false",
            "queued.min.messages": "200000",
        }
    )
    try:
        numbers = consumer.list_topics(order.topic, timeout=30.0).topics[order.topic].partitions
        consumer.assign([TopicPartition(order.topic, number, OFFSET_BEGINNING) for number in numbers])
        yield consumer
    finally:
        consumer.close()
