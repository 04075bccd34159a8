"""The broker of the measurements: one of its own, the topics on it, what is written to them and read from them.

Events lie in four partitions, by the key as Java's producers choose them (murmur2), as JSON in lz4.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import polars as pl
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.events import frames
from streams.kafka.writer import TopicWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.events import Load

PARTITIONS = 4
ALERT_PARTITIONS = 2
CLIENT = f"bench-{socket.gethostname()}"
SETTINGS = {"message.max.bytes": "8000000", "log.retention.ms": "-1"}
"""Of the broker: values of changelogs are large, and nothing may go while it is measured."""
_PIECE = 20_000
_SECONDS = 60.0
_TAIL = 1_000


class EmptyError(Exception):
    """A topic ends before what was expected in it."""


@dataclass(slots=True)
class Cluster:
    """The topics of a broker. `servers`: as clients call it. Names of topics are given once, in order."""

    servers: str
    _made: int = field(default=0, init=False)

    def topic(self, name: str, partitions: int = PARTITIONS, **settings: str) -> str:
        """Make a topic, wait until it is there, give its full name; `settings`: with `_` for `.`."""
        self._made += 1
        full = f"bench.{name}.{self._made}"
        admin = AdminClient({"bootstrap.servers": self.servers})
        named = {name.replace("_", "."): value for name, value in settings.items()}
        for made in admin.create_topics([NewTopic(full, partitions, 1, config=named)]).values():
            try:
                made.result(_SECONDS)
            except KafkaException as error:  # the client says it again where a connection was lost
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        return full

    def alerts(self) -> str:
        """Make a topic for alerts."""
        return self.topic("alerts", ALERT_PARTITIONS)

    def stamped(self) -> str:
        """Make a topic for alerts in which the broker says when each was appended."""
        return self.topic("alerts", ALERT_PARTITIONS, message_timestamp_type="LogAppendTime")

    def remove(self, *topics: str) -> None:
        """Remove topics that are needed no more: events are large."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        for removed in admin.delete_topics(list(topics)).values():
            removed.result(_SECONDS)

    def fill(self, topic: str, load: Load, shift: int = 0) -> None:
        """Write the events of a load, `shift` ms later than they are."""
        with TopicWriter(self.servers) as writer:
            for frame in frames(load):
                for piece in frame.with_columns(pl.col("at") + shift).iter_slices(_PIECE):
                    writer.put(topic, lines_of(piece), piece["key"].to_list())
            writer.settle()

    def messages(self, topic: str, last: int | None = None) -> Iterator[Message]:
        """Give the messages of a topic, up to the ends of its partitions; `last`: only so many of each."""
        settings = {"group.id": CLIENT, "enable.auto.commit": "false", "enable.partition.eof": "true"}
        consumer = Consumer({"bootstrap.servers": self.servers, **settings})
        try:
            there = consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
            consumer.assign([_place(consumer, topic, number, last) for number in there])
            unread = set(there)
            while unread:
                for message in consumer.consume(_PIECE, 1.0):
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's own
                        unread.discard(message.partition())
                    else:
                        raise EmptyError(f"{topic}: {error.str()}")
        finally:
            consumer.close()

    def values(self, topic: str) -> list[bytes]:
        """Give the values of all messages of a topic."""
        return [message.value() or b"" for message in self.messages(topic)]

    def end(self, topic: str, lateness: int) -> int:
        """Give a time (ms) that every partition passes by its own records: it ends a run with `--until`."""
        greatest: dict[int, int] = {}
        for message in self.messages(topic, _TAIL):
            at: int = msgspec.json.decode(message.value() or b"")["at"]
            greatest[message.partition() or 0] = max(at, greatest.get(message.partition() or 0, at))
        if len(greatest) != PARTITIONS:
            raise EmptyError(f"of {PARTITIONS} partitions of {topic} only {sorted(greatest)} have events")
        return min(greatest.values()) - lateness - 1


def lines_of(events: pl.DataFrame) -> list[str]:
    """Give events as the texts that are written to topics."""
    return events.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()


def _place(consumer: Consumer, topic: str, number: int, last: int | None) -> TopicPartition:
    if last is None:
        return TopicPartition(topic, number, OFFSET_BEGINNING)
    first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), _SECONDS)
    return TopicPartition(topic, number, max(first, end - last))
