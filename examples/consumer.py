"""A reference consumer of the alert topic, which knows what alerts are open now.

    pip install confluent-kafka
    python examples/consumer.py localhost:9092 tocsin.city.alerts.v1

What every consumer has to do, in any language:

1. A message whose `ce_id` was seen is a copy: drop it. Copies are rare, and come after crashes.
2. Messages of one key (the fingerprint) come in order: the last transition of an alert says how it is.
3. An early copy (`ce_early`) is preliminary: the transition with the same alert and sequence replaces it, whichever of
   the two comes first.
4. Remember how far you are only when you are through with a message.
5. Members that you do not know, and types of events that you do not know, are to be passed over.

This one keeps everything in memory; a program that must not start anew stores what it knows together with its offsets.
"""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException

if TYPE_CHECKING:
    from confluent_kafka import Message

SEEN_MOST = 100_000
TYPES = ("raised", "level_changed", "updated", "cleared")


class Alerts:
    """The state per alert: `open` holds the last transition of each that is not over, by `alert_id`."""

    def __init__(self) -> None:
        self.open: dict[str, dict[str, Any]] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()

    def take(self, headers: dict[str, str], value: bytes) -> dict[str, Any] | None:
        """Take a message in; give its transition if that is news."""
        if headers.get("ce_type") not in {f"tocsin.alert.{kind}.v1" for kind in TYPES}:
            return None
        name = headers["ce_id"]
        if name in self._seen or name.removesuffix("/early") in self._seen:
            return None
        self._seen[name] = None
        while len(self._seen) > SEEN_MOST:
            self._seen.popitem(last=False)
        transition: dict[str, Any] = json.loads(value)
        if transition["level"] == "clear" or transition["reason"] == "immediate":
            self.open.pop(transition["alert_id"], None)
        else:
            self.open[transition["alert_id"]] = transition
        return transition


def follow(servers: str, topic: str, group: str, *, until_end: bool) -> Alerts:
    """Print what happens; return at the end of the topic, if that is asked for."""
    alerts = Alerts()
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.offset.store": False,
            "enable.partition.eof": until_end,
        }
    )
    left: set[int] = set(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    consumer.subscribe([topic])
    try:
        while left:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  # the client's own codes are called so
                    raise KafkaException(error)
                left.discard(message.partition() or 0)
                continue
            show(alerts.take(headers_of(message), message.value() or b""))
            consumer.store_offsets(message)
    finally:
        consumer.close()
    return alerts


def headers_of(message: Message) -> dict[str, str]:
    """Give the headers as text."""
    pairs: Any = message.headers() or []
    return {name: value.decode() for name, value in pairs if value is not None}


def show(transition: dict[str, Any] | None) -> None:
    """Print a transition on a line."""
    if transition is None:
        return
    early = " (early)" if transition["early"] else ""
    entity = " ".join(f"{name}={value}" for name, value in (transition["entity"] or {}).items())
    print(
        f"{transition['time']} {transition['level']:<6} {transition['kind']:<13} {transition['rule']} {entity}{early}"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Follow the alert topic of Tocsin.")
    parser.add_argument("servers", help="HOST:PORT of the brokers")
    parser.add_argument("topic")
    parser.add_argument("--group", default="tocsin-reference-consumer")
    parser.add_argument("--until-end", action="store_true", help="stop at the end and print what is open")
    asked = parser.parse_args()
    alerts = follow(asked.servers, asked.topic, asked.group, until_end=asked.until_end)
    print(f"open: {len(alerts.open)}")
    for transition in alerts.open.values():
        show(transition)


if __name__ == "__main__":
    main()
