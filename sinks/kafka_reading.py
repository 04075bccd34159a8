"""Reads a topic from given offsets to its end, outside of any consumer group: to learn what is already there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, cast

from sinks.kafka_topic import for_good
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.kafka import confluent, make_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Consumer, KafkaError, Message

    from tocsin.kafka import KafkaAddress

BATCH = 10_000

_TAIL = -2000
"""librdkafka counts offsets from the end below this number (RD_KAFKA_OFFSET_TAIL)."""

_SETTINGS: Final = {
    "group.id": "tocsin-reads-back",  # the client asks for one; nothing is committed to it
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 10,
}


def tail(messages: int) -> int:
    """Give the offset at which so many messages are left, or the first."""
    return _TAIL - messages


def ends_of(address: KafkaAddress, settings: Mapping[str, str], partitions: int, seconds: float) -> dict[int, int]:
    """Give the offset of the next message of each partition; SinkUnavailable where no broker tells."""
    module = confluent(SinkError)
    consumer = _consumer(settings, [])
    try:
        ends = {}
        for number in range(partitions):
            found = consumer.get_watermark_offsets(module.TopicPartition(address.topic, number), timeout=seconds)
            ends[number] = found[1]
    except module.KafkaException as error:
        raise SinkUnavailable(f"the end of {address.plain} cannot be found: {error.args[0].str()}") from error
    else:
        return ends
    finally:
        consumer.close()


def headers_of(message: Message) -> dict[str, str]:
    """Give the headers that have a value, as text."""
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return {name: value.decode("utf-8", "replace") for name, value in headers if value is not None}


def read_to_end(
    address: KafkaAddress, settings: Mapping[str, str], starts: Mapping[int, int], seconds: float
) -> Iterator[list[Message]]:
    """Give the messages from `starts`, by partition, to the end that the topic has then; in order per partition.

    An offset that is not there any more, or not yet as in a topic that was made anew, means the first. Raises
    SinkUnavailable when nothing comes for `seconds`, SinkError when we may not read.
    """
    what = f"the Kafka topic {address.topic} at {address.servers}"
    kinds = confluent(SinkError).KafkaError
    partition = confluent(SinkError).TopicPartition
    trouble: list[KafkaError] = []
    consumer = _consumer(settings, trouble)
    try:
        consumer.assign([partition(address.topic, number, offset) for number, offset in starts.items()])
        left, heard = set(starts), time.monotonic()
        while left:
            messages = consumer.consume(BATCH, timeout=0.05)
            heard = time.monotonic() if messages else heard
            for error in (message.error() for message in messages):
                if error is None or error.code() in {kinds._PARTITION_EOF, kinds.GROUP_AUTHORIZATION_FAILED}:  # noqa: SLF001
                    continue
                trouble.append(error)
            left -= {message.partition() for message in messages if _ends(message, kinds._PARTITION_EOF)}  # noqa: SLF001
            if trouble and for_good(trouble[-1]):
                raise SinkError(f"{what} cannot be read back: {trouble[-1].str()}")
            if time.monotonic() - heard > seconds:
                why = trouble[-1].str() if trouble else "nothing comes"
                raise SinkUnavailable(f"{what} cannot be read back: {why}")
            yield [message for message in messages if message.error() is None]
    finally:
        consumer.close()


def _consumer(settings: Mapping[str, str], trouble: list[KafkaError]) -> Consumer:
    chosen = {name: value for name, value in settings.items() if name != "message.max.bytes"}
    made: Consumer = make_client("Consumer", {**chosen, **_SETTINGS, "error_cb": trouble.append}, SinkError)
    return made


def _ends(message: Message, end: int) -> bool:
    error = message.error()
    return error is not None and error.code() == end
