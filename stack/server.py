"""What is common to all servers: a process with a port, a folder, a log, and a question that it answers when ready."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Self

from stack.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

STARTS_WITHIN = 300.0
"""Seconds; a machine that is busy with tests starts a JVM slowly."""
STOPS_WITHIN = 30.0
_LOOK_AGAIN = 0.05
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
"""Debian puts clickhouse-server where ordinary users do not look."""


class StackError(Exception):
    """A server cannot be had; the sentence says what to do."""


def find_program(name: str) -> str | None:
    """Give the path of a program, also of one for administrators."""
    return shutil.which(name, path=_PATH)


class Server(ABC):
    """One server. `folder`: configuration, data and `server.log`, made if missing and kept; `port`: 0 for a free one.

    Ports are chosen once, so that the server comes back under the same address after `kill()` and `start()`. A process
    started by `start()` ends with the thread that started it, however that ends; by `start(alone=True)` it goes on.
    """

    name: ClassVar[str]
    default_port: ClassVar[int]
    programs: ClassVar[tuple[str, ...]]
    """What must be on the machine."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.folder = folder.absolute()
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}
        """Variables for the process, beside our own."""

    @classmethod
    def lacking(cls) -> str:
        """Say what this Python lacks for it, and what to do; nothing for most: they need `programs` only."""
        return ""

    @property
    def parts(self) -> tuple[Server, ...]:
        """Servers that start and end with this one, each a process of its own; none for most."""
        return ()

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration; called before every start, with the folder in place."""

    @abstractmethod
    def command(self) -> list[str]:
        """Give the command line."""

    @abstractmethod
    def ready(self) -> bool:
        """Ask the server whether it answers; may raise OSError while it does not."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the server wrote to its output, over all starts."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The process; StackError if there is none."""
        if self.process is None:
            raise StackError(f"{self.name} was not started")
        return self.process.pid

    def launch(self, *, alone: bool = False) -> None:
        """Start the process, not those of `parts`, and return at once; `await_ready` waits."""
        if self.process is not None and self.process.poll() is None:
            raise StackError(f"{self.name} runs already, as process {self.process.pid}")
        missing = [program for program in self.programs if find_program(program) is None]
        if missing:
            raise StackError(
                f"{self.name} needs {', '.join(missing)}; `make stack` or `python -m stack fetch` installs it"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*([] if alone else _with_us()), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                start_new_session=alone,
                process_group=None if alone else 0,
            )

    def await_ready(self) -> None:
        """Wait until the server answers; StackError with the end of its log if it does not."""
        until = time.monotonic() + STARTS_WITHIN
        while not self.answers():
            ended = self.process.poll() if self.process else None
            if ended is not None or time.monotonic() > until:
                self.kill()
                what = f"did not answer within {STARTS_WITHIN:.0f} s" if ended is None else f"ended with code {ended}"
                raise StackError(
                    f"{self.name} on port {self.port} {what}; the end of {self.log}:\n{self._last_words()}"
                )
            time.sleep(_LOOK_AGAIN)

    def start(self, *, alone: bool = False) -> Self:
        """Start it with its parts and wait until all answer."""
        self.launch(alone=alone)
        try:
            for part in self.parts:
                part.launch(alone=alone)
            together: tuple[Server, ...] = (self, *self.parts)
            for server in together:
                server.await_ready()
        except StackError:
            self.kill()
            raise
        return self

    def answers(self) -> bool:
        """Tell whether the server is ready."""
        try:
            return self.ready()
        except OSError:
            return False

    def stop(self) -> None:
        """End it and its parts in good order (SIGTERM), by force if that takes too long; nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its parts at once (SIGKILL), as a power failure would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again over the same data."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Let it hang (SIGSTOP), without its parts: connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, with_signal: signal.Signals) -> None:
        for part in self.parts:
            part._end(with_signal)  # noqa: SLF001  # of the same class
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.send_signal(signal.SIGCONT)
            try:
                self.process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            end_left_behind(self.process.pid)
        self.process = None

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it; the folder stays."""
        self.kill()


def end_left_behind(pid: int) -> None:
    """Kill what a server has started and left running, as Flink leaves its workers of Python; they are of its group."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _with_us() -> list[str]:
    """Give the words before a command whose process is to end with ours; none where the system has no such thing."""
    setpriv = find_program("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
