"""Sends messages to one topic and knows which of them the broker has: for the alert topic and for dead letters.

The producer is idempotent and its messages never time out: what a broker did not confirm in time stays in the
producer, in order, and is confirmed later, once. So whoever waited in vain waits again instead of sending again. Only a
message that the broker refuses makes it start anew (`start`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sinks.kafka_topic import find_topic, for_good, most_bytes
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.kafka import PREFIX, make_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import KafkaError, Message, Producer

    from tocsin.kafka import KafkaAddress

FIXED: Final = {"acks": "all", "enable.idempotence": "true", "partitioner": "murmur2", "message.timeout.ms": "0"}
"""What nobody may change: nothing lost, nothing doubled, and the partition that Java's clients choose."""

PREFERRED: Final = {"compression.codec": "lz4", "linger.ms": "1", "reconnect.backoff.max.ms": "1000"}

QUEUE_BYTES = 64 << 20
"""Of messages that are not confirmed yet; more are taken when some were."""


class ConfirmedProducer:
    """Sends to the topic of `address`; `settings` as of `client_settings`. SinkError if they change what is FIXED.

    `ends`: by partition the offset behind the last confirmed message. `limit`: bytes of the largest message.
    """

    def __init__(self, address: KafkaAddress, settings: Mapping[str, str]) -> None:
        for name in FIXED.keys() & settings.keys():
            if settings[name] != FIXED[name]:
                variable = PREFIX + name.upper().replace(".", "_")
                raise SinkError(f"{variable}={settings[name]} cannot be chosen: Tocsin needs {FIXED[name]}")
        self.what = f"the Kafka topic {address.topic} at {address.servers}"
        self.ends: dict[int, int] = {}
        self.limit = 0
        self.partitions = 0
        self._topic = address.topic
        self._settings = {**PREFERRED, **settings, **FIXED}
        self._producer: Producer | None = None
        self._trouble: KafkaError | None = None
        self._refused: KafkaError | None = None

    @property
    def started(self) -> bool:
        """Whether messages can be sent."""
        return self._producer is not None

    def start(self, seconds: float) -> None:
        """Find the topic and the size of its messages; SinkUnavailable or SinkError if that cannot be done."""
        self.stop()
        asking = self._made({})
        try:
            self.partitions = find_topic(asking, self._topic, self.what, seconds, lambda: self._trouble)
        finally:
            asking.close()
        self.limit = most_bytes(self._settings, self._topic, seconds)
        queue = max(QUEUE_BYTES, 2 * self.limit) >> 10
        self._producer = self._made({"message.max.bytes": self.limit, "queue.buffering.max.kbytes": queue})

    def send(
        self, key: bytes | None, value: bytes | None, headers: list[Any], until: float, partition: int = -1
    ) -> None:
        """Hand over a message; where too many wait, wait for room until a moment of the monotonic clock.

        SinkUnavailable: there was no room; the message was not taken.
        """
        if self._producer is None:
            raise SinkUnavailable(f"{self.what}: not connected")
        while True:
            try:
                self._producer.produce(
                    self._topic, value, key, partition=partition, headers=headers, on_delivery=self._confirmed
                )
            except BufferError:
                if time.monotonic() > until:
                    raise self._late() from None
                self._producer.poll(0.1)
                self._check()
            else:
                return

    def push(self) -> None:
        """Hear what the broker has confirmed, without waiting for the rest."""
        if self._producer is not None:
            self._producer.poll(0)
            self._check()

    def settle(self, until: float) -> None:
        """Wait until the broker has confirmed everything; SinkUnavailable where it has not until then."""
        if self._producer is None:
            return
        while self._producer.flush(min(1.0, max(0.0, until - time.monotonic()))):
            self._check()
            if time.monotonic() > until:
                raise self._late()
        self._check()

    def stop(self) -> None:
        """Let go of the connection and of everything that is not confirmed."""
        producer, self._producer = self._producer, None
        self._trouble = self._refused = None
        if producer is not None:
            producer.purge()
            producer.close()

    def _made(self, more: Mapping[str, Any]) -> Producer:
        made: Producer = make_client("Producer", {**self._settings, **more, "error_cb": self._note}, SinkError)
        return made

    def _note(self, error: KafkaError) -> None:
        self._trouble = error

    def _confirmed(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.ends[message.partition() or 0] = (message.offset() or 0) + 1
        elif self._refused is None:
            self._refused = error

    def _check(self) -> None:
        """Raise if the broker refused a message; what came behind it is given up, or it would stand before it."""
        if (refused := self._refused) is None:
            return
        self.stop()
        if for_good(refused):
            raise SinkError(f"{self.what} is gone, or refuses: {refused.str()}")
        raise SinkUnavailable(f"{self.what}: {refused.str()}")

    def _late(self) -> SinkUnavailable:
        trouble = f": {self._trouble.str()}" if self._trouble is not None else ""
        return SinkUnavailable(f"{self.what} does not confirm{trouble}; what waits is kept, it is tried again")
