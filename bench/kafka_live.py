"""Runs that go on while events come: started by the command, ended by a signal, asked by their metrics."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.kafka_producing import Live, Made
from stack.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.kafka_cluster import Cluster

ROOT = Path(__file__).parents[1]
READY_SECONDS = 90.0
LOOK_SECONDS = 0.2


class SilentError(Exception):
    """A run ended, or did not say what was waited for."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run of a topology. `page`: where its metrics are, "" if nowhere."""

    process: subprocess.Popen[bytes]
    log: Path
    page: str = ""

    def metrics(self) -> dict[str, float]:
        """Give what its page says, by name and labels as they stand there; nothing while there is none."""
        try:
            with urllib.request.urlopen(self.page, timeout=30.0) as answer:  # noqa: S310  # our own
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}

    @property
    def resident(self) -> int:
        """Resident bytes of its process (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def await_(self, done: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
        """Wait for a condition; SilentError if the run ends before, or if it takes too long."""
        deadline = time.monotonic() + seconds
        while not done():
            self.check()
            if time.monotonic() > deadline:
                raise SilentError(f"not in {seconds:.0f} s: {what}")
            time.sleep(LOOK_SECONDS)

    def check(self) -> None:
        """Raise SilentError if the run has ended."""
        if self.process.poll() is not None:
            raise SilentError(f"the run ended: {self.log.read_text(encoding='utf-8')[-2000:] or 'silently'}")


@contextmanager
def running(
    cluster: Cluster, folder: Path, text: str, alerts: str, words: Sequence[str], *, served: bool = False
) -> Iterator[LiveRun]:
    """Run a topology until the block ends, with all its files in a folder that is made; `served`: with metrics."""
    folder.mkdir()
    topology = folder / "topology.yaml"
    topology.write_text(text, encoding="utf-8")
    words = [*words, "--state", str(folder / "state")]
    sink, page = f"kafka://{cluster.servers}/{alerts}", ""
    command = [sys.executable, "-m", "tocsin.cli", "run", str(topology), "--kafka", cluster.servers, "--sink", sink]
    if served:
        place = f"127.0.0.1:{free_port()}"
        command, page = [*command, "--http", place], f"http://{place}/metrics"
    log = folder / "run.log"
    with log.open("wb") as file:
        process = subprocess.Popen([*command, *words], stdout=file, stderr=file)  # noqa: S603  # our own module
    try:
        yield LiveRun(process, log, page)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def producing(live: Live) -> Iterator[subprocess.Popen[bytes]]:
    """Produce in a process of its own; told what to do, it says `Made` when it is through."""
    words = [sys.executable, "-m", "bench.kafka_producing"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:  # noqa: S603  # our own module
        try:
            if process.stdin is None:
                raise SilentError("nobody can be told what to produce")
            process.stdin.write(msgspec.json.encode(live))
            process.stdin.close()
            process.stdin = None
            yield process
        finally:
            process.kill()


def produced(live: Live) -> Made:
    """Produce to the end."""
    with producing(live) as process:
        said, _ = process.communicate()
        return msgspec.json.decode(said, type=Made)
