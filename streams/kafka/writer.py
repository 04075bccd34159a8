"""Writes whole batches of records to topics, as producers in front of Tocsin would: for the simulator and benchmarks.

Idempotent and confirmed by all replicas in sync, lz4, keys to partitions as Java's clients choose them. What brokers
refuse is a SinkError at the next call; while they are away, records wait here, five minutes at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streams.kafka.topic_names import topic_names
from tocsin.closing import Closing
from tocsin.errors import SinkError
from tocsin.kafka import client_settings, confluent, make_client

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from confluent_kafka import KafkaError, Message

SETTINGS: Final[Mapping[str, str | bool]] = {
    "acks": "all",
    "enable.idempotence": "true",
    "compression.codec": "lz4",
    "linger.ms": "5",
    "partitioner": "murmur2_random",
    "delivery.report.only.error": True,  # a callback per record would be Python per event
    "queue.buffering.max.messages": "200000",
}
WAITING_MOST = 100_000
"""Records that brokers have not confirmed yet; more are not taken."""
_POLL = 0.05


class TopicWriter(Closing):
    """A producer at `servers`; settings and log-in come from the environment. SinkError if those are wrong."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self._trouble: KafkaError | None = None
        self._refused: tuple[str, KafkaError] | None = None
        settings = {**SETTINGS, **client_settings(servers, error=SinkError)}
        confluent(SinkError)
        self._producer: Any = make_client("Producer", {**settings, "error_cb": self._note}, SinkError)

    def require(self, topics: Collection[str]) -> None:
        """Raise SinkError if the brokers do not answer, or do not have one of these topics."""
        there = topic_names(self._producer, self.servers, lambda: self._trouble, SinkError)
        missing = sorted(set(topics) - set(there))
        if missing:
            raise SinkError(
                f"{self.servers} has no topic {', '.join(missing)} (or we may not see it): "
                f"`tocsin topics apply` with the topology and --kafka {self.servers} makes them"
            )

    def put(
        self,
        topic: str,
        values: Sequence[str],
        keys: Sequence[str | None] | None = None,
        *,
        stamp: int | None = None,
    ) -> None:
        """Take records for a topic, at most WAITING_MOST, waiting until there is room; SinkError if one was refused.

        `stamp`: their timestamp, ms since the epoch; by default that of sending.
        """
        while len(self._producer) and len(self._producer) + len(values) > WAITING_MOST:
            self.wait(_POLL)
        if keys is None:
            messages: list[dict[str, Any]] = [{"value": value} for value in values]
        else:
            messages = [{"value": value, "key": key} for value, key in zip(values, keys, strict=True)]
        if stamp is not None:  # which the client does not take with batches
            for message in messages:
                self._producer.produce(topic, timestamp=stamp, on_delivery=self._delivered, **message)
            return
        taken = self._producer.produce_batch(topic, messages, on_delivery=self._delivered)
        if taken != len(messages):
            error = next(message["_error"] for message in messages if "_error" in message)
            raise SinkError(f"{topic} at {self.servers}: {error}")

    def wait(self, seconds: float) -> None:
        """Let the client work for a while; SinkError if brokers refused a record meanwhile."""
        self._producer.poll(seconds)
        if self._refused is not None:
            topic, error = self._refused
            trouble = f" ({self._trouble.str()})" if self._trouble is not None else ""
            raise SinkError(f"{topic} at {self.servers}: {error.str()}{trouble}")

    def settle(self) -> None:
        """Wait until everything is confirmed; SinkError if something was refused."""
        while len(self._producer):
            self.wait(_POLL)
        self.wait(0)

    def close(self) -> None:
        """Let go of what is not confirmed yet."""
        self._producer.purge()
        self._producer.close()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._refused is None:
            self._refused = (str(message.topic()), error)

    def _note(self, error: KafkaError) -> None:
        if error.code() != confluent(SinkError).KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  # librdkafka's own
            self._trouble = error
