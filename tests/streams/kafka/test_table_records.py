"""Tables out of topics: what records become, what deletes, what is refused (semantics 20)."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import polars as pl
import pytest
from confluent_kafka import Producer

from operators.lookups import GONE
from streams.pseudonyms import Pseudonyms
from streams.tables import TableRead, read_table
from tocsin.errors import SourceError
from tocsin.model.rows import TIME
from tocsin.model.types import INT64, STRING, TIMESTAMP, Kind, Type

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fixtures import Topics
    from tocsin.compiler.plan import TablePlan

PSEUDONYMS = Pseudonyms(b"a key for these tests")
FIELDS = {"terminal": STRING, "limit": INT64}
BEGIN = 1_772_442_000_000


def table(**words: object) -> TablePlan:
    """Stand in for what the compiler gives."""
    usual = {"name": "terminals", "key": ("terminal",), "fields": FIELDS, "time": None, "format": "json", "topic": "t"}
    return SimpleNamespace(**usual | words)  # type: ignore[return-value]  # the words that are read


class Log:
    """A table's topic."""

    def __init__(self, servers: str, topic: str) -> None:
        self.uri = f"kafka://{servers}/{topic}"
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": servers})

    def put(self, key: bytes | str | None, value: object, at: int = BEGIN, partition: int = 0) -> None:
        """Write a record; a value that is no bytes as JSON, None as it is."""
        raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        self._producer.produce(self._topic, raw, key, partition, timestamp=at)
        assert self._producer.flush(30) == 0

    def read(self, plan: TablePlan, folder: Path) -> TableRead:
        """Read it as a run does."""
        return read_table(plan, self.uri, folder, PSEUDONYMS)


@pytest.fixture
def log(kafka: str, kafka_topics: Topics) -> Log:
    """Give an empty topic of two partitions."""
    return Log(kafka, kafka_topics(partitions=2, retention_ms="-1"))


class TestRows:
    def test_a_row_holds_from_the_timestamp_of_its_record_and_partitions_come_together(
        self, log: Log, tmp_path: Path
    ) -> None:
        log.put("a", {"terminal": "a", "limit": 1}, BEGIN)
        log.put("a", {"terminal": "a", "limit": 2}, BEGIN + 5)
        log.put("b", {"limit": 7, "terminal": "b"}, BEGIN + 3, partition=1)
        read = log.read(table(), tmp_path)
        assert read.versions.columns == [*FIELDS, TIME, GONE]
        assert read.versions.rows() == [
            ("a", 1, BEGIN, False),
            ("b", 7, BEGIN + 3, False),
            ("a", 2, BEGIN + 5, False),
        ]
        assert dict(read.ends) == {0: 2, 1: 1}

    def test_where_the_table_names_a_time_it_counts(self, log: Log, tmp_path: Path) -> None:
        plan = table(fields={"terminal": STRING, "since": TIMESTAMP, "limit": INT64}, time="since")
        log.put("a", {"terminal": "a", "since": BEGIN - 100, "limit": 1})
        assert log.read(plan, tmp_path).versions[TIME].to_list() == [BEGIN - 100]

    def test_an_empty_topic_is_an_empty_table(self, log: Log, tmp_path: Path) -> None:
        read = log.read(table(), tmp_path)
        assert read.versions.height == 0
        assert read.versions.columns == [*FIELDS, TIME, GONE]
        assert dict(read.ends) == {0: 0, 1: 0}

    def test_more_than_one_fetch(self, log: Log, kafka: str, tmp_path: Path) -> None:
        producer, number = Producer({"bootstrap.servers": kafka}), 50_000
        topic = log.uri.rpartition("/")[2]
        for n in range(number):
            producer.produce(topic, json.dumps({"terminal": f"t{n}", "limit": n}), f"t{n}", n % 2)
            producer.poll(0)
        assert producer.flush(60) == 0
        read = log.read(table(), tmp_path)
        assert read.versions.height == number
        assert read.versions["limit"].sum() == number * (number - 1) // 2

    def test_rows_of_persons_and_their_deletions_have_the_same_pseudonym(self, log: Log, tmp_path: Path) -> None:
        plan = table(key=("phone",), fields={"phone": Type(Kind.STRING, person="phone"), "limit": INT64})
        log.put("555", {"phone": "555", "limit": 1}, BEGIN)
        log.put("555", None, BEGIN + 9)
        known = PSEUDONYMS.of(pl.Series(["555"]), "phone").item()
        assert log.read(plan, tmp_path).versions.rows() == [(known, 1, BEGIN, False), (known, None, BEGIN + 9, True)]


