"""Puts a worker together: plan, tables, tasks, sinks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from operators.lookups import merge_versions
from sinks.contract import HERE
from sinks.delivery import Delivery, Progress
from streams.chosen_sinks import choose_sinks
from streams.dead_letters import DEAD
from streams.faust.hosted import Hosted
from streams.faust.layout import SHARD, Layout, lay_out, needed, sender_of, streams_of
from streams.faust.outgoing import Outgoing
from streams.faust.shard_task import ShardTask
from streams.faust.source_task import SourceTask
from streams.faust.topics import exchange_of
from streams.faust.upstreams import Upstreams
from streams.ingest.stage import Ingest
from streams.kafka.tables import require_topic
from streams.local.dataflow import BEGINNING, empty_table
from streams.local.feed import ingest_spec
from streams.local.live import require_format
from streams.needs import checked_tables, look_up_in
from streams.tables import read_table
from tocsin.errors import SourceError
from tocsin.kafka import SCHEME
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitoring.metrics import Metrics
    from sinks.where import Where
    from streams.faust.order import Order
    from streams.faust.task import Task
    from streams.pseudonyms import Pseudonyms
    from tocsin.compiler import Plan


def refuse_what_is_missing(plan: Plan) -> None:
    """Raise SourceError for what this runtime does not carry out yet."""
    stages = needed(plan)
    if any(item.upstream == QUALITY for stage in stages for item in stage.inputs):
        raise SourceError(f"{plan.name} judges the built-in stream quality: the runtime faust does not count it yet")
    for name in sorted(streams_of(plan)):
        require_format(plan.streams[name])


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
    return checked_tables(plan, streams_of(plan)) | {name for stage in needed(plan) for name in stage.tables}


class Loaded(NamedTuple):
    """What was read of tables: versions by name, dead letters by DEAD, and where those out of topics go on."""

    tables: dict[str, pl.DataFrame]
    dead: pl.DataFrame
    ends: Mapping[str, Mapping[int, int]]


def load_tables(plan: Plan, order: Order, pseudonyms: Pseudonyms) -> Loaded:
    """Read all tables that are needed, every worker all of them."""
    names = sorted(_looked_up(plan))
    read = {
        name: read_table(plan.tables[name], order.tables.get(name), order.topology.parent, pseudonyms) for name in names
    }
    tables = {
        name: merge_versions(empty_table(plan, name), one.versions, plan.tables[name].key, BEGINNING)
        for name, one in read.items()
    }
    dead = pl.concat([pl.DataFrame(schema=dict(DEAD)), *(one.dead for one in read.values())])
    return Loaded(tables, dead, {name: one.ends for name, one in read.items() if one.ends})


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
            ingest=Ingest(spec, replace(self.pseudonyms), look_up_in(layout.plan, self.tables)),
            until=self.order.until,
        )

    def shard(self, number: int) -> ShardTask:
        """Make the task of a shard."""
        layout = self.layout
        name = sender_of(SHARD, number)
        hosted = Hosted(layout.sharded, layout.near, self.tables, number, layout.shards, watch=self.watch)
        upstreams = Upstreams(layout.senders, layout.plan.version, layout.shards)
        return ShardTask(name, layout, hosted, Outgoing(name, layout), upstreams=upstreams, until=self.order.until)


def deliveries(plan: Plan, sinks: Sequence[str], metrics: Metrics) -> list[tuple[Delivery, Where | None]]:
    """Make the sinks: those of the URIs, or else those of the topology. What they have to look at tasks tell them."""
    begin = Progress(bookmark=HERE)
    return [
        (Delivery(one.name, one.sink, at_most=one.at_most, progress=begin, metrics=metrics), one.where)
        for one in choose_sinks(plan, sinks)
    ]
