"""A Flink job of the measurements, in a process of its own, and its pace as the broker saw it.

What a job took is read from its alerts: the broker stamps each as it is appended, and each says which window it is of.
From the first alert to the last so many events have passed as lie between their windows. So start-up is left out, for
Tocsin and for others alike.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.kafka_job import TIME_LIMIT, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.kafka_cluster import Cluster

PARALLELISM = 2
SETTINGS = {
    "parallelism.default": str(PARALLELISM),
    "pipeline.object-reuse": "true",
    "execution.checkpointing.interval": "10 s",
    "table.local-time-zone": "UTC",
}
"""Of all jobs that are compared."""
_ROOT = Path(__file__).parents[1]


class Ordered(msgspec.Struct, frozen=True):
    """What a job is told on its input: the order, and settings of Flink."""

    order: Order
    settings: dict[str, str] = SETTINGS


@dataclass(frozen=True, slots=True)
class Pace:
    """What a job took. `start_up`: seconds from its command to its first alert; `cpu`: of all its processes, its start
    included.
    """

    events: int
    seconds: float
    start_up: float
    cpu: float

    @property
    def rate(self) -> float:
        """Events per second from the first alert to the last."""
        return self.events / self.seconds


class FailedError(Exception):
    """A job did not end well."""


def paced(
    words: Sequence[str], given: bytes, cluster: Cluster, alerts: str, time_of: Callable[[bytes], int], per_second: int
) -> Pace:
    """Carry out a command to its end; `time_of`: the event time (ms) of an alert, as its value has it."""
    before, begun = _children(), time.time()
    done = subprocess.run(  # noqa: S603  # our own modules
        [sys.executable, *words],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIME_LIMIT,
        cwd=_ROOT,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        raise FailedError(f"{' '.join(words[:3])}: {done.stdout.decode(errors='replace')[-2000:]}")
    first: dict[int, int] = {}
    for message in cluster.messages(alerts):
        at, (_, stamp) = time_of(message.value() or b""), message.timestamp()
        first[at] = min(stamp, first.get(at, stamp))
    if len(first) < 2:  # noqa: PLR2004
        raise FailedError(f"{alerts} has alerts of {len(first)} windows: take more events")
    begin, end = min(first.values()), max(first.values())
    events = (max(first) - min(first)) * per_second // 1000
    return Pace(events, (end - begin) / 1000, begin / 1000 - begun, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
