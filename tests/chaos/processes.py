"""`tocsin run` as processes of the operating system: started, killed, started again, ended for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.chaos.material import ROOT

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

WITHIN: Final = 240.0
"""Seconds for whatever a run is waited for; the machines are shared."""
ENVIRONMENT: Final = {
    "TOCSIN_PSEUDONYM_KEY": "a key for chaos and for nothing else",
    "POLARS_MAX_THREADS": "1",
    "BROKER_SESSION_TIMEOUT": "6",
    "BROKER_HEARTBEAT_INTERVAL": "1",
}
"""The last two are Faust's own: a worker that was killed is missed after seconds."""


@dataclass
class Processes:
    """A command and its workers, which are all of one process group. `log`: what it said, over all lives.

    `dice`: gives each life another hash seed; without it Python takes one, another one for each worker.
    """

    command: Sequence[str]
    folder: Path
    name: str = "run"
    dice: random.Random | None = None
    process: subprocess.Popen[bytes] | None = None
    groups: list[int] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What went to stderr."""
        return self.folder / f"{self.name}.stderr"

    @property
    def out(self) -> Path:
        """What went to stdout."""
        return self.folder / f"{self.name}.stdout"

    def start(self) -> None:
        """Start the command, once more if it was killed."""
        hashes = {} if self.dice is None else {"PYTHONHASHSEED": str(self.dice.randrange(1 << 32))}
        with self.out.open("ab") as out, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tocsin.cli", *self.command],
                cwd=self.folder,
                env={**os.environ, **ENVIRONMENT, **hashes, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )
        self.groups.append(self.process.pid)

    @property
    def running(self) -> bool:
        """Whether the command has not ended."""
        return self.process is not None and self.process.poll() is None

    def workers(self) -> dict[int, int]:
        """Find the workers that the command has started: number to process id."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                group = os.getpgid(int(process.name))
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if group == self.groups[-1] and b"streams.faust.worker" in words:
                found[int(words[-2])] = int(process.name)
        return found

    def kill(self) -> None:
        """SIGKILL the command itself, whatever its workers do then, and start it again."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.start()

    def wait(self) -> int:
        """Wait for the end and give the exit code."""
        assert self.process is not None
        return self.process.wait(WITHIN)

    def said(self) -> str:
        """Give the last words of all that ran."""
        files = [self.log, self.out, *sorted(self.folder.rglob("worker-*.log"))]
        return "\n".join(f"--- {file}\n{file.read_text(errors='replace')[-3000:]}" for file in files if file.exists())

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything that is left of it."""
        for group in self.groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process is not None:
            self.process.wait()
