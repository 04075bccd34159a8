"""The statements of a job in Flink's SQL: its tables on Kafka, and what is written into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.flink.words import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.flink.alert_topics import AlertTopic
    from streams.flink.order import Order

SOURCE_COLUMNS = """
  `key` BYTES,
  `value` BYTES,
  `part` INT METADATA FROM 'partition' VIRTUAL,
  `off` BIGINT METADATA FROM 'offset' VIRTUAL,
  `stamp` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
"""
RECORDS = """
SELECT `key`, `value`, `part`, `off`, `stamp` FROM `{}`
"""
SINK_COLUMNS = "`key` BYTES, `value` BYTES, `headers` MAP<STRING, BYTES> METADATA"
RAW = {
    "connector": "kafka",
    "key.format": "raw",
    "key.fields": "key",
    "value.format": "raw",
    "value.fields-include": "EXCEPT_KEY",
}
POLL_RECORDS, FETCH_BYTES = 10_000, 4 << 20
"""Most of a partition that a reader takes and asks for at once."""
REQUEST_ROOM = 64 << 10
"""Bytes of a request beside its largest message."""
TRANSACTION_MS = 900_000
"""The most that a broker allows by default. What a job had written and not committed for longer than that is gone."""


class Table(NamedTuple):
    """A table of Flink's SQL. `columns`: as SQL has them; `options`: what stands behind WITH."""

    name: str
    columns: str
    options: Mapping[str, str]

    @property
    def create(self) -> str:
        """The statement that makes it."""
        listed = ",\n  ".join(f"{_quoted(key)} = {_quoted(value)}" for key, value in self.options.items())
        return f"CREATE TEMPORARY TABLE `{self.name}` ({self.columns}) WITH (\n  {listed}\n)"


class Insert(NamedTuple):
    """A table that rows of a stream are written to; `view`: the stream's name in SQL."""

    table: Table
    view: str
    columns: tuple[str, ...]

    @property
    def statement(self) -> str:
        """The statement that does it."""
        listed = ", ".join(f"`{name}`" for name in self.columns)
        return f"INSERT INTO `{self.table.name}` SELECT {listed} FROM `{self.view}`"  # noqa: S608  # our own names


def source(name: str, stream: str, order: Order, client: Mapping[str, str]) -> Table:
    """Give the table of a stream's topic: raw records and their positions. `client`: settings in Java's names."""
    options = {
        **RAW,
        "topic": order.topics[stream],
        "scan.startup.mode": "earliest-offset",
        "properties.isolation.level": "read_committed",
        "properties.group.id": order.group,
        "properties.auto.offset.reset": "earliest",
        "properties.max.poll.records": str(POLL_RECORDS),
        "properties.max.partition.fetch.bytes": str(FETCH_BYTES),
    }
    return Table(name, SOURCE_COLUMNS, _on(order.servers, client) | options)


def alerts(number: int, topic: AlertTopic, order: Order, client: Mapping[str, str]) -> Insert:
    """Give the table of an alert topic, written exactly once; `number`: of the sink."""
    options = {
        **RAW,
        "topic": topic.topic,
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": f"{order.group}-{topic.name}",
        "properties.transaction.timeout.ms": str(TRANSACTION_MS),
        "properties.compression.type": "lz4",
        "properties.max.request.size": str(topic.limit + REQUEST_ROOM),
    }
    name = f"alerts_{number}"
    table = Table(name, SINK_COLUMNS, _on(topic.servers or order.servers, client) | options)
    return Insert(table, f"{name}_rows", ("key", "value", "headers"))


def words(order: Order, client: Mapping[str, str]) -> Insert:
    """Give the table of the topic of words."""
    options = {
        "connector": "kafka",
        "format": "raw",
        "topic": words_of(order.group),
        "sink.delivery-guarantee": "at-least-once",
        "properties.linger.ms": "0",
    }
    return Insert(Table("words", "`word` BYTES", _on(order.servers, client) | options), "told", ("word",))


def _on(servers: str, client: Mapping[str, str]) -> dict[str, str]:
    return {"properties.bootstrap.servers": servers, **{f"properties.{key}": value for key, value in client.items()}}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
