"""`local` over Kafka: the same alerts as over files, whatever the partitions, the disorder, the silence, the kills."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from monitoring import registry
from operators.alerting.canonical import canonical
from stack import KafkaBroker
from streams.local.running import carry_out
from tests.streams.local.local_runs import BEGIN, MINUTE, SECOND, Countdown, House, alarm, entry
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from streams.local.runner import Summary
    from tests.servers.fixtures import Topics

UNTIL = BEGIN + 60 * MINUTE
QUICKLY_IDLE = ("lateness: 10s}", "lateness: 10s, idle: 2s}")


class KafkaHouse(House):
    """The house whose streams are topics."""

    servers: str
    topics: dict[str, str]

    @classmethod
    def over(cls, folder: Path, servers: str, topics: Topics, partitions: int) -> KafkaHouse:
        house = cls(folder)
        house.topology = house.topology.replace(*QUICKLY_IDLE)
        house.servers = servers
        house.topics = {
            name: topics(partitions=partitions, max_message_bytes="5000000") for name in ("entries", "alarms")
        }
        return house

    def produce(self, stream: str, records: Iterable[Mapping[str, object]], partitions: int) -> None:
        producer = Producer({"bootstrap.servers": self.servers})
        for record in records:
            number = crc32(str(record["door"]).encode()) % partitions
            producer.produce(self.topics[stream], json.dumps(record), partition=number)
        assert producer.flush(30) == 0

    def over_kafka(self, name: str, **how: object) -> Summary:
        order = self.order(name, **{"until": UNTIL, "commit_seconds": 0.2, **how})
        sources = {stream: f"kafka://{self.servers}/{topic}" for stream, topic in self.topics.items()}
        return carry_out(replace(order, sources=sources))


ENTRIES = [entry(n, 0.7 * n - 9 * (n % 4 == 0), n * 7 % 60 if n % 10 else 5, f"door {n % 5}") for n in range(400)]
ALARMS = [alarm(n, 2.5 * n, f"door {n % 3}") for n in range(100)]


@pytest.fixture(params=[1, 8])
def house(request: pytest.FixtureRequest, tmp_path: Path, kafka: str, kafka_topics: Topics) -> KafkaHouse:
    """Give a house with events in topics of one or eight partitions, and the same events in files."""
    made = KafkaHouse.over(tmp_path, kafka, kafka_topics, request.param)
    for stream, records in (("entries", ENTRIES), ("alarms", ALARMS)):
        made.write(stream, records)
        made.produce(stream, records, request.param)
    made.run("files", until=UNTIL)
    assert made.told("files")
    return made


def test_the_same_alerts_as_over_files(house: KafkaHouse) -> None:
    """Partitions without any record are idle after a while and hold nothing back; every record is read once."""
    summary = house.over_kafka("topics")
    assert summary.records == len(ENTRIES) + len(ALARMS)
    assert canonical(house.log("topics")).equals(canonical(house.log("files")))


def test_a_run_that_was_stopped_goes_on_with_its_own_offsets(house: KafkaHouse) -> None:
    """No record is read twice, and the group shows how far it is."""
    first = house.over_kafka("topics", stop=Countdown(6), batch_rows=50, commit_seconds=0.0)
    assert first.stopped
    second = house.over_kafka("topics")
    assert not second.stopped
    assert second.records == len(ENTRIES) + len(ALARMS)
    assert canonical(house.log("topics")).equals(canonical(house.log("files")))


def test_records_that_are_none_are_dead_letters_with_their_place(
    tmp_path: Path, kafka: str, kafka_topics: Topics
) -> None:
    """A tombstone, no bytes, no JSON, too many bytes: each with its reason, and the stream runs on."""
    house = KafkaHouse.over(tmp_path, kafka, kafka_topics, 1)
    producer = Producer({"bootstrap.servers": kafka, "message.max.bytes": 3_000_000})
    good = json.dumps(entry(1, 5, 60)).encode()
    for value in (good, None, b"", b"{", b'{"id": "' + b"x" * 1_500_000 + b'"}', json.dumps(entry(2, 6, 60)).encode()):
        producer.produce(house.topics["entries"], value)
    assert producer.flush(30) == 0
    house.produce("alarms", [alarm(1, 1)], 1)
    summary = house.over_kafka("state", brakes=False)
    aside = {reason: number for (stream, reason), number in summary.tally.aside.items() if stream == "entries"}
    assert aside == {"tombstone": 1, "empty": 1, "bad-json": 1, "too-long": 1}
    assert ("group", "raised", "red", 5 * SECOND) in house.told("state")


def test_partitions_that_are_added_while_it_runs_are_read(
    tmp_path: Path, kafka: str, kafka_topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From their beginning, without a new start."""
    monkeypatch.setattr("streams.kafka.reader.GROW_SECONDS", 0.2)
    house = KafkaHouse.over(tmp_path, kafka, kafka_topics, 1)
    house.produce("entries", [entry(1, 5, 60)], 1)
    house.produce("alarms", [alarm(1, 1)], 1)
    grown: list[float] = []

    def read() -> float:
        return house.metrics.value(registry.RECORDS_READ.of({"stream": "entries"}))

    admin = AdminClient({"bootstrap.servers": kafka})

    def stop() -> bool:
        if not grown:
            wanted = NewPartitions(house.topics["entries"], 2)
            for made in admin.create_partitions([wanted]).values():
                made.result(30)
            producer = Producer({"bootstrap.servers": kafka})
            producer.produce(house.topics["entries"], json.dumps(entry(2, 9, 70, "new")), partition=1)
            assert producer.flush(30) == 0
            grown.append(time.monotonic())
        return read() == 2 or time.monotonic() - grown[0] > 60

    house.over_kafka("state", stop=stop, until=None)
    assert read() == 2


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """Give a broker that may be killed, with a user who may nothing."""
    with KafkaBroker(tmp_path_factory.mktemp("kafka"), users={"ann": "secret"}) as own:
        yield own


