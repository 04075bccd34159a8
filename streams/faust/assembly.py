"""Puts a worker together: plan, tables, tasks, sinks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from operators.lookups import look_up, merge_versions
from sinks.at_most import AtMost
from sinks.delivery import Delivery
from sinks.opening import make_sink, open_sink
from sinks.where import Where
from streams.dead_letters import DEAD
from streams.faust.hosted import Hosted
from streams.faust.layout import SHARD, Layout, lay_out, needed, sender_of
from streams.faust.outgoing import Outgoing
from streams.faust.shard_task import ShardTask
from streams.faust.source_task import SourceTask
from streams.faust.topics import exchange_of
from streams.faust.upstreams import Upstreams
from streams.ingest.stage import Ingest
from streams.kafka.tables import FollowedTable, require_topic
from streams.local.dataflow import BEGINNING, empty_table
from streams.local.feed import ingest_spec
from streams.tables import read_table
from tocsin.errors import SinkError, SourceError
from tocsin.kafka import SCHEME
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitoring.metrics import Metrics
    from operators.expressions.bound import Lookup
    from streams.faust.order import Order
    from streams.faust.task import Task
    from streams.pseudonyms import Pseudonyms
    from tocsin.compiler import Plan


def refuse_what_is_missing(plan: Plan) -> None:
    """Raise SourceError for what this runtime does not carry out yet."""
    stages = needed(plan)
    if any(item.upstream == QUALITY for stage in stages for item in stage.inputs):
        raise SourceError(f"{plan.name} judges the built-in stream quality: the runtime faust does not count it yet")


def tables_of(plan: Plan, sources: Mapping[str, str], servers: str) -> dict[str, str]:
    """Give the URIs of tables: those of the sources, and topics. SourceError if a topic is not there."""
    found = {name: uri for name, uri in sources.items() if name in plan.tables}
    for name in sorted(_looked_up(plan)):
        table = plan.tables[name]
        if table.topic:
            found.setdefault(name, f"{SCHEME}://{servers}/{table.topic}")
        if found.get(name, "").startswith(f"{SCHEME}:"):
            require_topic(table, found[name])
    return found


def _looked_up(plan: Plan) -> set[str]:
    stages = needed(plan)
    streams = {item.upstream for stage in stages for item in stage.inputs} & set(plan.streams)
    bounds = [bound for name in streams for _, bound in plan.streams[name].derive]
    bounds += [check.bound for name in streams for check in plan.streams[name].checks]
    checked = {lookup.table for bound in bounds for lookup in bound.lookups}
    return checked | {name for stage in stages for name in stage.tables}


def load_tables(plan: Plan, order: Order, pseudonyms: Pseudonyms) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Read all tables that are needed, every worker all of them; and the dead letters of their records."""
    found, dead = {}, [pl.DataFrame(schema=dict(DEAD))]
    for name in sorted(_looked_up(plan)):
        read = read_table(plan.tables[name], order.tables.get(name), order.topology.parent, pseudonyms)
        found[name] = merge_versions(empty_table(plan, name), read.versions, plan.tables[name].key, BEGINNING)
        dead.append(read.dead)
        if read.ends:
            order.ends[name] = dict(read.ends)
    return found, pl.concat(dead)


def follow_tables(plan: Plan, order: Order, pseudonyms: Pseudonyms) -> list[FollowedTable]:
    """Give the tables out of topics as they go on behind where they were read to."""
    return [
        FollowedTable(plan.tables[name], order.tables[name], offsets, replace(pseudonyms))
        for name, offsets in order.ends.items()
    ]


def layout_of(plan: Plan, order: Order) -> Layout:
    """Say where each stage runs."""
    return lay_out(plan, order.partitions, order.shards)


@dataclass(slots=True)
class Factory:
    """Makes tasks. `watch` is told of each step: stage, rows, seconds."""

    order: Order
    layout: Layout
    tables: Mapping[str, pl.DataFrame]
    pseudonyms: Pseudonyms
    watch: Any = None
    streams: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Find streams by their topics."""
        self.streams = {topic: stream for stream, topic in self.order.topics.items()}

    def make(self, tp: Any) -> Task:  # noqa: ANN401  # Faust's TP
        """Make the task of a partition."""
        if tp.topic == exchange_of(self.order.group):
            return self.shard(tp.partition)
        return self.source(self.streams[tp.topic], tp.partition)

    def source(self, stream: str, partition: int) -> SourceTask:
        """Make the task of a partition of a stream."""
        layout = self.layout
        plan = layout.plan.streams[stream]
        spec = ingest_spec(plan, plan.format, partition)
        name = sender_of(stream, partition)
        hosted = Hosted(layout.direct[stream], layout.near, self.tables, watch=self.watch)
        return SourceTask(
            name,
            layout,
            hosted,
            Outgoing(name, layout),
            stream=plan,
            ingest=Ingest(spec, replace(self.pseudonyms), partial(_look_up, self.tables, layout.plan)),
            until=self.order.until,
        )

    def shard(self, number: int) -> ShardTask:
        """Make the task of a shard."""
        layout = self.layout
        name = sender_of(SHARD, number)
        hosted = Hosted(layout.sharded, layout.near, self.tables, number, layout.shards, watch=self.watch)
        upstreams = Upstreams(layout.senders, layout.plan.version, layout.shards)
        return ShardTask(name, layout, hosted, Outgoing(name, layout), upstreams=upstreams, until=self.order.until)


def _look_up(
    tables: Mapping[str, pl.DataFrame], plan: Plan, rows: pl.DataFrame, lookups: Sequence[Lookup]
) -> pl.DataFrame:
    return look_up(rows, lookups, tables, {name: table.key for name, table in plan.tables.items()})


def deliveries(plan: Plan, sinks: Sequence[str], metrics: Metrics) -> list[tuple[Delivery, Where | None]]:
    """Make the sinks: those of the URIs, or else those of the topology."""
    names = list(sinks) or [sink.name for sink in plan.sinks]
    if len(set(names)) < len(names):
        raise SinkError(f"one sink is given twice: {', '.join(names)}")
    if sinks:
        return [(Delivery(uri, open_sink(uri), metrics=metrics), None) for uri in sinks]
    return [
        (
            Delivery(
                sink.name,
                make_sink(sink.kind, sink.target),
                at_most=None if sink.at_most is None else AtMost(sink.name, sink.at_most),
                metrics=metrics,
            ),
            None if sink.where is None else Where(sink.where),
        )
        for sink in plan.sinks
    ]
