"""One `tocsin run --runtime flink`: a job on a mini-cluster of its own, or on a cluster that is there."""

from __future__ import annotations

import os
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass, field, replace
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any

from sinks.contract import HERE
from sinks.kafka import KafkaSink
from streams.chosen_sinks import choose_sinks, is_written_by_one, sink_uris
from streams.dead_letters import DeadLetterStore
from streams.flink.client_settings import java_settings
from streams.flink.jars import connector
from streams.flink.order import AlertTopic, Order, layout_of
from streams.flink.spreading import groups_for, spread
from streams.flink.state_folder import CHECKPOINTS, SAVEPOINTS, Cut, held, known, latest, note
from streams.flink.words import SETTINGS as WORDS_SETTINGS
from streams.flink.words import Listener, words_of
from streams.kafka.cluster import Cluster
from streams.kafka.dead_letters import DeadLettersByStream
from streams.kafka.topic_changes import Change, Step
from streams.local.runner import never, silent
from streams.local.running import warn_of_missing_key
from streams.pseudonyms import load_pseudonyms
from streams.tasks.inputs import load_tables, refuse_what_is_missing, tables_of, topics_of, uris_of
from tocsin import errors
from tocsin.errors import SinkError, SourceError, StateError, TocsinError
from tocsin.kafka import SCHEME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from streams.flink.words import Word
    from tocsin.compiler import Plan

RUNTIME = "flink"
LISTEN_SECONDS = 0.2
STOP_SECONDS = 60.0
DEAD = "dead"
WORKERS_APART = "_python_worker_execution_mode"
"""Without it PyFlink runs all Python of a local job in this one process."""


@dataclass(slots=True)
class Run:
    """What to run.

    `sources`: a stream as `kafka://HOST/TOPIC` instead of its topic, a table as any URI instead of its own. `shards`:
    into how many parts keys are spread; None: as many as the topics have partitions at most, and no fewer than the
    parallelism. `settings`: further ones of Flink. `cluster`: HOST:PORT of a job manager's REST; "" for a mini-cluster.
    """

    plan: Plan
    topology: Path
    folder: Path
    sources: Mapping[str, str] = field(default_factory=dict)
    sinks: Sequence[str] = ()
    group: str = ""
    parallelism: int = 2
    shards: int | None = None
    until: int | None = None
    early: bool = False
    checkpoint_seconds: float = 2.0
    bundle_ms: int = 100
    cluster: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    stop: Callable[[], bool] = never
    warn: Callable[[str], None] = silent


def carry_out(run: Run) -> bool:
    """Run until told to stop, or until all tasks are through `until`; whether it was the latter.

    Raises:
        SourceError: no broker, no such topic, no Java, no jar, or something that this runtime does not do yet.
        SinkError: a sink cannot be written to.
        StateError: the job cannot go on from its state.
    """
    with held(run.folder):
        order = prepare(run)
        with closing(Listener(order.servers, words_of(order.group), order.run)) as listener:
            return _Watch(run, order, _submit(run, order), listener).watch()


def prepare(run: Run) -> Order:
    """Look at topics and tables, and say what the job is told."""
    plan, pseudonyms = run.plan, load_pseudonyms()
    refuse_what_is_missing(plan, RUNTIME)
    servers, topics = topics_of(plan, run.sources, RUNTIME)
    uris = tables_of(plan, run.sources, servers)
    for name, uri in uris.items():
        if uri.startswith(f"{SCHEME}:"):
            raise SourceError(f"the table {name} is a topic: the runtime flink reads tables from files only yet")
    warn_of_missing_key(plan, pseudonyms, run.warn)
    group = run.group or f"tocsin-{plan.name}"
    partitions = _partitions(servers, topics, words_of(group))
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
        group=group,
        servers=servers,
        topics=topics,
        partitions=partitions,
        shards=shards,
        letters=letters,
        fingerprint=pseudonyms.fingerprint,
        tables=loaded.tables,
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


