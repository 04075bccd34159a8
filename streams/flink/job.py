"""The graph of a job.

    Kafka source ─► pack (columns of a batch to one pack per partition) ─► source tasks ─► shards, layer by layer
                                                                                  └────────┴─► sinks

Flink's own windows, watermarks and SQL types have no part in it: event time travels in the packets (semantics 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyflink.common import Row, Types
from pyflink.datastream.data_stream import KeyedStream
from pyflink.java_gateway import get_gateway
from pyflink.table import DataTypes, Schema
from pyflink.table.expressions import col
from pyflink.table.udf import udf

from streams.flink.functions import (
    DELIVERED,
    KEYED,
    WORDS,
    SinkFunction,
    TaskFunction,
    layer_tag,
    sink_tag,
)
from streams.flink.packing import Packing
from streams.flink.words import words_of
from streams.tasks.layout import SHARD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyflink.datastream import DataStream, StreamExecutionEnvironment
    from pyflink.table import StreamTableEnvironment

    from streams.flink.order import AlertTopic, Order

SOURCE_COLUMNS = """
  `key` BYTES,
  `value` BYTES,
  `part` INT METADATA FROM 'partition' VIRTUAL,
  `off` BIGINT METADATA FROM 'offset' VIRTUAL,
  `stamp` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `stamp_type` STRING METADATA FROM 'timestamp-type' VIRTUAL
