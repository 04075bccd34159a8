"""A job is made, and handed over to a cluster or to a mini-cluster of this process."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sinks.contract import HERE
from streams.flink.alert_topics import alert_topics
from streams.flink.client_settings import java_settings
from streams.flink.jars import jars
from streams.flink.order import Order, rows_of
from streams.flink.preflight import JARS, NEEDED
from streams.flink.preparing import prepare
from streams.flink.probe import probe
from streams.flink.remote import FOLDER, SAVEPOINTS, job_name
from streams.flink.spreading import spread
from streams.flink.state_folder import CHECKPOINTS, latest, path_of
from streams.tasks import running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sinks.kafka import KafkaSink

WORKERS_APART = "_python_worker_execution_mode"
"""Without it PyFlink runs all Python of a local job in this one process."""
THREADS = "POLARS_MAX_THREADS"
JVM_ARGS = "JVM_ARGS"
"""Options of the JVM that PyFlink starts for this process, and a mini-cluster in it."""
COLLECTOR = "-XX:+UseParallelGC"
"""No pauses are to be short here: the default one takes cores from whatever else there is."""
EARLY_BUNDLE_MS, BUNDLE_MS = 50, 200
"""How long PyFlink gathers what goes to Python; before a checkpoint it waits for nothing."""
EARLY_BUFFER_MS, BUFFER_MS = 10, 100
"""How long Flink's network gathers packs and packets."""
BUNDLE_ELEMENTS = 200_000
"""Most packs and packets that PyFlink takes before it waits for all that they give: time ends a bundle before."""


@dataclass(slots=True)
class Run(running.Run):
    """What to run.

    `shards`: None for as many as the topics have partitions at most, and no fewer than the parallelism. `settings`:
    further ones of Flink. `cluster`: HOST:PORT of a job manager's REST; "" for a mini-cluster. `origin`: the checkpoint
    or savepoint to go on from, a path or URI; None for the last one in the folder. `given`: the settings of the Flink
    that has started this process, which count before ours; None where nobody but us did.
    """

    parallelism: int = 2
    checkpoint_seconds: float = 2.0
    cluster: str = ""
    origin: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    given: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The name of the job."""
        return job_name(self.plan.name, self.group)


class Submitted(NamedTuple):
    """A job that was handed over: its id, what its functions are told, PyFlink's client of it."""

    job: str
    order: Order
    client: Any


def submit(run: Run) -> Submitted:
    """Prepare a job and hand it over; nobody waits for it. The caller holds the state folder (`state_folder.held`).

    Raises:
        SourceError: no broker, no such topic, no Java, no jar, or something that this runtime does not do yet.
        SinkError: a sink cannot be written to.
        StateError: the job cannot go on from its state.
    """
    return hand_over(run, prepare(run))


def hand_over(run: Run, order: Order) -> Submitted:
    """Make the job of an order, and hand it over."""
    os.environ.setdefault(WORKERS_APART, "process")
    os.environ.setdefault(THREADS, str(max(1, (os.cpu_count() or 1) // run.parallelism)))  # of a mini-cluster's tasks
    os.environ.setdefault(JVM_ARGS, COLLECTOR)
    from streams.flink.environment import make_environment  # noqa: PLC0415  # PyFlink reads the variable as it is loaded
    from streams.flink.job import Job, group_of  # noqa: PLC0415

    alerts, settings = alert_topics(order, _limit), java_settings(order.servers)
    if run.cluster:
        probe(run.cluster, run.settings)
    env = make_environment(_settings(run, order.groups), run.cluster, run.given)
    told = replace(order, keys=spread(rows_of(order.layout), group_of(order.groups), order.groups))
    Job(told, alerts, settings).build(env)
    env.get_config().set_global_job_parameters({FOLDER: run.folder.absolute().as_uri()})
    submitted = env.execute_async(run.name)
    return Submitted(str(submitted.get_job_id()), told, submitted)


def _limit(sink: KafkaSink) -> int:
    """Look at the topic of a sink; give the bytes of its largest message."""
    with closing(sink):
        sink.open(HERE)
        return sink.limit


def _state_before(run: Run) -> str | None:
    """Give the URI of the state that the job goes on from."""
    if run.origin is None:
        state = latest(run.folder.absolute())
        return None if state is None else state.as_uri()
    state = path_of(run.origin)
    return run.origin if state is None else state.as_uri()


def _settings(run: Run, groups: int) -> dict[str, str]:
    folder = run.folder.absolute()
    before = _state_before(run)
    resumed = {} if before is None else {"execution.state-recovery.path": before}
    others = run.settings.get(JARS)
    return {
        "pipeline.max-parallelism": str(groups),
        "pipeline.object-reuse": "true",
        "parallelism.default": str(run.parallelism),
        "pipeline.auto-generate-uids": "false",
        "execution.state-recovery.ignore-unclaimed-state": "true",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.fn-execution.bundle.time": str(EARLY_BUNDLE_MS if run.early else BUNDLE_MS),
        "execution.buffer-timeout.interval": f"{EARLY_BUFFER_MS if run.early else BUFFER_MS} ms",
        "python.fn-execution.bundle.size": str(BUNDLE_ELEMENTS),
        "execution.checkpointing.interval": f"{round(run.checkpoint_seconds * 1000)} ms",
        "execution.checkpointing.dir": (folder / CHECKPOINTS).as_uri(),
        "execution.checkpointing.savepoint-dir": (folder / SAVEPOINTS).as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "30 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": "10",
        **NEEDED,
        **resumed,
        **run.settings,
        JARS: ";".join([*(jar.as_uri() for jar in jars()), *([others] if others else [])]),
    }
