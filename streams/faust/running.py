"""One `tocsin run --runtime faust`: what a command line or a test has to say, and no more."""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.chosen_sinks import is_written_by_one, sink_uris
from streams.faust.order import Order
from streams.faust.supervisor import Supervisor
from streams.faust.topics import exchange_of, existing, make_own, partitions_of
from streams.local.running import warn_of_missing_key
from streams.pseudonyms import load_pseudonyms
from streams.tasks import running
from streams.tasks.inputs import require_formats, tables_of, topics_of
from streams.tasks.layout import lay_out
from tocsin.errors import SinkError, StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNTIME = "faust"
FIRST_PORT = 6066
"""Where the web of the first worker listens if it can, as Faust's always does."""


@dataclass(slots=True)
class Run(running.Run):
    """What to run.

    `shards`: None for as many as the topics have partitions at most. `web`: whether workers serve Faust's web, on the
    first free ports from `web_port` on.
    `command`: starts a worker.
    """

    workers: int = 1
    commit_seconds: float = 1.0
    web: bool = True
    web_host: str = "127.0.0.1"
    web_port: int = FIRST_PORT
    settings: dict[str, float | int | str | bool] = field(default_factory=dict)
    command: Sequence[str] = (sys.executable, "-m", "streams.faust.worker")


def carry_out(run: Run) -> bool:
    """Run until told to stop, or until all workers are through `until`; whether it was the latter.

    Raises:
        SourceError: no broker, no such topic, or something that this runtime does not do yet.
        SinkError: several workers cannot write to a sink.
        StateError: a worker cannot go on.
    """
    order = asyncio.run(prepare(run))
    return Supervisor(order, run.workers, run.stop, run.warn, run.command).run()


async def prepare(run: Run) -> Order:
    """Look at the topics, make those of the group, and say what workers are told."""
    require_formats(run.plan)
    _refuse_sinks(run)
    servers, topics = topics_of(run.plan, run.sources, RUNTIME)
    tables = tables_of(run.plan, run.sources, servers)
    warn_of_missing_key(run.plan, load_pseudonyms(), run.warn)
    found = await partitions_of(servers, topics.values())
    partitions = {stream: found[topic] for stream, topic in topics.items()}
    shards = await _shards(run, servers, max(partitions.values()))
    own = {topic: found[topic] for topic in topics.values()}
    await make_own(servers, run.group, own, shards if lay_out(run.plan, partitions, shards).layers else 0)
    return Order(
        topology=run.topology.absolute(),
        group=run.group,
        servers=servers,
        topics=topics,
        partitions=partitions,
        shards=shards,
        folder=run.folder.absolute(),
        tables=tables,
        sinks=list(run.sinks),
        until=run.until,
        early=run.early,
        commit_seconds=run.commit_seconds,
        web_host=run.web_host,
        web_ports=_free_ports(run.web_host, run.web_port, run.workers) if run.web else [],
        settings=run.settings,
    )


async def _shards(run: Run, servers: str, partitions: int) -> int:
    """Give the number of shards: that of the group's exchange, if there is one already."""
    known = await existing(servers, exchange_of(run.group))
    if known is not None and run.shards not in {None, known}:
        raise StateError(
            f"the group {run.group} has its keys in {known} shards, not in {run.shards}: run with --buckets {known}, "
            "or take another --group"
        )
    return known or run.shards or partitions


def _refuse_sinks(run: Run) -> None:
    """Raise SinkError for a sink that one process alone can write to, where there are several workers."""
    for uri in sink_uris(run.plan, run.sinks):
        if run.workers > 1 and is_written_by_one(uri):
            raise SinkError(
                f"the sink {uri} is written to by one process, and there are {run.workers} workers: take "
                "kafka://HOST/TOPIC or a server, or --workers 1"
            )


def _free_ports(host: str, port: int, number: int) -> list[int]:
    """Find ports on which nobody listens, from one on."""
    found: list[int] = []
    while len(found) < number:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                pass
            else:
                found.append(port)
        port += 1
    return found
