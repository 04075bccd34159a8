"""What is looked at before a job is made: topics and tables, sinks, how the state is cut."""

from __future__ import annotations

import uuid
from contextlib import closing
from time import time
from typing import TYPE_CHECKING

from streams.chosen_sinks import is_written_by_one, sink_uris
from streams.dead_letters import DeadLetterStore
from streams.flink.order import RUNTIME, STATE, Order, layout_of, rows_of, shards_for
from streams.flink.preflight import look
from streams.flink.spreading import groups_for
from streams.flink.state_folder import NOTE, Note, known, latest, note_in, path_of, write_note
from streams.flink.words import SETTINGS as WORDS_SETTINGS
from streams.flink.words import words_of
from streams.kafka.cluster import Cluster
from streams.kafka.dead_letters import DeadLettersByStream
from streams.kafka.topic_changes import Change, Step
from streams.local.running import warn_of_missing_key
from streams.pseudonyms import load_pseudonyms
from streams.tasks.changes import told
from streams.tasks.inputs import load_tables, require_formats, tables_of, topics_of, uris_of
from tocsin.errors import SinkError, SourceError, StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.flink.submitting import Run

DEAD = "dead"


def prepare(run: Run) -> Order:
    """Look at this machine, the cluster, topics and tables, and say what the job is told."""
    if run.given is None:
        look(run.cluster, run.name, run.parallelism, run.settings, run.warn)
    plan, pseudonyms = run.plan, load_pseudonyms()
    servers, now = judge(run)
    topics, partitions = now.topics, now.partitions
    uris = tables_of(plan, run.sources, servers)
    warn_of_missing_key(plan, pseudonyms, run.warn)
    loaded = load_tables(plan, uris, run.topology.parent, pseudonyms)
    letters = run.folder.absolute() / DEAD
    with closing(DeadLettersByStream.of(uris_of(servers, topics), DeadLetterStore(letters), run.warn)) as aside:
        aside.put(loaded.dead, round(time() * 1000))
    write_note(run.folder, now)
    return Order(
        plan,
        run=uuid.uuid4().hex[:12],
        group=run.group,
        servers=servers,
        topics=topics,
        partitions=partitions,
        shards=now.shards,
        groups=now.groups,
        letters=letters,
        fingerprint=pseudonyms.fingerprint,
        tables={name: rows for name, rows in loaded.tables.items() if name not in loaded.ends},
        followed={name: uris[name] for name in loaded.ends},
        sinks=tuple(run.sinks),
        until=run.until,
        early=run.early,
    )


def judge(run: Run) -> tuple[str, Note]:
    """Give the broker, and what the state is of from now on.

    Raises:
        SourceError: no broker, or no such topic.
        SinkError: a sink cannot be where a job's tasks are.
        StateError: the state cannot go on as that of this run.
    """
    require_formats(run.plan)
    servers, topics = topics_of(run.plan, run.sources, RUNTIME)
    _refuse_sinks(run)
    return servers, _note(run, topics, _partitions(servers, topics, words_of(run.group)))


def _note(run: Run, topics: Mapping[str, str], partitions: dict[str, int]) -> Note:
    """Say what the state is of from now on; StateError if it cannot go on as that.

    No parallelism changes the number of shards of a state.
    """
    before = _known_before(run)
    shards = run.shards or (shards_for(run.parallelism, partitions) if before is None else before.shards)
    layout = layout_of(run.plan, partitions, shards)
    needed = groups_for(max(map(len, rows_of(layout).values())))
    groups = needed if before is None else before.groups
    if needed > groups:
        raise StateError(
            f"the state in {run.folder} has {groups} key groups, too few for as many partitions: take another --state"
        )
    sinks = sink_uris(run.plan, run.sinks)
    now = Note(run.plan.name, dict(topics), partitions, shards, groups, layout.placed, sinks)
    if before is not None:
        before.refuse(now, STATE)
        for sentence in told(before.stages, now.stages):
            run.warn(sentence)
    return now


def _known_before(run: Run) -> Note | None:
    """Give what is known of the state that the job goes on from; None if there is none."""
    if run.origin is None:
        state = latest(run.folder.absolute())
        found = None if state is None else known(state)
        if state is not None and found is None:
            raise StateError(f"{run.folder} has a state, and no {NOTE} that says what of: take another --state")
        return found
    state = path_of(run.origin)
    found = None if state is None else known(state)
    return note_in(run.folder) if found is None else found


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