def test_a_broker_that_dies_and_comes_back_changes_nothing(tmp_path: Path, broker: KafkaBroker) -> None:
    """The run waits, says so, and ends with the same alerts."""
    topics = {name: f"house.{name}" for name in ("entries", "alarms")}
    admin = AdminClient({"bootstrap.servers": broker.servers})
    for made in admin.create_topics([NewTopic(topic, 2, 1) for topic in topics.values()]).values():
        made.result(30)
    house = KafkaHouse(tmp_path)  # the broker is away for longer than QUICKLY_IDLE allows
    house.servers, house.topics = broker.servers, topics
    for stream, records in (("entries", ENTRIES), ("alarms", ALARMS)):
        house.write(stream, records)
        house.produce(stream, records[: len(records) // 2], 2)
    house.run("files", until=UNTIL)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        if asked == 10:
            broker.kill()
            broker.start()
            for stream, records in (("entries", ENTRIES), ("alarms", ALARMS)):
                house.produce(stream, records[len(records) // 2 :], 2)
            for door in ("door 0", "door 4"):  # one in each partition, which ends it
                house.produce("entries", [entry(900, 7200, 1, door)], 2)
                house.produce("alarms", [alarm(900, 7200, door)], 2)
        return False

    summary = house.over_kafka("state", stop=stop)
    assert summary.records == len(ENTRIES) + len(ALARMS) + 4
    assert house.told("state") == house.told("files")


@pytest.mark.parametrize(
    ("password", "said"), [("wrong", "[Aa]uthentication failed"), ("secret", "[Aa]uthorization failed")]
)
def test_who_may_not_read_is_told_so(
    tmp_path: Path, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, password: str, said: str
) -> None:
    """A wrong password, and a user without the right to read."""
    admin = AdminClient({"bootstrap.servers": broker.servers})
    for made in admin.create_topics([NewTopic(f"secret.{password}", 1, 1)]).values():
        made.result(30)
    monkeypatch.setenv("TOCSIN_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("TOCSIN_KAFKA_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("TOCSIN_KAFKA_SASL_USERNAME", "ann")
    monkeypatch.setenv("TOCSIN_KAFKA_SASL_PASSWORD", password)
    house = House(tmp_path)
    order = house.order("state", until=UNTIL)
    uri = f"kafka://{broker.secured}/secret.{password}"
    with pytest.raises(SourceError, match=said):
        carry_out(replace(order, sources={"entries": uri, "alarms": uri}))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("kafka://127.0.0.1:1/t", "the brokers do not answer"),
        ("kafka://SERVERS/no.such.topic", "cannot be read"),
        ("kafka://SERVERS/TOPIC?from=yesterday", "from=yesterday"),
        ("kafka://SERVERS/TOPIC?form=latest", "unknown option 'form': expected from; did you mean 'from'"),
        ("kafka://127.0.0.1", "expected kafka://HOST:PORT/TOPIC"),
    ],
)
def test_what_cannot_be_read_is_said_before_anything_starts(  # fixtures
    tmp_path: Path, kafka: str, kafka_topics: Topics, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    """One sentence, with the address."""
    monkeypatch.setattr("streams.kafka.reader.CONNECT_SECONDS", 2.0)
    house = KafkaHouse.over(tmp_path, kafka, kafka_topics, 1)
    order = house.order("state", until=UNTIL)
    uri = source.replace("SERVERS", kafka).replace("TOPIC", house.topics["entries"])
    with pytest.raises(SourceError, match=said):
        carry_out(replace(order, sources={"entries": uri, "alarms": uri}))
