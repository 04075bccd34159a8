"""One run of the local runtime in a process of its own: `python -m bench.job`, an Order as JSON in, a Report out.

A process per run, so that memory is that of this run alone. The clock starts when everything is imported.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from streams.local.committing import Committer
    from streams.local.runner import Runner

TIME_LIMIT = 1_800


class Job(msgspec.Struct, frozen=True):
    """What to run, in which folder. `sources`: stream to URI. `batch_rows` 0: the runtime's own choice."""

    topology: str
    sources: dict[str, str]
    folder: str
    batch_rows: int = 0
    commit_seconds: float = 2.0
    stateful: bool = True


class Report(msgspec.Struct, frozen=True):
    """What a run took.

    `cpu`: user and system seconds. `resident`: bytes after each batch. `pauses`: seconds from batch to batch.
    `commits`: seconds that the stream stood still for each: for its snapshot, and for the one before where it waited.
    """

    records: int
    seconds: float
    cpu: float
    transitions: int
    aside: int
    resident: list[int]
    pauses: list[float]
    commits: list[float]

    @property
    def rate(self) -> float:
        """Events per second of wall time."""
        return self.records / self.seconds

    @property
    def settled(self) -> float:
        """Resident bytes in the second half of the run."""
        return statistics.median(self.resident[len(self.resident) // 2 :])


def measure(job: Job) -> Report:
    """Run a job in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.job"],
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        timeout=TIME_LIMIT,
        cwd=Path(__file__).parents[1],
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Report)


def alerts_of(job: Job) -> Path:
    """Name the file into which a job writes its alerts."""
    return Path(job.folder) / "alerts.ndjson"


def run(job: Job) -> Report:
    """Run a job in this process."""
    from streams.local.runner import BATCH_ROWS, Settings  # noqa: PLC0415  # only the child imports the runtime
    from streams.local.running import Order, carry_out  # noqa: PLC0415  # as above
    from tocsin.cli.files import load_plan  # noqa: PLC0415  # as above

    topology = Path(job.topology)
    plan = load_plan(topology)
    resident: list[int] = []
    marks: list[float] = []

    def look(_: Runner) -> None:
        resident.append(_resident())
        marks.append(time.perf_counter())

    commits = _commits_timed()
    settings = Settings(job.batch_rows or BATCH_ROWS, job.commit_seconds, progress=look)
    state = Path(job.folder) / "state" if job.stateful else None
    order = Order(plan, topology, job.sources, (f"ndjson:{alerts_of(job)}",), state, settings=settings)
    begun, used = time.perf_counter(), _cpu()
    summary = carry_out(order)
    seconds, cpu = time.perf_counter() - begun, _cpu() - used
    tally = summary.tally
    return Report(
        summary.records,
        seconds,
        cpu,
        tally.transitions.total(),
        tally.aside.total(),
        resident,
        [later - sooner for sooner, later in pairwise(marks)],
        commits,
    )


def _commits_timed() -> list[float]:
    """Give a list into which every commit of this process puts how long it held the stream up."""
    from streams.local.runner import Runner  # noqa: PLC0415  # as above

    begin, held = Runner._begin_commit, list[float]()  # noqa: SLF001  # no user of a runner needs to know

    def timed(run: Runner, committer: Committer) -> None:
        before = time.perf_counter()
        begin(run, committer)
        held.append(time.perf_counter() - before)

    Runner._begin_commit = timed  # type: ignore[method-assign]  # noqa: SLF001  # as above
    return held


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))))
