"""Makes the tasks of a layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from streams.ingest.stage import Ingest
from streams.local.feed import ingest_spec
from streams.needs import look_up_in
from streams.tasks.hosted import Hosted
from streams.tasks.layout import SHARD, sender_of
from streams.tasks.outgoing import Outgoing
from streams.tasks.shard_task import ShardTask
from streams.tasks.source_task import SourceTask
from streams.tasks.upstreams import Upstreams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from streams.pseudonyms import Pseudonyms
    from streams.tasks.layout import Layout


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes tasks without any record. `watch`: told of each step: stage, rows, seconds. `until`: ms, None for never."""

    layout: Layout
    tables: Mapping[str, pl.DataFrame]
    pseudonyms: Pseudonyms
    until: int | None = None
    watch: Callable[[str, int, float], None] | None = None

    def source(self, stream: str, partition: int) -> SourceTask:
        """Make the task of a partition of a stream."""
        layout, plan = self.layout, self.layout.plan.streams[stream]
        name = sender_of(stream, partition)
        return SourceTask(
            name,
            layout,
            Hosted(layout.direct[stream], layout.near, self.tables, watch=self.watch),
            Outgoing(name, layout),
            stream=plan,
            ingest=self.ingest(stream, partition),
            until=self.until,
        )

    def ingest(self, stream: str, partition: int = 0) -> Ingest:
        """Make the ingest stage of a stream, for one thread at a time."""
        plan = self.layout.plan
        spec = ingest_spec(plan.streams[stream], plan.streams[stream].format, partition)
        return Ingest(spec, replace(self.pseudonyms), look_up_in(plan, self.tables))

    def shard(self, slot: int) -> ShardTask:
        """Make the task of a shard."""
        layout = self.layout
        layer, bucket = divmod(slot, layout.shards)
        name = sender_of(SHARD, slot)
        return ShardTask(
            name,
            layout,
            Hosted(
                layout.layers[layer],
                layout.near,
                self.tables,
                bucket,
                layout.shards,
                clocked=layout.clocked,
                watch=self.watch,
            ),
            Outgoing(name, layout),
            upstreams=Upstreams(
                layout.senders(layer), None if layout.holder.changes else layout.plan.version, layout.shards
            ),
            until=self.until,
        )
