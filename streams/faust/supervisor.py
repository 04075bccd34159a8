"""Starts the workers of a run, starts those again that crash, ends all of them.

A worker that ends with REFUSED would end so again: the run stops with what it said. One that crashes is started again,
after a pause that doubles with each crash in a row; after `CRASHES` of them the run stops. One that finds no broker is
started again for as long as it takes: a group that was at work waits for its broker.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.faust.ending import END_SECONDS
from streams.faust.worker import REFUSED, UNREACHABLE
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from streams.faust.order import Order

LOOK_SECONDS = 0.1
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
HEALTHY_SECONDS = 60.0
"""How long a worker runs until its earlier crashes are forgotten."""
CRASHES = 6
PATIENCE_SECONDS = END_SECONDS + 5.0
"""How long workers have to end when they are told to."""
SAID_MOST = 8192


@dataclass(slots=True)
class Worker:
    """One worker process. `again`: when it is started again; None while it runs, or is done."""

    command: Sequence[str]
    number: int
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    crashes: int = 0
    again: float | None = None

    def start(self) -> None:
        """Start the process; what it has to say goes to its log."""
        self.started, self.again = time.monotonic(), None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own module
                [*self.command, str(self.number)], stderr=log
            )

    def look(self) -> int | None:
        """Give the exit code of a process that has ended since the last look."""
        code = None if self.process is None else self.process.poll()
        if code is not None:
            self.process = None
        return code

    @property
    def said(self) -> str:
        """The last word of the process."""
        text = self.log.read_bytes()[-SAID_MOST:].decode(errors="replace")
        lines = [line for line in text.splitlines() if line.startswith("tocsin: ")]
        return lines[-1].removeprefix("tocsin: ") if lines else f"worker {self.number} ended; see {self.log}"


@dataclass(slots=True)
class Supervisor:
    """The workers of one run. `warn`: takes a sentence for people; `command`: starts a worker, before its arguments."""

    order: Order
    workers: int
    stop: Callable[[], bool]
    warn: Callable[[str], None]
    command: Sequence[str] = (sys.executable, "-m", "streams.faust.worker")
    running: list[Worker] = field(default_factory=list)

    def run(self) -> bool:
        """Run until all workers are through, or told to stop; whether it was the former. StateError: they cannot."""
        folder = self.order.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.order.write(folder / "order.json")
        command = [*self.command, str(folder / "order.json")]
        self.running = [Worker(command, number, folder / f"worker-{number}.log") for number in range(self.workers)]
        try:
            for worker in self.running:
                worker.start()
            while not self.stop():
                if not self._look():
                    return True
                time.sleep(LOOK_SECONDS)
        finally:
            self._end()
        return False

    def _look(self) -> bool:
        """Look after all workers; whether one still runs, or will."""
        for worker in self.running:
            code = worker.look()
            if code == REFUSED:
                raise StateError(worker.said)
            if code:
                self._crashed(worker, code)
            if worker.again is not None and time.monotonic() >= worker.again:
                worker.start()
        return any(worker.process is not None or worker.again is not None for worker in self.running)

    def _crashed(self, worker: Worker, code: int) -> None:
        lived = time.monotonic() - worker.started
        worker.crashes = 1 if lived > HEALTHY_SECONDS else worker.crashes + 1
        if worker.crashes >= CRASHES and code != UNREACHABLE:
            raise StateError(
                f"worker {worker.number} has crashed {worker.crashes} times in a row, at last with exit code {code}: "
                f"{worker.said}; see {worker.log}"
            )
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (min(worker.crashes, CRASHES) - 1))
        worker.again = time.monotonic() + pause
        why = worker.said if code == UNREACHABLE else f"worker {worker.number} ended with exit code {code}"
        self.warn(f"{why}; it is started again in {pause:.0f} s")

    def _end(self) -> None:
        """End all workers, with patience first."""
        living = [worker.process for worker in self.running if worker.process is not None]
        for process in living:
            process.terminate()
        until = time.monotonic() + PATIENCE_SECONDS
        for process in living:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
