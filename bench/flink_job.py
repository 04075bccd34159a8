"""A Flink job of the measurements, in a process of its own, and its pace as the broker saw it.

What a job took is read from its alerts: the broker stamps each as it is appended, and each says which window it is of.
From the first alert to the last so many events have passed as lie between their windows. So start-up is left out, for
Tocsin and for others alike.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.kafka_job import TIME_LIMIT, Order
from streams.flink.submitting import COLLECTOR, JVM_ARGS, THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.kafka_cluster import Cluster

PARALLELISM = 2
SETTINGS = {
    "parallelism.default": str(PARALLELISM),
    "pipeline.object-reuse": "true",
    "execution.checkpointing.interval": "10 s",
    "table.local-time-zone": "UTC",
}
"""Of all jobs that are compared."""
LOOK_SECONDS = 0.2
_TICKS = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).parents[1]


class Ordered(msgspec.Struct, frozen=True):
    """What a job is told on its input: the order, and settings of Flink."""

    order: Order
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Pace:
    """What a job took.

    `start_up`: seconds from its command to its first alert. `used`: processor seconds of its processes by name, their
    start included.
    """

    events: int
    seconds: float
    start_up: float
    used: Mapping[str, float]

    @property
    def cpu(self) -> float:
        """Processor seconds of all processes."""
        return sum(self.used.values())

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
    begun = time.time()
    used = _carried_out(words, given)
    first: dict[int, int] = {}
    for message in cluster.messages(alerts):
        at, (_, stamp) = time_of(message.value() or b""), message.timestamp()
        first[at] = min(stamp, first.get(at, stamp))
    if len(first) < 2:  # noqa: PLR2004  # a begin and an end
        raise FailedError(f"{alerts} has alerts of {len(first)} windows: take more events")
    begin, end = min(first.values()), max(first.values())
    events = (max(first) - min(first)) * per_second // 1000
    return Pace(events, (end - begin) / 1000, begin / 1000 - begun, used)


def _carried_out(words: Sequence[str], given: bytes) -> dict[str, float]:
    """Carry out a command; give the processor seconds of all its processes, as far as looks every now and then tell."""
    used: dict[int, tuple[str, float]] = {}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603  # our own modules
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=_ROOT,
            env={**os.environ, THREADS: "1", JVM_ARGS: COLLECTOR},
            start_new_session=True,
        )
        try:
            if process.stdin is not None:
                process.stdin.write(given)
                process.stdin.close()
            deadline = time.monotonic() + TIME_LIMIT
            while process.poll() is None:
                used |= _used_in(process.pid)
                if time.monotonic() > deadline:
                    raise FailedError(f"{' '.join(words[:3])} took more than {TIME_LIMIT} s")
                time.sleep(LOOK_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            log.seek(0)
            raise FailedError(f"{' '.join(words[:3])}: {log.read().decode(errors='replace')[-2000:]}")
    found: Counter[str] = Counter()
    for name, seconds in used.values():
        found[name] += seconds
    return dict(found)


def _used_in(session: int) -> dict[int, tuple[str, float]]:
    """Give name and processor seconds of every process of a session (Linux)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            begin, _, rest = path.read_text(encoding="utf-8").rpartition(")")
            number, _, name = begin.partition("(")
            fields = rest.split()
            if int(fields[3]) == session:
                found[int(number)] = (name, (int(fields[11]) + int(fields[12])) / _TICKS)
    return found
