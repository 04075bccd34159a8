"""Puts a run together: which sources the wanted stages need, tables first, then feeds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from streams.dead_letters import NO_LETTERS
from streams.ingest.stage import Ingest
from streams.local.dataflow import Dataflow, empty_table
from streams.local.feed import ALL, Feed, Span, ingest_spec, open_feed
from streams.local.inputs import Inputs
from streams.local.live_steps import LiveSteps
from streams.needs import checked_tables, look_up_in, refuse_unknown
from streams.tables import read_table
from tocsin.errors import SourceError
from tocsin.kafka import SCHEME as KAFKA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from streams.kafka.tables import FollowedTable
    from streams.local.live import Partition, Topic
    from streams.pseudonyms import Pseudonyms
    from tocsin.compiler import Plan, StreamPlan


def make_flow(plan: Plan, wanted: Iterable[str] | None = None, *, buckets: int = 1) -> Dataflow:
    """Make the dataflow of a plan."""
    return Dataflow(plan, buckets=buckets, wanted=wanted)


class Loaded(NamedTuple):
    """What was read of tables beside their rows.

    `dead`: letters by DEAD. `ends`: of those out of topics, by name, the offset of the next record by partition.
    """

    dead: pl.DataFrame
    ends: Mapping[str, Mapping[int, int]]


def load_tables(flow: Dataflow, sources: Mapping[str, str], folder: Path, pseudonyms: Pseudonyms) -> Loaded:
    """Read all tables that are needed into the dataflow.

    `sources`: NAME to URI; a `file` table is read beside the topology, in `folder`. A `topic` table without a source is
    empty.
    """
    plan = flow.plan
    refuse_unknown(plan, sources)
    dead = [NO_LETTERS]
    ends: dict[str, Mapping[int, int]] = {}
    for name in sorted(flow.table_names | checked_tables(plan, flow.streams)):
        read = read_table(plan.tables[name], sources.get(name), folder, pseudonyms)
        flow.change_table(name, read.versions if read.versions.height else empty_table(plan, name))
        dead.append(read.dead)
        if read.ends:
            ends[name] = read.ends
    return Loaded(pl.concat(dead), ends)


def follow_tables(
    plan: Plan, sources: Mapping[str, str], ends: Mapping[str, Mapping[int, int]], pseudonyms: Pseudonyms
) -> list[FollowedTable]:
    """Give the tables out of topics as they go on behind `ends`, for a run that does so, too."""
    if not ends:
        return []
    from streams.kafka.tables import FollowedTable  # noqa: PLC0415  # needs the extra `kafka`

    return [FollowedTable(plan.tables[name], sources[name], offsets, pseudonyms) for name, offsets in ends.items()]


def open_inputs(flow: Dataflow, sources: Mapping[str, str], pseudonyms: Pseudonyms, *, span: Span = ALL) -> Inputs:
    """Open the streams that are needed; SourceError names those without a source."""
    missing = sorted(flow.streams - set(sources))
    if missing:
        needed = " ".join(f"--source {name}=…" for name in missing)
        raise SourceError(f"no source for {', '.join(missing)}: add {needed}")
    find, reader = look_up_in(flow.plan, flow.tables), ThreadPoolExecutor(1, "tocsin-read")
    feeds: dict[str, Feed] = {}
    topics: list[Topic] = []
    bell = Event()
    for name in sorted(flow.streams):
        stream, uri = flow.plan.streams[name], sources[name]
        if not uri.startswith(f"{KAFKA}:"):
            feeds[name] = open_feed(stream, uri, pseudonyms, find, span, reader)
            continue
        from streams.local.live import LIVE_FORMAT, open_topic  # noqa: PLC0415  # needs the extra `kafka`

        ingest = Ingest(ingest_spec(stream, LIVE_FORMAT), pseudonyms, find)
        topic = open_topic(flow.plan, stream, uri, partial(_live_feed, stream, ingest, span), bell)
        topics.append(topic)
        feeds |= topic.open()
    return Inputs(feeds, topics, bell)


def _live_feed(stream: StreamPlan, ingest: Ingest, span: Span, source: Partition, origin: str) -> Feed:
    """Make the feed of a partition that goes on; all of a stream are taken in by one stage."""
    return Feed(stream, source, ingest, origin, span, live=LiveSteps(source, stream.idle))


def first_needed(plan: Plan, start: int | None) -> int | None:
    """Give the time before which no row matters for `--from` (semantics 26)."""
    return None if start is None else start - max(plan.memory.values(), default=0)
