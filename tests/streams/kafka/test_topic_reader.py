"""What the reader of a topic makes of what librdkafka gives it; no broker is there."""

from __future__ import annotations

import threading
from itertools import count

import pytest
from confluent_kafka import KafkaError, Message

from streams.kafka.reader import TopicReader
from tocsin.kafka import parse_address

NOBODY = "kafka://127.0.0.1:1/payments"
END = KafkaError(KafkaError._PARTITION_EOF)  # librdkafka's own codes are spelled so


def message(offset: int) -> Message:
    return Message(topic="payments", partition=0, offset=offset, value=b"{}", timestamp=(1, 1000))


def end(offset: int) -> Message:
    return Message(topic="payments", partition=0, offset=offset, error=END)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> TopicReader:
    """Give a reader that stands at offset 5; a second passes whenever the clock is asked."""
    made = TopicReader(parse_address(NOBODY), "g", threading.Event())
    made.add(0, 5)
    clock = count(1000, 1000)
    monkeypatch.setattr("streams.kafka.reader._now", lambda: next(clock))
    return made


class TestEnds:
    def test_a_partition_is_quiet_behind_its_last_record(self, reader: TopicReader) -> None:
        reader._put_beside_events([message(5), message(6), end(7)])  # what its thread does
        assert reader.quiet(0, 0) is None, "records wait"
        taken = reader.take(0, 10)
        assert taken is not None
        assert taken.count == 2
        assert reader.quiet(0, 0) is not None

    def test_an_end_with_records_behind_it_is_none(self, reader: TopicReader) -> None:
        reader._put_beside_events([message(5), end(6), message(6)])  # as above
        assert reader.take(0, 10) is not None
        assert reader.quiet(0, 0) is None

    def test_messages_around_ends_are_one_batch(self, reader: TopicReader) -> None:
        reader._put_beside_events([end(5), message(5), end(6), message(6), end(7)])  # as above
        taken = reader.take(0, 1)
        assert taken is not None
        assert taken.count == 2
