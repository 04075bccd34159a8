"""What hosts of several processes read: topics of streams, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.lookups import merge_versions
from streams.dead_letters import NO_LETTERS
from streams.kafka.tables import require_topic
from streams.local.dataflow import BEGINNING, empty_table
from streams.local.live import require_format
from streams.needs import checked_tables, refuse_unknown
from streams.tables import read_table
from streams.tasks.layout import needed, streams_of
from tocsin.errors import SourceError
from tocsin.kafka import SCHEME, client_settings, parse_address

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from streams.pseudonyms import Pseudonyms
    from tocsin.compiler import Plan


def require_formats(plan: Plan) -> None:
    """Raise SourceError if records of a stream that is read cannot be read from messages."""
    for name in sorted(streams_of(plan)):
        require_format(plan.streams[name])


class Topics(NamedTuple):
    """The servers, and the topic of each stream that is read."""

    servers: str
    by_stream: dict[str, str]


def group_of(plan: Plan) -> str:
    """Name what everything that a run has in Kafka begins with, where nobody did."""
    return f"tocsin-{plan.name}"


def uris_of(servers: str, topics: Mapping[str, str]) -> dict[str, str]:
    """Give the addresses of topics, by stream."""
    return {stream: f"{SCHEME}://{servers}/{topic}" for stream, topic in topics.items()}


def topics_of(plan: Plan, sources: Mapping[str, str], runtime: str) -> Topics:
    """Find the topics of streams; SourceError where a stream comes from elsewhere, or from another cluster."""
    refuse_unknown(plan, sources)
    servers: dict[str, str] = {}
    topics: dict[str, str] = {}
    for name in sorted(streams_of(plan)):
        uri = sources.get(name)
        if uri is not None and not uri.startswith(f"{SCHEME}:"):
            raise SourceError(
                f"the stream {name} comes from {uri}: the runtime {runtime} reads streams from Kafka only"
            )
        address = None if uri is None else parse_address(uri)
        topics[name] = plan.streams[name].topic if address is None else address.topic
        servers[_servers_of("" if address is None else address.servers, runtime)] = name
    if len(servers) > 1:
        raise SourceError(f"the streams lie on several clusters ({', '.join(servers)}): one group reads from one")
    doubled = [topic for topic in topics.values() if list(topics.values()).count(topic) > 1]
    if doubled:
        raise SourceError(f"two streams read the topic {doubled[0]}: the runtime {runtime} reads a topic as one stream")
    if not servers:
        raise SourceError(f"{plan.name} has no rule that reads a stream")
    return Topics(next(iter(servers)), topics)


def _servers_of(servers: str, runtime: str) -> str:
    """Give the servers: what was said, or else what the environment says."""
    found = client_settings(servers)["bootstrap.servers"]
    if not found:
        raise SourceError(
            f"the runtime {runtime} needs Kafka: say --source STREAM=kafka://HOST:PORT/TOPIC or set "
            "TOCSIN_KAFKA_BOOTSTRAP_SERVERS"
        )
    return found


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


def load_tables(
    plan: Plan, uris: Mapping[str, str], folder: Path, pseudonyms: Pseudonyms, *, only: Collection[str] | None = None
) -> Loaded:
    """Read the tables that are needed, or but `only` some of them.

    `uris`: instead of what the topology says, `folder`: where that lies.
    """
    names = sorted(_looked_up(plan) if only is None else only)
    read = {name: read_table(plan.tables[name], uris.get(name), folder, pseudonyms) for name in names}
    tables = {
        name: merge_versions(empty_table(plan, name), one.versions, plan.tables[name].key, BEGINNING)
        for name, one in read.items()
    }
    dead = pl.concat([NO_LETTERS, *(one.dead for one in read.values())])
    return Loaded(tables, dead, {name: one.ends for name, one in read.items() if one.ends})
