"""Events with the clock's time, so many a second, until told to stop: `python -m bench.kafka_producing`.

Told on its input (JSON): servers, topic, rate per second, seconds. It hands over a few events every millisecond or two
and lets them linger as long; what the machine holds up is made up for, with the time at which it is made up.
"""

from __future__ import annotations

import sys
import time

import msgspec
from confluent_kafka import Producer

TICK_SECONDS = 0.002
LINGER_MS = "1"
KEYS = 10_007
"""A prime: events of any distance come to all keys."""


class Live(msgspec.Struct, frozen=True):
    """What to produce. `above`: one event of so many has the amount 999, the others less than 100."""

    servers: str
    topic: str
    rate: int
    seconds: float
    above: int = 100


class Made(msgspec.Struct, frozen=True):
    """What was produced. `behind`: the most events by which it was behind its rate."""

    records: int
    behind: int


def produce(live: Live) -> Made:
    """Produce until the time is up."""
    producer = Producer(
        {
            "bootstrap.servers": live.servers,
            "compression.codec": "lz4",
            "enable.idempotence": "true",
            "partitioner": "murmur2_random",
            "linger.ms": LINGER_MS,
            "delivery.report.only.error": True,
        }
    )
    producer.produce_batch(live.topic, [_message(1, time.time_ns() // 1_000_000, live.above)])
    producer.flush()  # connected, and known as an idempotent producer, before the first event that counts
    begun, made, behind = time.perf_counter(), 0, 0
    while (passed := time.perf_counter() - begun) < live.seconds:
        due = int(passed * live.rate)
        behind = max(behind, due - made)
        at = time.time_ns() // 1_000_000
        messages = [_message(number, at, live.above) for number in range(made, due)]
        producer.produce_batch(live.topic, messages)
        producer.poll(0)
        made = due
        time.sleep(max(0.0, begun + passed + TICK_SECONDS - time.perf_counter()))
    producer.flush()
    return Made(made, behind - int(TICK_SECONDS * live.rate))


def _message(number: int, at: int, above: int) -> dict[str, str]:
    key = f"k{number * 7919 % KEYS:08}"
    amount = 999 if number % above == 0 else number % 100
    return {"value": f'{{"id":"e{number:036}","key":"{key}","at":{at},"amount":{amount}.5}}', "key": key}


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(produce(msgspec.json.decode(sys.stdin.buffer.read(), type=Live))))
