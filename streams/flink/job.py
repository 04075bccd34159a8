"""A job in PyFlink, operator by operator as `graph.py` says.

Flink's own windows and watermarks have no part in it: event time travels in the packets (semantics 3). What no
Python should do with single records, `java/` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyflink.common import Row, Types
from pyflink.datastream.data_stream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway

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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyflink.datastream import StreamExecutionEnvironment

    from streams.flink.alert_topics import AlertTopic
    from streams.flink.graph import Edge, Operator
    from streams.flink.order import Order

FULL_BYTES = 1 << 20
"""At which a pack leaves its reader."""
GATHER_MS, EARLY_GATHER_MS = 100, 20
"""How long records wait there for others."""


class Job:
    """Puts a job together. `alerts`: by the number of their sink. `client`: settings of clients, in Java's names."""

    def __init__(
        self,
        order: Order,
        alerts: Mapping[int, AlertTopic],
        client: Mapping[str, str],
    ) -> None:
        self._order, self._alerts, self._client = order, alerts, client
        tags = [layer_tag(layer) for layer in range(len(order.layout.layers))] + [sink_tag(one) for one in alerts]
        self._tags = {tag.tag_id: tag for tag in (*tags, WORDS, DELIVERED)}

    def build(self, env: StreamExecutionEnvironment) -> None:
        """Add all operators to the environment."""
        made: dict[str, DataStream] = {}
        for operator in graph_of(self._order, self._alerts, self._client, env.get_parallelism()):
            read = [self._output(made[edge.operator], edge) for edge in operator.reads]
            made[operator.name] = self._made(env, operator, read)

    def _output(self, made: DataStream, edge: Edge) -> DataStream:
        if not edge.output:
            return made
        return made.get_side_output(self._tags[edge.output]).uid(f"{edge.operator} {edge.output}")

    def _made(self, env: StreamExecutionEnvironment, operator: Operator, read: Sequence[DataStream]) -> DataStream:
        match operator:
            case Source():
                return self._packs(env, operator)
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

    def _packs(self, env: StreamExecutionEnvironment, source: Source) -> DataStream:
        """Read a topic, and put the records of each partition together."""
        order, java = self._order, env._j_stream_execution_environment  # noqa: SLF001  # PyFlink hides it
        gather = EARLY_GATHER_MS if order.early else GATHER_MS
        keyed, keys = KEYED.get_java_type_info(), order.keys_of(source.stream)
        topic, client = source.topic.name, dict(source.topic.client)
        made = _ours().packs(java, topic, client, keys, FULL_BYTES, gather, keyed, source.name, source.uid)
        return DataStream(made)

    def _hosted(self, tasks: Tasks, rows: DataStream) -> DataStream:
        """Host tasks; who is seeded begins although nothing has come."""
        limits = {number: one.limit for number, one in self._alerts.items()}
        function = TaskFunction(self._order, limits, early=tasks.early)
        return _keyed(rows).process(function, output_type=KEYED).uid(tasks.uid).name(tasks.name)

    @staticmethod
    def _written(writer: Writer, rows: DataStream) -> DataStream:
        """Write rows to a topic; give them."""
        name, client, transactions = writer.topic
        _ours().write(rows._j_data_stream, name, dict(client), transactions, writer.name, writer.uid)  # noqa: SLF001  # as above
        return rows


def _ours() -> Any:  # noqa: ANN401  # a class of Java
    """Give what `java/` makes of topics."""
    return get_gateway().jvm.tocsin.flink.Topics


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
