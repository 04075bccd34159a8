"""A run that reads topics, tells alerts on a topic, and puts what is bad beside the topic that it came from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from sinks import ndjson
from streams.kafka.dead_letters import DeadLetterTopic
from streams.local.running import carry_out
from tests.sinks.alert_topic import messages, value
from tests.streams.local.local_runs import BEGIN, MINUTE, House, alarm, entry
from tocsin.kafka import KafkaAddress

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fixtures import Topics

ENTRIES = [entry(n, 0.7 * n, n * 7 % 60 if n % 10 else 5, f"door {n % 5}") for n in range(300)]
ALARMS = [alarm(n, 2.5 * n, f"door {n % 3}") for n in range(80)]


@pytest.mark.parametrize("kept", [True, False])
def test_alerts_are_on_the_topic_and_dead_letters_beside_theirs(
    kept: bool,  # noqa: FBT001  # pytest passes it by name
    tmp_path: Path,
    kafka: str,
    kafka_topics: Topics,
    unique: str,
) -> None:
    house = House(tmp_path)
    house.topology = house.topology.replace("lateness: 10s}", "lateness: 10s, idle: 2s}")
    house.write("entries", ENTRIES)
    house.write("alarms", ALARMS)
    house.run("files", until=BEGIN + 60 * MINUTE)
    alerts, doors = kafka_topics(), kafka_topics()
    entries = kafka_topics(f"{unique}.entries")
    dead = kafka_topics(f"{unique}.entries.dlq") if kept else ""
    producer = Producer({"bootstrap.servers": kafka})
    material: dict[str, list[str]] = {entries: ["{", *map(json.dumps, ENTRIES)], doors: [*map(json.dumps, ALARMS)]}
    for topic, lines in material.items():
        for line in lines:
            producer.produce(topic, line)
    assert producer.flush(60) == 0
    said: list[str] = []
    order = house.order("topics", until=BEGIN + 60 * MINUTE, commit_seconds=0.2, warn=said.append, brakes=False)
    sources = {"entries": f"kafka://{kafka}/{entries}", "alarms": f"kafka://{kafka}/{doors}"}
    carry_out(replace(order, sources=sources, sinks=[*order.sinks, f"kafka://{kafka}/{alerts}"]))

    assert house.told("topics") == house.told("files")
    rows = ndjson.decode([value(message) for message in messages(kafka, alerts)])
    assert (
        rows.select("alert_id", "sequence")
        .sort("alert_id", "sequence")
        .equals(house.log("topics").select("alert_id", "sequence").sort("alert_id", "sequence"))
    )
    if kept:
        letters = DeadLetterTopic(KafkaAddress(kafka, dead)).letters()
        assert letters.select("stream", "partition", "offset", "reason", "raw").rows() == [
            ("entries", 0, 0, "bad-json", b"{")
        ]
    told = any(f"{entries}.dlq does not exist: dead letters of entries stay" in sentence for sentence in said)
    assert told is not kept


def test_letters_have_the_keys_of_their_messages(tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str) -> None:
    """Whatever they died of, and however the messages were cut into batches."""
    house = House(tmp_path)
    house.topology = house.topology.replace(
        "people: int64}\n", "people: int64}\n    checks: {counted: people >= 0}\n", 1
    ).replace("lateness: 10s}", "lateness: 10s, idle: 2s}")
    entries, doors, dead = kafka_topics(f"{unique}.in"), kafka_topics(), kafka_topics(f"{unique}.in.dlq")
    values: list[bytes | None] = [json.dumps(record).encode() for record in ENTRIES]
    values[50] = None
    values[100] = b"{"
    values[150] = json.dumps(entry(150, 105, -1)).encode()
    values[200] = json.dumps(entry(200, 1, 5)).encode()
    values[250] = b"{"
    producer = Producer({"bootstrap.servers": kafka})
    for number, record in enumerate(values):
        producer.produce(entries, record, None if number == 250 else f"card {number}")
        if number % 70 == 0:
            assert producer.flush(60) == 0
    for record in ALARMS:
        producer.produce(doors, json.dumps(record))
    assert producer.flush(60) == 0
    order = house.order("topics", until=BEGIN + 60 * MINUTE, commit_seconds=0.2, brakes=False)
    carry_out(replace(order, sources={"entries": f"kafka://{kafka}/{entries}", "alarms": f"kafka://{kafka}/{doors}"}))
    letters = DeadLetterTopic(KafkaAddress(kafka, dead)).letters()
    assert letters.select("offset", "reason", "key").rows() == [
        (50, "tombstone", b"card 50"),
        (100, "bad-json", b"card 100"),
        (150, "check: counted", b"card 150"),
        (200, "late", b"card 200"),
        (250, "bad-json", None),
    ]
