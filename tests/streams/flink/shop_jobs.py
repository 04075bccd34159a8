"""The shop of the Kafka tests, carried out by Flink jobs that `tocsin run` starts in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.streams.faust.shop_runs import UNTIL, Shop, topology_in
from tests.waiting import wait_until
from tocsin.model.display import display
from tocsin.model.types import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ENDS_WITHIN = 240.0
"""Seconds: only a test that fails waits so long."""


@dataclass
class ShopJob(Shop):
    """Runs of a job over a topic of its own, on mini-clusters unless `cluster` says where. `more`: further words."""

    cluster: str = ""
    sinks: Sequence[str] = ()
    until: int = UNTIL
    more: Sequence[str] = ()

    @property
    def log(self) -> str:
        """What the command said."""
        return (self.folder / "run.log").read_text()[-8000:]

    @contextmanager
    def job(self, parallelism: int = 2) -> Iterator[subprocess.Popen[bytes]]:
        """Start the command, in a group of processes that is killed at the end."""
        path = topology_in(self.folder, self.text)
        sinks = [f"kafka://{self.servers}/{self.alerts}", *self.sinks]
        words = [
            *("run", str(path), "--runtime", "flink", "--parallelism", str(parallelism), "--group", self.group),
            *("--source", f"payments=kafka://{self.servers}/{self.topic}", "--state", str(self.folder / "state")),
            *("--until", display(self.until, TIMESTAMP).replace(" ", "T")),
            *(word for sink in sinks for word in ("--sink", sink)),
            *(("--cluster", self.cluster) if self.cluster else ()),
            *self.more,
        ]
        with (self.folder / "run.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", "from tocsin.cli import main; main()", *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "POLARS_MAX_THREADS": "1"},
            )
        try:
            yield process
        finally:
            kill_all(process)

    def ends(self, parallelism: int = 2) -> int:
        """Run the job until it ends; give its exit code."""
        with self.job(parallelism) as process:
            return process.wait(ENDS_WITHIN)

    def stopped_when(self, true: Callable[[], bool], by: signal.Signals, parallelism: int = 2) -> int:
        """Run the job until something is true, then end it by a signal; give its exit code."""
        with self.job(parallelism) as process:
            wait_until(lambda: true() or process.poll() is not None, lambda: self.log)
            assert process.poll() is None, self.log
            if by is signal.SIGKILL:
                kill_all(process)
            else:
                process.send_signal(by)
            return process.wait(ENDS_WITHIN)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(30)
