"""The plain way: confluent-kafka, msgspec and dicts (bench/peer.py), by partition. `python -m bench.peers.loop`.

Nothing survives its end: no state on disk, no offsets, no evidence, no duplicates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import KafkaException, Producer

from bench.kafka_job import Clock, Order, Took, ordered, tell
from bench.peer import LATENESS, SIZE, Event, Watch
from bench.peers.reading import consumer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.peer import Alert


@dataclass(slots=True)
class Partition:
    """The windows of a partition, closed by its own watermark. `until`: no event after it counts."""

    watch: Watch
    until: int
    greatest: int = 0
    due: int = 0

    def take(self, event: Event) -> None:
        """Count an event."""
        self.greatest = max(self.greatest, event.at)
        if event.at <= self.until:
            end = event.at // SIZE * SIZE + SIZE
            held = self.watch.windows.setdefault(end, {}).setdefault(event.key, [0, 0])
            held[0] += 1
            held[1] += round(event.amount * 100)
        passed = (self.greatest - LATENESS) // SIZE * SIZE
        if passed > self.due:
            self.due = passed
            for ended in sorted(end for end in self.watch.windows if end <= passed):
                self.watch.close(ended)

    @property
    def through(self) -> bool:
        """Whether nothing more comes that counts."""
        return self.greatest - LATENESS - 1 >= self.until


@dataclass(slots=True)
class Sending:
    """Sends the alerts that partitions have found since the last time."""

    order: Order
    send: Callable[[Alert], None]
    partitions: dict[int, Partition] = field(default_factory=dict)
    _sent: dict[int, int] = field(default_factory=dict)

    def of(self, number: int) -> Partition:
        """Give a partition, a new one the first time."""
        return self.partitions.setdefault(number, Partition(Watch(self.order.most * 100), self.order.until))

    def send_new(self) -> None:
        """Send what is new."""
        for number, partition in self.partitions.items():
            alerts = partition.watch.alerts
            for alert in alerts[self._sent.get(number, 0) :]:
                self.send(alert)
            self._sent[number] = len(alerts)

    def finish(self) -> None:
        """Close all windows."""
        for partition in self.partitions.values():
            partition.watch.finish(partition.until)
        self.send_new()


def run(order: Order) -> Took:
    """Read until all partitions are through, and wait until the alerts are acknowledged."""
    producer = Producer(
        {
            "bootstrap.servers": order.servers,
            "compression.codec": "lz4",
            "enable.idempotence": "true",
            "on_delivery": _refuse,
        }
    )
    encode = msgspec.json.Encoder().encode
    sending = Sending(order, lambda alert: producer.produce(order.alerts, encode(alert), alert.key))
    decode, read = msgspec.json.Decoder(Event).decode, 0
    with consumer_of(order) as consumer:
        clock = Clock()
        while read < order.records:
            for message in consumer.consume(10_000, 1.0):
                sending.of(message.partition() or 0).take(decode(message.value() or b""))
                read += 1
            sending.send_new()
            producer.poll(0)
        sending.finish()
        producer.flush()
        return clock.took(read)


def _refuse(error: object, _: object) -> None:
    if error is not None:
        raise KafkaException(error)


if __name__ == "__main__":
    tell(run(ordered()))
