"""The reference consumer, as somebody would start it, on what the sink writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from sinks.cloudevents import events
from sinks.kafka import KafkaSink
from tests.sinks.transition_rows import bring, frame, log, transition
from tocsin.model.alerts import CLOSED_AT_BIRTH

if TYPE_CHECKING:
    import polars as pl

    from tests.servers.fixtures import Topics

CONSUMER = Path(__file__).parents[2] / "examples" / "consumer.py"


def consumed(servers: str, topic: str, group: str) -> tuple[list[str], list[str]]:
    """Run it to the end; give what it told and what was open then, level and entity of each."""
    ran = subprocess.run(
        [sys.executable, str(CONSUMER), servers, topic, "--group", group, "--until-end"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told, _, still = ran.stdout.partition("open: ")
    return [shown(line) for line in told.splitlines()], [shown(line) for line in still.splitlines()[1:]]


def shown(line: str) -> str:
    _, level, *_, entity = line.removesuffix(" (early)").split()
    return f"{level} {entity}" + (" early" if line.endswith("(early)") else "")


def deliver(servers: str, topic: str, batch: pl.DataFrame) -> None:
    bring(KafkaSink(f"kafka://{servers}/{topic}"), batch)


class TestConsumer:
    def test_it_knows_what_is_open(self, kafka: str, kafka_topics: Topics, unique: str) -> None:
        topic = kafka_topics()
        closed = transition("d", 1, reason=CLOSED_AT_BIRTH)
        deliver(kafka, topic, frame(transition("a", 1), transition("b", 1), closed, transition("b", 2, "clear")))
        told, still = consumed(kafka, topic, unique)
        assert told == ["red card=a", "red card=b", "red card=d", "clear card=b"]
        assert still == ["red card=a"]

    def test_it_drops_copies_and_early_copies_behind_the_truth(
        self, kafka: str, kafka_topics: Topics, unique: str
    ) -> None:
        topic = kafka_topics()
        producer = Producer({"bootstrap.servers": kafka})
        for event in events(log("a1*", "a1", "a1", "a1*", "b1", "b2-", "b1"), 1_000_000):
            producer.produce(topic, event.value, event.key, headers=event.headers)  # type: ignore[arg-type]
        producer.produce(topic, b"something else", headers={"ce_type": "tocsin.alert.raised.v2", "ce_id": "a/1"})
        producer.produce(topic, b"not ours")
        assert producer.flush(60) == 0
        told, still = consumed(kafka, topic, unique)
        assert told == ["red card=a early", "red card=a", "red card=b", "clear card=b"]
        assert still == ["red card=a"]

    def test_started_again_it_goes_on_where_it_was(self, kafka: str, kafka_topics: Topics, unique: str) -> None:
        topic = kafka_topics()
        deliver(kafka, topic, log("a1"))
        assert consumed(kafka, topic, unique)[0] == ["red card=a"]
        deliver(kafka, topic, log("b1"))
        assert consumed(kafka, topic, unique)[0] == ["red card=b"]
