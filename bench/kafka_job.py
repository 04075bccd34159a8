"""One job over a topic in a process of its own: an Order as JSON on its input, what it Took as JSON on its output.

    python -m bench.kafka_local            the runtime `local`
    python -m bench.peers.consume|loop|plain_faust|quix

The clock runs from the first fetch until the last alert is acknowledged; the broker's processor time is not counted.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import msgspec

TIME_LIMIT = 1_800


class Order(msgspec.Struct, frozen=True):
    """What to read, and where alerts go. `until`: the event time (ms) after which no event counts.

    `records`: how many the topic holds. `most`: the greatest sum that is no alert. `kept`: whether a peer keeps its
    state. `threads`: whether to tell what each thread used.
    """

    servers: str
    topic: str
    alerts: str
    until: int
    records: int
    most: int
    folder: str
    topology: str = ""
    kept: bool = False
    threads: bool = False


class Took(msgspec.Struct, frozen=True):
    """What a job took. `records`: that it read; `cpu`: user and system seconds; `threads`: seconds by name."""

    records: int
    seconds: float
    cpu: float
    threads: dict[str, float] = {}

    @property
    def rate(self) -> float:
        """Events per second of wall time."""
        return self.records / self.seconds


class Clock:
    """Wall and processor time of this process since it was made."""

    def __init__(self) -> None:
        self.begun, self.used = time.perf_counter(), processor_seconds()

    def took(self, records: int, threads: dict[str, float] | None = None) -> Took:
        """Give what has passed."""
        return Took(records, time.perf_counter() - self.begun, processor_seconds() - self.used, threads or {})


def processor_seconds() -> float:
    """Give the user and system time of this process, all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def carried_out(order: Order, module: str, python: Path | None = None) -> Took:
    """Run a job; `python`: of another environment, whose warnings are not ours."""
    interpreter = [sys.executable] if python is None else [str(python), "-W", "ignore"]
    done = subprocess.run(  # noqa: S603  # our own module
        [*interpreter, "-m", module],
        input=msgspec.json.encode(order),
        stdout=subprocess.PIPE,
        timeout=TIME_LIMIT,
        cwd=Path(__file__).parents[1],
        check=True,
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Took)


def ordered() -> Order:
    """Read what this process is to do."""
    return msgspec.json.decode(sys.stdin.buffer.read(), type=Order)


def tell(took: Took) -> None:
    """Say what it took."""
    sys.stdout.buffer.write(msgspec.json.encode(took) + b"\n")
    sys.stdout.flush()
