"""All that is known of a job, kept up to date by a thread: what its subtasks tell, and what Flink answers."""

from __future__ import annotations

import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Self

from monitoring import registry
from monitoring.health import SINKS, Health
from monitoring.metrics import MemoryMetrics
from streams.flink import rest
from streams.flink.job_figures import RUNNING, JobFigures
from streams.flink.reports import Reports
from streams.flink.words import Listener, words_of
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from monitoring.metrics import Labels
    from streams.flink.submitting import Run, Submitted

JOB = "job"
HERE = "127.0.0.1"
REST_PORT = "rest.bind-port"
ASK_SECONDS = 5.0
HEAR_SECONDS = 0.5


class Place(NamedTuple):
    """Where a job is: the REST of its cluster, its id, brokers and group, its streams; its run, "" for any."""

    cluster: str
    job: str
    servers: str
    group: str
    streams: Sequence[str]
    run: str = ""

    @classmethod
    def of(cls, run: Run, submitted: Submitted) -> Self:
        """Say where a job is that was submitted just now."""
        order = submitted.order
        cluster = run.cluster or f"{HERE}:{run.settings[REST_PORT]}"
        return cls(cluster, submitted.job, order.servers, order.group, sorted(order.partitions), order.run)


def open_rest(run: Run) -> None:
    """Give the REST of a mini-cluster a port that is known before it starts."""
    if run.cluster or REST_PORT in run.settings:
        return
    with socket.create_server((HERE, 0)) as free:
        run.settings |= {REST_PORT: str(free.getsockname()[1]), "rest.bind-address": HERE}


@dataclass(slots=True)
class Figures:
    """The metrics of a job, whether it is at work, and Flink's own numbers; `state`: what Flink said last of it."""

    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    health: Health = field(default_factory=lambda: Health(needed=(JOB, SINKS)))
    state: str = ""
    _flink: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    def gauges(self) -> Mapping[str, Mapping[Labels, float]]:
        """Give Flink's own numbers, under the names that its reporter for Prometheus gives them."""
        return self._flink

    @contextmanager
    def following(self, place: Place) -> Iterator[None]:
        """Follow a job while the body runs; SourceError if no broker answers."""
        ended, listener = Event(), Listener(place.servers, words_of(place.group), place.run)
        thread = Thread(target=self._follow, args=(place, listener, ended), name="tocsin-figures", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _follow(self, place: Place, listener: Listener, ended: Event) -> None:
        reports, job = Reports(), JobFigures(partial(rest.ask, place.cluster), place.job, place.streams)
        asked = float("-inf")
        with closing(listener):
            while not ended.is_set():
                for word in listener.hear(HEAR_SECONDS):
                    reports.hear(word)
                if monotonic() >= asked + ASK_SECONDS:
                    self._ask(job)
                    asked = monotonic()
                self.metrics.become(reports.together(job.metrics))
                self._judge_sinks()

    def _ask(self, job: JobFigures) -> None:
        try:
            job.look()
        except SourceError as error:
            self.health.ready(JOB, ok=False, why=str(error))
        else:
            self._flink, self.state = job.gauges, job.state
            self.health.ready(JOB, job.slowest == RUNNING, f"Flink says it is {job.slowest.lower()}")

    def _judge_sinks(self) -> None:
        values = self.metrics.values
        down = [labels[0][1] for (name, labels), up in values.items() if name == registry.SINK_UP.name and not up]
        self.health.ready(SINKS, not down, f"down and tried again: {', '.join(sorted(down))}")
