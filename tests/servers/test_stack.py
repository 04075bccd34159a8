"""The servers of the stack: each starts, answers a real client, survives a kill with its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer

if TYPE_CHECKING:
    from tests.servers.fixtures import Topics


def send(servers: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def first(servers: str, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "first", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        message = consumer.poll(30)
        assert message is not None
        return message.value()
    finally:
        consumer.close()


class TestKafka:
    def test_what_is_sent_is_read(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics()
        send(kafka, topic, b"hello")
        assert first(kafka, topic) == b"hello"
