"""What is looked at before a job is made: topics and tables, sinks, how the state is cut."""

from __future__ import annotations

import uuid
from contextlib import closing
from time import time
from typing import TYPE_CHECKING

from streams.chosen_sinks import is_written_by_one, sink_uris
from streams.dead_letters import DeadLetterStore
from streams.flink.order import Order
from streams.flink.preflight import look
from streams.flink.state_folder import Cut, known, note
from streams.flink.words import SETTINGS as WORDS_SETTINGS
from streams.flink.words import words_of
from streams.kafka.cluster import Cluster
from streams.kafka.dead_letters import DeadLettersByStream
from streams.kafka.topic_changes import Change, Step
from streams.local.running import warn_of_missing_key
from streams.pseudonyms import load_pseudonyms
from streams.tasks.inputs import load_tables, require_formats, tables_of, topics_of, uris_of
from tocsin.errors import SinkError, SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.flink.submitting import Run

RUNTIME = "flink"
DEAD = "dead"


def prepare(run: Run) -> Order:
    """Look at this machine, the cluster, topics and tables, and say what the job is told."""
    if run.given is None:
        look(run.cluster, run.name, run.parallelism, run.settings, run.warn)
    plan, pseudonyms = run.plan, load_pseudonyms()
    require_formats(plan)
    servers, topics = topics_of(plan, run.sources, RUNTIME)
    uris = tables_of(plan, run.sources, servers)
    warn_of_missing_key(plan, pseudonyms, run.warn)
    partitions = _partitions(servers, topics, words_of(run.group))
    shards = run.shards or _shards(run, partitions)
    note(run.folder, Cut(shards, partitions))
    _refuse_sinks(run)
    loaded = load_tables(plan, uris, run.topology.parent, pseudonyms)
    letters = run.folder.absolute() / DEAD
    with closing(DeadLettersByStream.of(uris_of(servers, topics), DeadLetterStore(letters), run.warn)) as aside:
        aside.put(loaded.dead, round(time() * 1000))
    return Order(
        plan,
        run=uuid.uuid4().hex[:12],
        group=run.group,
        servers=servers,
        topics=topics,
        partitions=partitions,
        shards=shards,
        letters=letters,
        fingerprint=pseudonyms.fingerprint,
        tables={name: rows for name, rows in loaded.tables.items() if name not in loaded.ends},
        followed={name: uris[name] for name in loaded.ends},
        sinks=tuple(run.sinks),
        until=run.until,
        early=run.early,
    )


def _shards(run: Run, partitions: Mapping[str, int]) -> int:
    """Give the number of shards: that of the state, if there is one; no parallelism changes it."""
    before = known(run.folder)
    return max(run.parallelism, *partitions.values()) if before is None else before.shards


def _refuse_sinks(run: Run) -> None:
    """Raise SinkError for sinks that cannot be where a job's tasks are."""
    for uri in sink_uris(run.plan, run.sinks):
        if uri.partition(":")[0] == "console":
            raise SinkError("the console is not where the tasks of a Flink job run: say another --sink")
        if run.early and is_written_by_one(uri):
            raise SinkError(
                f"--early copies come from several processes, and the sink {uri} is written to by one: take "
                "kafka://HOST/TOPIC or a server"
            )


def _partitions(servers: str, topics: Mapping[str, str], words: str) -> dict[str, int]:
    """Count the partitions of streams; make the topic of words where there is none."""
    cluster = Cluster(servers)
    names = cluster.names()
    missing = sorted(topic for topic in topics.values() if topic not in names)
    if missing:
        raise SourceError(
            f"{servers} has no topic {', '.join(missing)}: make it, for instance with `tocsin topics apply`"
        )
    if words not in names:
        cluster.carry_out(Change(Step.CREATE, words, partitions=1, settings=WORDS_SETTINGS))
        cluster.await_names([words], [])
    return {stream: names[topic] for stream, topic in topics.items()}
