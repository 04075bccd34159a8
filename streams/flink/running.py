"""One `tocsin run --runtime flink`: a job on a mini-cluster of its own, or on a cluster that is there."""

from __future__ import annotations

import os
import sys
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sinks.contract import HERE
from sinks.kafka import KafkaSink
from streams.chosen_sinks import choose_sinks
from streams.dead_letters import DeadLetterStore
from streams.flink.client_settings import java_settings
from streams.flink.jars import connector
from streams.flink.order import AlertTopic, Order, layout_of
from streams.flink.spreading import groups_for, spread
from streams.flink.state_folder import CHECKPOINTS, SAVEPOINTS, latest
from streams.flink.words import Listener, make_topic, words_of
from streams.kafka.cluster import Cluster
from streams.kafka.dead_letters import DeadLettersByStream
from streams.local.runner import never, silent
from streams.local.running import warn_of_missing_key
from streams.pseudonyms import load_pseudonyms
from streams.tasks.inputs import load_tables, refuse_what_is_missing, tables_of, topics_of
from tocsin import errors
from tocsin.errors import SourceError, TocsinError
from tocsin.kafka import SCHEME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from streams.flink.words import Word
    from tocsin.compiler import Plan

RUNTIME = "flink"
LISTEN_SECONDS = 0.2
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
    order = prepare(run)
    listener = Listener(order.servers, words_of(order.group), order.run)
    try:
        client = _submit(run, order)
        return _Watch(run, order, client, listener).watch()
    finally:
        listener.close()


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
    partitions = _partitions(servers, topics)
    shards = run.shards or max(run.parallelism, *partitions.values())
    group = run.group or f"tocsin-{plan.name}"
    make_topic(servers, words_of(group))
    loaded = load_tables(plan, uris, run.topology.parent, pseudonyms)
    letters = run.folder.absolute() / DEAD
    sources = {stream: f"{SCHEME}://{servers}/{topic}" for stream, topic in topics.items()}
    DeadLettersByStream.of(sources, DeadLetterStore(letters), run.warn).put(loaded.dead, 0)
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


def _partitions(servers: str, topics: Mapping[str, str]) -> dict[str, int]:
    names = Cluster(servers).names()
    missing = sorted(topic for topic in topics.values() if topic not in names)
    if missing:
        raise SourceError(
            f"{servers} has no topic {', '.join(missing)}: make it, for instance with `tocsin topics apply`"
        )
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
    from streams.flink.environment import make_environment  # noqa: PLC0415  # PyFlink reads the variable as it is loaded
    from streams.flink.job import Job, group_of  # noqa: PLC0415

    tasks = sorted(layout_of(order.plan, order.partitions, order.shards).tasks)
    groups = groups_for(len(tasks))
    alerts, client = _alert_topics(order), java_settings(order.servers)
    env, tables = make_environment(_settings(run, groups), run.cluster)
    told = replace(order, keys=spread(tasks, group_of(groups), groups))
    Job(told, tables, alerts, client).build(env)
    return env.execute_async(f"tocsin {order.plan.name}")


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
        while waiting and not self.run.stop():
            waiting -= self._through(self.listener.hear(LISTEN_SECONDS))
            self._refuse_ended()
        from streams.flink.environment import stop_with_savepoint  # noqa: PLC0415  # as above

        stop_with_savepoint(self.client, self.run.folder.absolute() / SAVEPOINTS)
        return not waiting

    def _through(self, words: Iterable[Word]) -> set[str]:
        found = set()
        for word in words:
            if word.refused:
                self.client.cancel().result()
                raise getattr(errors, word.error, TocsinError)(word.refused)
            found.add(word.through)
        return found

    def _refuse_ended(self) -> None:
        from streams.flink.environment import ended  # noqa: PLC0415  # as above

        why = ended(self.client)
        if why is not None:
            raise SourceError(f"the Flink job {self.client.get_job_id()} has ended: {why}")
