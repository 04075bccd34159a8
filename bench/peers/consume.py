"""No job at all: take everything out of the topic and forget it. `python -m bench.peers.consume`."""

from __future__ import annotations

from bench.kafka_job import Clock, Order, Took, ordered, tell
from bench.peers.reading import consumer_of


def run(order: Order) -> Took:
    """Read all records."""
    with consumer_of(order) as consumer:
        clock, read = Clock(), 0
        while read < order.records:
            read += len(consumer.consume(20_000, 1.0))
        return clock.took(read)


if __name__ == "__main__":
    tell(run(ordered()))