class TestDeletions:
    def test_a_record_without_a_value_deletes_from_its_timestamp_on(self, log: Log, tmp_path: Path) -> None:
        log.put("a", {"terminal": "a", "limit": 1}, BEGIN)
        log.put("a", None, BEGIN + 5)
        log.put("a", b"", BEGIN + 6)
        log.put("a", {"terminal": "a", "limit": 2}, BEGIN + 7)
        assert log.read(table(), tmp_path).versions.rows() == [
            ("a", 1, BEGIN, False),
            ("a", None, BEGIN + 5, True),
            ("a", None, BEGIN + 6, True),
            ("a", 2, BEGIN + 7, False),
        ]

    def test_a_key_of_several_fields_is_an_array_of_their_texts(self, log: Log, tmp_path: Path) -> None:
        plan = table(key=("terminal", "limit"))
        log.put('["a \\"b\\"","7"]', None)
        assert log.read(plan, tmp_path).versions.rows() == [('a "b"', 7, BEGIN, True)]


class TestWhatIsNoRow:
    def test_it_is_a_dead_letter_with_partition_and_offset(self, log: Log, tmp_path: Path) -> None:
        log.put("a", {"terminal": "a", "limit": 1})
        log.put("b", {"terminal": "b", "limit": "many"})
        log.put("c", b"{")
        log.put(None, None)
        log.put("d", {"limit": 3}, partition=1)
        log.put(b"\xff", None, partition=1)
        read = log.read(table(), tmp_path)
        assert read.versions["terminal"].to_list() == ["a"]
        assert read.dead.sort("partition", "offset").select(
            "stream", "partition", "offset", "reason", "field"
        ).rows() == [
            ("terminals", 0, 1, "wrong-type", "limit"),
            ("terminals", 0, 2, "bad-json", ""),
            ("terminals", 0, 3, "missing", ""),
            ("terminals", 1, 0, "missing", "terminal"),
            ("terminals", 1, 1, "invalid-utf8", ""),
        ]

    @pytest.mark.parametrize("key", ["a", '["a"]', '["a",7]', '["a","7","x"]', '["a","many"]'])
    def test_a_deletion_by_what_is_no_key_of_the_table(self, log: Log, tmp_path: Path, key: str) -> None:
        log.put("", {"terminal": "a", "limit": 1})
        log.put(key, None)
        read = log.read(table(key=("terminal", "limit")), tmp_path)
        assert read.versions.height == 1
        assert read.dead["offset"].to_list() == [1]

    def test_nothing_but_bad_records_is_an_error(self, log: Log, tmp_path: Path) -> None:
        log.put("a", b"{")
        with pytest.raises(SourceError, match="has no good row; the first: bad-json"):
            log.read(table(), tmp_path)


class TestWhatCannotBeRead:
    def test_no_such_topic(self, kafka: str, unique: str, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=f"{unique} does not exist.*`tocsin topics apply`"):
            read_table(table(), f"kafka://{kafka}/{unique}", tmp_path, PSEUDONYMS)

    def test_no_broker(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streams.kafka.tables.PATIENCE_SECONDS", 0.5)
        with pytest.raises(SourceError, match=r"the table terminals.*the brokers do not answer"):
            read_table(table(), "kafka://127.0.0.1:1/t", tmp_path, PSEUDONYMS)

    def test_another_format_and_options(self, tmp_path: Path) -> None:
        for plan, uri, message in (
            (table(format="csv"), "kafka://127.0.0.1:1/t", "values of format csv"),
            (table(), "kafka://127.0.0.1:1/t?from=latest", "unknown option 'from'"),
        ):
            with pytest.raises(SourceError, match=message):
                read_table(plan, uri, tmp_path, PSEUDONYMS)
