"""What has to be known of a topic before anything is written: that it is there, and how large messages may be."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tocsin.errors import SinkError, SinkUnavailable
from tocsin.kafka import LOGGER, confluent, hopeless, make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from confluent_kafka import KafkaError, Producer

    from tocsin.kafka import KafkaAddress

USUAL_BYTES = 1_000_000
"""Of the largest message where the topic does not tell: librdkafka's default, below that of brokers (1 048 588)."""

_MOST_BYTES = 1_000_000_000
_LEAST_BYTES = 4096
_CREATION_SECONDS = 3.0
"""How long a broker that makes topics by itself may take."""


class MissingTopic(SinkError):
    """A topic is not there, and does not arise by itself."""


def for_good(error: KafkaError) -> bool:
    """Whether trying again would not help: it is hopeless, or the broker takes no such message."""
    kinds = confluent(SinkError).KafkaError
    return hopeless(error) or error.code() in {
        kinds._INVALID_ARG,  # noqa: SLF001  # so is the client's own error called
        kinds.POLICY_VIOLATION,
        kinds.INVALID_RECORD,
        kinds.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    }


def find_topic(
    producer: Producer,
    topic: str,
    what: str,
    seconds: float,
    trouble: Callable[[], KafkaError | None],
    *,
    made: bool = True,
) -> int:
    """Give the number of partitions, waiting for the broker, and for a topic that it makes by itself.

    `trouble`: what the client noted last. `made`: whether asking may make the topic.

    Raises SinkUnavailable if no broker answers, SinkError if the topic is not there, or if we may not in.
    """
    refused = confluent(SinkError).KafkaException
    kinds = confluent(SinkError).KafkaError
    began = time.monotonic()
    while True:
        try:
            topics = (producer.list_topics(topic, timeout=1.0) if made else producer.list_topics(timeout=1.0)).topics
        except refused as error:
            producer.poll(0)
            noted = trouble() or error.args[0]
            if for_good(noted):
                raise SinkError(f"{what}: {noted.str()}") from error
            if time.monotonic() - began > seconds:
                raise SinkUnavailable(f"{what} cannot be reached: {noted.str()}") from error
            continue
        if (found := topics.get(topic)) is None:
            raise MissingTopic(f"{what} does not exist")
        if found.error is None:
            return len(found.partitions)
        if found.error.code() == kinds.TOPIC_AUTHORIZATION_FAILED:
            raise SinkError(f"{what}: {found.error.str()}")
        if time.monotonic() - began > min(seconds, _CREATION_SECONDS):
            if found.error.code() == kinds.UNKNOWN_TOPIC_OR_PART:
                raise MissingTopic(
                    f"{what} does not exist, and the broker does not make it: create it first "
                    f"(`tocsin topics apply … --alerts {topic}`)"
                )
            raise SinkUnavailable(f"{what}: {found.error.str()}")
        producer.poll(0.1)


def partitions_of(address: KafkaAddress, settings: Mapping[str, str], seconds: float) -> int:
    """Give the number of partitions of a topic, 0 if it is not there; SinkError as of `find_topic`."""
    trouble: list[KafkaError] = []
    what = f"the Kafka topic {address.topic} at {address.servers}"
    asking: Producer = make_client("Producer", {**settings, "error_cb": trouble.append}, SinkError)
    try:
        return find_topic(asking, address.topic, what, seconds, lambda: trouble[-1] if trouble else None, made=False)
    except MissingTopic:
        return 0
    finally:
        asking.close()


def most_bytes(settings: Mapping[str, Any], topic: str, seconds: float) -> int:
    """Give how large a message may be: what the topic takes, and at most what `message.max.bytes` says.

    Where we may not ask (DescribeConfigs), it is that setting alone.
    """
    module = confluent(SinkError)
    chosen = settings.get("message.max.bytes")
    asking = {name: value for name, value in settings.items() if name not in {"message.max.bytes", "partitioner"}}
    admin = make_client("AdminClient", asking, SinkError)
    admins = import_module("confluent_kafka.admin")
    resource = admins.ConfigResource(admins.ResourceType.TOPIC, topic)
    try:
        found = admin.describe_configs([resource], request_timeout=seconds)[resource].result()
        told = int(found["max.message.bytes"].value)
    except module.KafkaException as error:
        LOGGER.info("the size of messages is not known: %s", error)
        told = USUAL_BYTES
    # a batch has a head, and lz4 makes what it cannot compress a little larger
    room = told - told // 200 - 512
    return max(_LEAST_BYTES, min(_MOST_BYTES, room, _MOST_BYTES if chosen is None else int(chosen)))
