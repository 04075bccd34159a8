"""Dead letters in a Kafka topic, against a real broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import polars as pl
import pytest
from confluent_kafka import Producer

from stack import KafkaBroker
from streams.codecs.reasons import Dead
from streams.dead_letters import STORED, DeadLetterStore, dead_frame
from streams.kafka import dead_letters
from streams.kafka.dead_letters import DeadLettersByStream, DeadLetterTopic
from tests.sinks.alert_topic import headers, messages, value
from tocsin.errors import SourceError, StateError
from tocsin.kafka import KafkaAddress

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fixtures import Topics

RAW = b"\xff\x00 raw\n"


def letters(*offsets: int, stream: str = "payments", partition: int = 0, raw: bytes = RAW) -> pl.DataFrame:
    return dead_frame(stream, partition, [Dead(at, "bad-json", "a", f"detail {at} ü", 7, raw) for at in offsets])


def topic(servers: str, name: str, patience: float = 60) -> DeadLetterTopic:
    return DeadLetterTopic(KafkaAddress(servers, name), patience)


def put(servers: str, name: str, *parts: pl.DataFrame, recorded_at: int = 77) -> None:
    """Put letters in a process of their own, as far as the topic knows."""
    store = topic(servers, name)
    for part in parts:
        store.put(part, recorded_at)
    store.close()


class TestLetters:
    """What stands in the topic."""

    def test_what_is_put_is_read_back_byte_for_byte(self, kafka: str, kafka_topics: Topics) -> None:
        name = kafka_topics(partitions=3)
        put(kafka, name, letters(3, 5), letters(4, partition=1))
        found = topic(kafka, name).letters()
        assert found.schema == dict(STORED)
        assert found.drop("recorded_at").equals(pl.concat([letters(3, 5), letters(4, partition=1)]))
        assert found["recorded_at"].to_list() == [77, 77, 77]

    def test_raw_bytes_are_the_value_and_the_rest_stands_in_headers(self, kafka: str, kafka_topics: Topics) -> None:
        name = kafka_topics()
        put(kafka, name, letters(3))
        (message,) = messages(kafka, name)
        assert message.value() == RAW
        assert dict(cast("list[tuple[str, bytes]]", message.headers())) == {
            "tocsin.stream": b"payments",
            "tocsin.partition": b"0",
            "tocsin.offset": b"3",
            "tocsin.reason": b"bad-json",
            "tocsin.field": b"a",
            "tocsin.detail": "detail 3 ü".encode(),
            "tocsin.time": b"7",
            "tocsin.form": b"json",
            "tocsin.recorded_at": b"77",
        }

    def test_a_letter_has_the_key_of_its_record_where_that_is_known(self, kafka: str, kafka_topics: Topics) -> None:
        name = kafka_topics()
        put(kafka, name, letters(1).with_columns(pl.lit(b"card").alias("key")), letters(2))
        assert [message.key() for message in messages(kafka, name)] == [b"card", None]
        assert topic(kafka, name).letters()["key"].to_list() == [b"card", None]

    def test_letters_of_a_partition_lie_in_one_partition_in_order(self, kafka: str, kafka_topics: Topics) -> None:
        name = kafka_topics(partitions=2)
        put(kafka, name, letters(1, 2, partition=4), letters(7, partition=3), letters(3, partition=4))
        offsets = [headers(m)["tocsin.offset"] for m in messages(kafka, name) if m.partition() == 0]
        assert offsets == ["1", "2", "3"]

    def test_a_record_that_is_larger_than_the_topic_takes_is_cut(self, kafka: str, kafka_topics: Topics) -> None:
        name = kafka_topics(max_message_bytes="20000")
        put(kafka, name, letters(1, raw=b"x" * 50_000), letters(2))
        first, second = messages(kafka, name)
        assert headers(first)["tocsin.cut"] == "50000"
        assert 10_000 < len(value(first)) < 20_000
        assert second.value() == RAW

    def test_messages_that_are_no_letters_are_passed_over(self, kafka: str, kafka_topics: Topics) -> None:
        name = kafka_topics()
        other = Producer({"bootstrap.servers": kafka})
        other.produce(name, b"x")
        other.produce(name, b"x", headers={"tocsin.stream": "s", "tocsin.partition": "x", "tocsin.offset": "1"})
        assert other.flush(60) == 0
        put(kafka, name, letters(1))
        assert topic(kafka, name).letters()["offset"].to_list() == [1]

    def test_summary_show_and_replay_are_those_of_the_state_folder(
        self, kafka: str, kafka_topics: Topics, tmp_path: Path
    ) -> None:
        name, folder = kafka_topics(), DeadLetterStore(tmp_path)
        for part in (letters(3, 5), letters(9, stream="calls")):
            put(kafka, name, part)
            folder.put(part, 77)
        store = topic(kafka, name)
        assert store.summary().equals(folder.summary())
        assert store.show("calls", 0, 9) == folder.show("calls", 0, 9)
        ((partition, form, records),) = store.replay("payments")
        assert (partition, form, records.at(1)) == (0, "json", RAW.replace(b"\n", b" "))


class TestOnce:
    """A letter is named by its place."""

    def test_a_letter_put_again_after_a_restart_is_there_once(self, kafka: str, kafka_topics: Topics) -> None:
        name = kafka_topics()
        put(kafka, name, letters(3, 5))
        put(kafka, name, letters(5, 9), letters(9), recorded_at=99)
        assert len(messages(kafka, name)) == 3
        assert topic(kafka, name).letters().select("offset", "recorded_at").rows() == [(3, 77), (5, 77), (9, 99)]

    def test_one_that_lies_too_far_back_to_be_known_is_read_once(
        self, kafka: str, kafka_topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dead_letters, "REMEMBERED", 2)
        name = kafka_topics()
        put(kafka, name, letters(1, 2, 3))
        put(kafka, name, letters(1, 2, 3), recorded_at=99)
        assert len(messages(kafka, name)) == 4
        assert topic(kafka, name).letters().select("offset", "recorded_at").rows() == [(1, 77), (2, 77), (3, 77)]


class TestTrouble:
    """Nothing is lost: what is not stored ends the run before its commit."""

    def test_letters_wait_for_a_broker_that_restarts(self, tmp_path: Path) -> None:
        with KafkaBroker(tmp_path / "kafka", settings={"auto.create.topics.enable": "true"}) as broker:
            store = topic(broker.servers, "payments.dlq")
            store.put(letters(1), 77)
            broker.kill()
            broker.launch()
            store.put(letters(2), 77)
            store.close()
            assert topic(broker.servers, "payments.dlq").letters()["offset"].to_list() == [1, 2]

    def test_a_broker_that_stays_away_is_an_error_in_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dead_letters, "CONNECT_SECONDS", 0.5)
        with pytest.raises(
            StateError, match=r"dead letters cannot be stored: the Kafka topic x\.dlq at 127\.0\.0\.1:1 cannot"
        ):
            topic("127.0.0.1:1", "x.dlq", patience=1).put(letters(1), 77)

    def test_a_topic_that_is_not_there_is_an_error(self, kafka: str, unique: str) -> None:
        with pytest.raises(StateError, match=f"cannot be stored: .*{unique} at .* does not exist"):
            topic(kafka, unique).put(letters(1), 77)
        with pytest.raises(StateError, match="does not exist"):
            topic(kafka, unique).letters()

    def test_nothing_to_put_asks_nobody(self) -> None:
        topic("127.0.0.1:1", "x.dlq").put(letters(), 77)


class TestStreams:
    """A host puts letters of all its streams."""

    def test_letters_go_beside_the_topic_that_they_are_from(
        self, kafka: str, kafka_topics: Topics, unique: str, tmp_path: Path
    ) -> None:
        name = kafka_topics(f"{unique}.dlq")
        sources = {"payments": f"kafka://{kafka}/{unique}?from=earliest", "calls": "ndjson:calls.ndjson"}
        store = DeadLettersByStream.of(sources, DeadLetterStore(tmp_path), pytest.fail)
        store.put(pl.concat([letters(1), letters(2, stream="calls")]), 77)
        store.close()
        assert topic(kafka, name).letters()["stream"].to_list() == ["payments"]
        assert DeadLetterStore(tmp_path).letters()["stream"].to_list() == ["calls"]

    def test_without_a_topic_they_stay_in_the_state_folder_and_it_is_said(
        self, kafka: str, unique: str, tmp_path: Path
    ) -> None:
        said: list[str] = []
        store = DeadLettersByStream.of(
            {"payments": f"kafka://{kafka}/{unique}"}, DeadLetterStore(tmp_path), said.append
        )
        store.put(letters(1), 77)
        assert said == [
            f"kafka://{kafka}/{unique}.dlq does not exist: dead letters of payments stay in the state folder"
        ]
        assert DeadLetterStore(tmp_path).letters().height == 1

    def test_an_address_that_is_none_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no Kafka address"):
            DeadLettersByStream.of({"payments": "kafka://host"}, DeadLetterStore(tmp_path), pytest.fail)