def _alert_topics(order: Order) -> dict[int, AlertTopic]:
    """Look at the topics that Flink writes in its transactions; a limited sink is served as any other."""
    found = {}
    for number, one in enumerate(choose_sinks(order.plan, order.sinks)):
        if isinstance(one.sink, KafkaSink) and one.at_most is None:
            one.sink.open(HERE)
            found[number] = AlertTopic(one.sink.address.servers, one.sink.address.topic, one.sink.limit)
            one.sink.close()
    return found


def _submit(run: Run, order: Order) -> Any:  # noqa: ANN401  # PyFlink's client
    """Submit the job; give its client."""
    os.environ.setdefault(WORKERS_APART, "process")
    from streams.flink.environment import make_environment, refuse_twin  # noqa: PLC0415  # PyFlink reads the variable as it is loaded
    from streams.flink.job import Job, group_of  # noqa: PLC0415

    tasks = sorted(layout_of(order.plan, order.partitions, order.shards).tasks)
    groups = groups_for(len(tasks))
    alerts, client = _alert_topics(order), java_settings(order.servers)
    env, tables = make_environment(_settings(run, groups), run.cluster)
    told = replace(order, keys=spread(tasks, group_of(groups), groups))
    Job(told, tables, alerts, client).build(env)
    name = f"tocsin {order.plan.name} ({order.group})"
    if run.cluster:
        refuse_twin(run.cluster, name)
    return env.execute_async(name)


def _settings(run: Run, groups: int) -> dict[str, str]:
    folder = run.folder.absolute()
    before = latest(folder)
    resumed = {} if before is None else {"execution.state-recovery.path": before.as_uri()}
    return {
        "pipeline.jars": connector().as_uri(),
        "pipeline.max-parallelism": str(groups),
        "pipeline.object-reuse": "true",
        "parallelism.default": str(run.parallelism),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.fn-execution.bundle.time": str(run.bundle_ms),
        "table.local-time-zone": "UTC",
        "execution.checkpointing.interval": f"{round(run.checkpoint_seconds * 1000)} ms",
        "execution.checkpointing.dir": (folder / CHECKPOINTS).as_uri(),
        "execution.checkpointing.savepoint-dir": (folder / SAVEPOINTS).as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "30 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": "10",
        **resumed,
        **run.settings,
    }


@dataclass(slots=True)
class _Watch:
    """Watches over a job that was submitted."""

    run: Run
    order: Order
    client: Any
    listener: Listener

    def watch(self) -> bool:
        """Wait for the end of the run, stop the job with a savepoint; whether all tasks are through."""
        waiting = set(self.order.layout.tasks)
        attempt = 0
        while waiting and not self.run.stop():
            for word in self.listener.hear(LISTEN_SECONDS):
                self._refuse(word)
                if word.attempt > attempt:  # the job was restarted: what was heard before may not be so any more
                    attempt, waiting = word.attempt, set(self.order.layout.tasks)
                waiting.discard(word.through)
            self._refuse_ended()
        self._stop()
        return not waiting

    def _stop(self) -> None:
        """Stop with a savepoint, with which the last alerts are committed; again where the job is just restarting."""
        from streams.flink.environment import stop_with_savepoint  # noqa: PLC0415  # as above

        folder = self.run.folder.absolute() / SAVEPOINTS
        until = monotonic() + STOP_SECONDS
        while (why := stop_with_savepoint(self.client, folder)) is not None:
            self._refuse_ended()
            if monotonic() > until:
                self.client.cancel().result()
                raise StateError(f"the job could not be stopped with a savepoint; the same command goes on: {why}")
            sleep(LISTEN_SECONDS)

    def _refuse(self, word: Word) -> None:
        if word.refused:
            self.client.cancel().result()
            raise getattr(errors, word.error, TocsinError)(word.refused)

    def _refuse_ended(self) -> None:
        from streams.flink.environment import ended  # noqa: PLC0415  # as above

        why = ended(self.client)
        if why is not None:
            raise SourceError(f"the Flink job {self.client.get_job_id()} has ended: {why}")
