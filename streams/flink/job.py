"""A job in PyFlink, operator by operator as `graph.py` says.

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
from streams.flink.graph import Seeds, Source, Tasks, Writer, graph_of
from streams.flink.packing import Packing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyflink.datastream import DataStream, StreamExecutionEnvironment
    from pyflink.table import StreamTableEnvironment

    from streams.flink.alert_topics import AlertTopic
    from streams.flink.graph import Edge, Operator
    from streams.flink.order import Order

_COLUMNS = {
    "key": DataTypes.BYTES(),
    "value": DataTypes.BYTES(),
    "headers": DataTypes.MAP(DataTypes.STRING(), DataTypes.BYTES()),
    "word": DataTypes.BYTES(),
}
"""Types of what is written to topics, by the names of columns."""


class Job:
    """Puts a job together. `alerts`: by the number of their sink. `client`: settings of clients, in Java's names."""

    def __init__(
        self,
        order: Order,
        tables: StreamTableEnvironment,
        alerts: Mapping[int, AlertTopic],
        client: Mapping[str, str],
    ) -> None:
        self._order, self._client = order, client
        self._tables, self._alerts = tables, alerts
        tags = [layer_tag(layer) for layer in range(len(order.layout.layers))] + [sink_tag(one) for one in alerts]
        self._tags = {tag.tag_id: tag for tag in (*tags, WORDS, DELIVERED)}

    def build(self, env: StreamExecutionEnvironment) -> None:
        """Add all operators to the environment."""
        made: dict[str, DataStream] = {}
        for operator in graph_of(self._order, self._alerts, self._client, env.get_parallelism()):
            read = [self._output(made[edge.operator], edge) for edge in operator.reads]
            made[operator.name] = self._made(env, operator, read)
            if isinstance(operator, Writer):
                self._write(env, operator)

    def _output(self, made: DataStream, edge: Edge) -> DataStream:
        if not edge.output:
            return made
        return made.get_side_output(self._tags[edge.output]).uid(f"{edge.operator} {edge.output}")

    def _made(self, env: StreamExecutionEnvironment, operator: Operator, read: Sequence[DataStream]) -> DataStream:
        match operator:
            case Source():
                return self._packs(operator)
            case Seeds():
                seeds = [Row(self._order.keys[task], b"") for task in operator.tasks]
                return env.from_collection(seeds, type_info=KEYED).uid(operator.uid).name("seeds")
            case Tasks():
                return self._hosted(operator, _joined(read))
            case Writer():
                return self._written(operator, _joined(read))
            case _:
                carried = _keyed(_joined(read)).process(SinkFunction(self._order), output_type=Types.INT())
                return carried.uid(operator.uid).name(operator.name).set_parallelism(operator.parallelism)

    def _packs(self, source: Source) -> DataStream:
        """Read a topic, and put the records of each partition together."""
        self._tables.execute_sql(source.table.create)
        row = DataTypes.ROW([DataTypes.FIELD("task", DataTypes.INT()), DataTypes.FIELD("pack", DataTypes.BYTES())])
        pack = udf(
            Packing(self._order.run, source.stream, self._order.keys_of(source.stream)),
            result_type=row,
            func_type="pandas",
        )
        packed = self._tables.sql_query(source.query).map(pack).alias("task", "pack").where(col("pack").is_not_null)
        packs = self._tables.to_append_stream(packed, KEYED)
        _keep_apart(packs._j_data_stream.getTransformation(), source.uid)  # noqa: SLF001  # PyFlink hides it
        return packs

    def _hosted(self, tasks: Tasks, rows: DataStream) -> DataStream:
        """Host tasks; who is seeded begins although nothing has come."""
        limits = {number: one.limit for number, one in self._alerts.items()}
        function = TaskFunction(self._order, limits, early=tasks.early)
        return _keyed(rows).process(function, output_type=KEYED).uid(tasks.uid).name(tasks.name)

    def _written(self, writer: Writer, rows: DataStream) -> DataStream:
        """Say what rows are written to a topic; give them."""
        table, view, columns = writer.insert
        schema = Schema.new_builder()
        for name in columns:
            schema = schema.column(name, _COLUMNS[name])
        self._tables.create_temporary_view(view, rows, schema.build())
        self._tables.execute_sql(table.create)
        return rows

    def _write(self, env: StreamExecutionEnvironment, writer: Writer) -> None:
        """Add the statement that writes."""
        made = env._j_stream_execution_environment.getTransformations()  # noqa: SLF001  # as above
        known = made.size()
        statements = self._tables.create_statement_set()
        statements.add_insert_sql(writer.insert.statement)
        statements.attach_as_datastream()
        for at in range(known, made.size()):
            _keep_apart(made.get(at), writer.uid)


def _keep_apart(last: Any, uid: str) -> None:  # noqa: ANN401  # Java's
    """Give what Flink's SQL has made uids of our own, behind what has one already; `last`: a transformation.

    Its own follow from the place among all operators, so that a state would be lost where others come or go.
    """
    for number, one in enumerate(_made_by_sql(last)):
        one.setUid(f"{uid} {number}")


def _made_by_sql(last: Any) -> list[Any]:  # noqa: ANN401  # as above
    if last.getUid() is not None:
        return []
    return [last, *(found for before in last.getInputs() for found in _made_by_sql(before))]


def _joined(streams: Sequence[DataStream]) -> DataStream:
    first, *others = streams
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
