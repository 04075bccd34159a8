"""What Flink knows of a job and its tasks cannot: checkpoints, back pressure, what waits in topics.

It is asked for by REST, recorded under the names that it has in other runtimes, and given as it is, too, under the
names of Flink's own reporter for Prometheus.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from monitoring import registry
from monitoring.metrics import MemoryMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from monitoring.metrics import Labels

    Gauges = dict[str, dict[Labels, float]]

RUNNING, COMPLETED = "RUNNING", "COMPLETED"
AT_WORK = (RUNNING, "FINISHED")
HELD_UP_MS = 500.0
"""Of a second: a source that is held up longer than that is not reading, rather than reading."""
AT_ONCE = 100
"""Metrics that are asked for in one question; their names stand in its address."""
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9:_]")
_OF_SUBTASK = re.compile(
    r"(\d+)\.((?:accumulateB|b)ackPressuredTime\w+|busyTimeMsPerSecond|idleTimeMsPerSecond|num(?:Records|Bytes)(?:In|Out)(?:PerSecond)?)"
)
"""Of what Flink knows of a subtask: how busy it is, and what goes through it."""
_LAG = re.compile(r"(\d+)\..*\.pendingRecords")
_SOURCE = re.compile(r"Source: \S*\bsource_(\d+)\b")


@dataclass(slots=True)
class JobFigures:
    """A job as Flink sees it.

    `ask`: gives what a path of the REST answers. `streams`: in the order of its sources. `state`: of the job;
    `slowest`: of the part of it that is furthest from running.
    """

    ask: Callable[[str], Any]
    job: str
    streams: Sequence[str]
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    gauges: Gauges = field(default_factory=dict)
    state: str = ""
    slowest: str = ""
    _looked: bool = False
    _checkpoint: int = 0
    _counts: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Ask for everything anew; SourceError if nobody answers."""
        told = self.ask(f"/jobs/{self.job}")
        self.state, self.slowest = told["state"], _slowest(told)
        if not self._looked:
            self._looked = True
            self.metrics.gauge(registry.COMMIT_TIME, told["start-time"] / 1000)
        self._note_checkpoints(self.ask(f"/jobs/{self.job}/checkpoints"))
        gauges: Gauges = {}
        of_job = (("job_id", self.job), ("job_name", told["name"]))
        _add(gauges, "flink_jobmanager_job", of_job, self._values(f"/jobs/{self.job}/metrics"))
        _add(gauges, "flink_jobmanager", (), self._values("/jobmanager/metrics"))
        for manager in self.ask("/taskmanagers")["taskmanagers"]:
            path = f"/taskmanagers/{quote(manager['id'], safe='')}/metrics"
            _add(gauges, "flink_taskmanager", (("tm_id", manager["id"]),), self._values(path))
        for vertex in told["vertices"]:
            values = self._values(f"/jobs/{self.job}/vertices/{vertex['id']}/metrics", _wanted)
            self._note_vertex(gauges, vertex["name"], of_job, values)
        self.gauges = gauges

    def _values(self, path: str, wanted: Callable[[str], bool] = bool) -> dict[str, float]:
        """Give the numbers among the metrics of a path."""
        names = [one["id"] for one in self.ask(path) if wanted(one["id"])]
        found: dict[str, float] = {}
        for at in range(0, len(names), AT_ONCE):
            asked = ",".join(quote(name, safe="") for name in names[at : at + AT_ONCE])
            found |= dict(_numbers(self.ask(f"{path}?get={asked}")))
        return found

    def _note_checkpoints(self, told: Mapping[str, Any]) -> None:
        """Record the checkpoints since the last look; Flink remembers sizes and durations of the last ten."""
        metrics, counts = self.metrics, told["counts"]
        metrics.count(registry.COMMITS, max(0, counts["completed"] - self._counts.get("completed", 0)))
        if counts["completed"]:  # before the first one Flink counts those as failed that come before the job is up
            metrics.count(registry.COMMIT_FAILURES, max(0, counts["failed"] - self._counts.get("failed", 0)))
        self._counts = counts  # they fall where another job manager takes over
        for one in told["history"]:
            if one["status"] == COMPLETED and one["id"] > self._checkpoint:
                metrics.count(registry.COMMIT_BYTES, one["checkpointed_size"])
                metrics.observe(registry.COMMIT_SECONDS, one["end_to_end_duration"] / 1000)
        done = [one for one in told["history"] if one["status"] == COMPLETED]
        if done:
            self._checkpoint = max(one["id"] for one in done)
            metrics.gauge(registry.COMMIT_TIME, max(one["latest_ack_timestamp"] for one in done) / 1000)

    def _note_vertex(self, gauges: Gauges, name: str, of_job: Labels, values: Mapping[str, float]) -> None:
        held_up, lags = 0, dict[str, float]()
        for key, value in values.items():
            if lag := _LAG.fullmatch(key):
                lags[lag[1]] = value
            elif one := _OF_SUBTASK.fullmatch(key):
                labels = (*of_job, ("task_name", name), ("subtask_index", one[1]))
                _add(gauges, "flink_taskmanager_job_task", labels, {one[2]: value})
                held_up += one[2] == "backPressuredTimeMsPerSecond" and value > HELD_UP_MS
        source = _SOURCE.match(name)
        if source:
            stream = self.streams[int(source[1])]
            self.metrics.gauge(registry.PAUSED.of({"stream": stream}), held_up)
            for subtask, value in lags.items():
                # Flink sums up the partitions of a subtask, and calls it by the number of that.
                label = registry.CONSUMER_LAG.of({"stream": stream, "partition": f"subtask {subtask}"})
                self.metrics.gauge(label, max(0.0, value))


def _slowest(told: Mapping[str, Any]) -> str:
    """Give the state of a job that does not run, or of a part of it that does not; seeds are through at once."""
    if told["state"] != RUNNING:
        return str(told["state"])
    return next((str(one["status"]) for one in told["vertices"] if one["status"] not in AT_WORK), RUNNING)


def _wanted(name: str) -> bool:
    return any(kind.fullmatch(name) for kind in (_OF_SUBTASK, _LAG))


def _numbers(told: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, float]]:
    for one in told:
        try:
            yield one["id"], float(one["value"])
        except ValueError:
            continue  # a text


def _add(gauges: Gauges, scope: str, labels: Labels, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        gauges.setdefault(f"{scope}_{_NOT_IN_NAMES.sub('_', name)}", {})[labels] = value