"""
RECORDS = """
SELECT `key`, `value`, `part`, `off`, CASE WHEN `stamp_type` <> 'NoTimestampType' THEN `stamp` END FROM `{}`
"""
SINK_COLUMNS = "`key` BYTES, `value` BYTES, `headers` MAP<STRING, BYTES> METADATA"

RAW = {
    "connector": "kafka",
    "key.format": "raw",
    "key.fields": "key",
    "value.format": "raw",
    "value.fields-include": "EXCEPT_KEY",
}
REQUEST_ROOM = 64 << 10
"""Bytes of a request beside its largest message."""
TRANSACTION_MS = 900_000
"""The most that a broker allows by default. What a job had written and not committed for longer than that is gone."""


class Job:
    """Puts a job together. `alerts`: by the number of their sink. `client`: settings of clients, in Java's names."""

    def __init__(
        self,
        order: Order,
        tables: StreamTableEnvironment,
        alerts: Mapping[int, AlertTopic],
        client: Mapping[str, str],
    ) -> None:
        self._order, self._alerts = order, alerts
        self._tables, self._client = tables, client
        self._statements = tables.create_statement_set()

    def build(self, env: StreamExecutionEnvironment) -> None:
        """Add all of it to the environment."""
        order, layout = self._order, self._order.layout
        packs = [self._packs(number, stream) for number, stream in enumerate(sorted(order.partitions))]
        sources = [name for name in order.keys if not name.startswith(f"{SHARD}/")]
        seeds = env.from_collection([Row(order.keys[name], b"") for name in sources], type_info=KEYED)
        outputs = [self._tasks("sources", seeds.uid("seeds-sources").name("seeds"), *packs, early=order.early)]
        for layer in range(len(layout.layers)):
            packets = [one.get_side_output(layer_tag(layer)) for one in outputs]
            first = layer * layout.shards
            keys = [order.keys[f"{SHARD}/{slot}"] for slot in range(first, first + layout.shards)]
            seeds = env.from_collection([Row(key, b"") for key in keys], type_info=KEYED)
            outputs.append(self._tasks(f"shards-{layer}", seeds.uid(f"seeds-{layer}").name("seeds"), *packets))
        self._sinks(outputs)
        self._statements.attach_as_datastream()

    def _packs(self, number: int, stream: str) -> DataStream:
        """Read a topic, and put the records of each partition together."""
        order, name = self._order, f"source_{number}"
        words = {
            **RAW,
            "topic": order.topics[stream],
            "scan.startup.mode": "earliest-offset",
            "properties.isolation.level": "read_committed",
            "properties.group.id": order.group,
            "properties.auto.offset.reset": "earliest",
        }
        self._table(name, SOURCE_COLUMNS, words)
        row = DataTypes.ROW([DataTypes.FIELD("task", DataTypes.INT()), DataTypes.FIELD("pack", DataTypes.BYTES())])
        pack = udf(Packing(order.keys_of(stream)), result_type=row, func_type="pandas")
        packed = (
            self._tables.sql_query(RECORDS.format(name)).map(pack).alias("task", "pack").where(col("pack").is_not_null)
        )
        return self._tables.to_append_stream(packed, KEYED)

    def _tasks(self, name: str, seeds: DataStream, *streams: DataStream, early: bool = False) -> DataStream:
        """Host tasks; who is seeded begins although nothing has come."""
        limits = {number: one.limit for number, one in self._alerts.items()}
        function = TaskFunction(self._order, limits, early=early)
        return _keyed(seeds.union(*streams)).process(function, output_type=KEYED).uid(name).name(name)

    def _sinks(self, outputs: list[DataStream]) -> None:
        for number, alerts in self._alerts.items():
            exactly = {
                "sink.delivery-guarantee": "exactly-once",
                "sink.transactional-id-prefix": f"{self._order.group}-{number}",
                "properties.transaction.timeout.ms": str(TRANSACTION_MS),
                "properties.compression.type": "lz4",
                "properties.max.request.size": str(alerts.limit + REQUEST_ROOM),
            }
            self._write(f"alerts_{number}", _joined(outputs, sink_tag(number)), alerts.topic, alerts.servers, exactly)
        words = {
            "topic": words_of(self._order.group),
            "sink.delivery-guarantee": "at-least-once",
            "properties.linger.ms": "0",
        }
        told = _joined(outputs, WORDS)
        self._tables.create_temporary_view("told", told, Schema.new_builder().column("word", DataTypes.BYTES()).build())
        self._table("words", "`word` BYTES", {"connector": "kafka", "format": "raw", **words})
        self._statements.add_insert_sql("INSERT INTO words SELECT `word` FROM told")
        delivered = _keyed(_joined(outputs, DELIVERED))
        delivered.process(SinkFunction(self._order), output_type=Types.INT()).uid("sinks").name(
            "sinks"
        ).set_parallelism(1)

    def _write(self, name: str, rows: DataStream, topic: str, servers: str, words: Mapping[str, str]) -> None:
        schema = Schema.new_builder().column("key", DataTypes.BYTES()).column("value", DataTypes.BYTES())
        schema = schema.column("headers", DataTypes.MAP(DataTypes.STRING(), DataTypes.BYTES()))
        self._tables.create_temporary_view(f"{name}_rows", rows, schema.build())
        self._table(name, SINK_COLUMNS, {**RAW, "topic": topic, **words}, servers)
        self._statements.add_insert_sql(f"INSERT INTO `{name}` SELECT `key`, `value`, `headers` FROM `{name}_rows`")  # noqa: S608  # our own names

    def _table(self, name: str, columns: str, words: Mapping[str, str], servers: str = "") -> None:
        client = {f"properties.{key}": value for key, value in self._client.items()}
        given = {"properties.bootstrap.servers": servers or self._order.servers, **client, **words}
        listed = ", ".join(f"{_quoted(key)} = {_quoted(value)}" for key, value in given.items())
        self._tables.execute_sql(f"CREATE TEMPORARY TABLE `{name}` ({columns}) WITH ({listed})")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _joined(outputs: list[DataStream], tag: Any) -> DataStream:  # noqa: ANN401  # PyFlink's
    first, *others = [one.get_side_output(tag) for one in outputs]
    return first.union(*others) if others else first


def _keyed(rows: DataStream) -> KeyedStream:
    """Key rows (key, something) by their first field, in the JVM; PyFlink's `key_by` takes a Python process more."""
    selector = get_gateway().jvm.KeyByKeySelector()
    by = rows._j_data_stream.keyBy(selector, Types.ROW([Types.INT()]).get_java_type_info())  # noqa: SLF001  # see above
    return KeyedStream(by, KEYED, rows)


def group_of(groups: int) -> Any:  # noqa: ANN401  # a function of Flink's
    """Give Flink's own assignment of keys to key groups."""
    jvm = get_gateway().jvm
    assign = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup

    def of(key: int) -> int:
        row = jvm.org.apache.flink.types.Row(1)
        row.setField(0, key)
        return int(assign(row, groups))

    return of
