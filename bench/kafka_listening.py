"""Listens to an alert topic and notes when early copies arrive: `python -m bench.kafka_listening SERVERS TOPIC`.

It reads what is not committed, too: who reads committed messages only gets nothing of a partition behind the first
message of a transaction that is open, early copies neither. It prints `listening` when it stands at the ends of the
partitions. When its input has ended and nothing more comes, it prints the milliseconds from event time to arrival of
each early copy, both by the clock of this machine, as one array.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import datetime

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from bench.kafka_cluster import CLIENT

QUIET_SECONDS = 3.0
"""So long nothing comes at the end: what is slow counts, too."""


def listen(servers: str, topic: str, stop: threading.Event) -> list[float]:
    """Give the latencies (ms) of the early copies that come until told to stop."""
    settings = {"group.id": CLIENT, "enable.auto.commit": "false", "isolation.level": "read_uncommitted"}
    consumer = Consumer({"bootstrap.servers": servers, **settings})
    numbers = consumer.list_topics(topic, timeout=30.0).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_END) for number in numbers])
    for number in numbers:
        consumer.get_watermark_offsets(TopicPartition(topic, number), 30.0)
    consumer.poll(1.0)
    print("listening", flush=True)
    found = []
    last = time.time()
    while not stop.is_set() or time.time() - last < QUIET_SECONDS:
        message = consumer.poll(0.1)
        now = time.time()
        if message is None or message.error() is not None:
            continue
        last = now
        value = json.loads(message.value() or b"{}")
        if value["early"]:
            found.append((now - datetime.fromisoformat(value["time"]).timestamp()) * 1000)
    consumer.close()
    return found


def _await_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main() -> None:
    """Listen until the input ends."""
    servers, topic = sys.argv[1:]
    stop = threading.Event()
    threading.Thread(target=_await_end, args=(stop,), daemon=True).start()
    print(json.dumps(listen(servers, topic, stop)), flush=True)


if __name__ == "__main__":
    main()
