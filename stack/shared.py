"""One server of a kind for all processes of a test run, started by the first that wants it, ended with the run.

The processes agree on a folder (`$TOCSIN_TEST_SERVERS`, set by the first of them, whose number stands in its name).
A keeper, `python -m stack hold NAME FOLDER PID`, owns the server: it starts it, writes how it is reached, waits until
that first process ends, in whatever way, then kills the server and removes its data.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stack import SERVERS, KafkaBroker, StackError
from stack.places import ROOT
from stack.server import STARTS_WITHIN

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "TOCSIN_TEST_SERVERS"
USERS = {"ann": "open sesame"}
"""Who may log in at the second listener of the broker."""
PUBLIC = ("servers", "secured", "url", "address", "port", "http_port")
"""What is told of a server, as far as it has it."""
_KEEPERS: list[subprocess.Popen[bytes]] = []
"""Of this process. They outlive it where it is a worker; others end them."""


def claim() -> Path | None:
    """Be the process with which the servers end; None if another one is already, above us. Costs nothing."""
    if VARIABLE in os.environ:
        return None
    folder = Path(tempfile.gettempdir()) / f"tocsin-servers-{os.getpid()}"
    os.environ[VARIABLE] = str(folder)
    return folder


def end(folder: Path) -> None:
    """End the servers of a run and wait for that; nothing if there were none."""
    if not folder.is_dir():
        return
    for file in folder.glob("*.keeper"):
        keeper = int(file.read_text(encoding="utf-8"))
        with _handle(keeper) as gone:
            if gone is not None:
                os.kill(keeper, signal.SIGTERM)
                select.select([gone], [], [], 30)
    for ours in _KEEPERS:
        ours.poll()  # so that nobody warns that it still runs
    shutil.rmtree(folder, ignore_errors=True)


def shared(name: str) -> dict[str, str | int]:
    """Give how the run's server of this name is reached, starting it if it does not run yet."""
    folder = Path(os.environ[VARIABLE])
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            _start_keeper(name, folder, told)
    reached: dict[str, str | int] = json.loads(told.read_text(encoding="utf-8"))
    return reached


def hold(name: str, folder: Path, owner: int) -> None:
    """Keep a server until the process `owner` has ended or SIGTERM comes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    data = folder / name
    try:
        made = KafkaBroker(data, users=USERS) if name == KafkaBroker.name else SERVERS[name](data)
        with _handle(owner) as gone, made as server:
            reached = {word: getattr(server, word) for word in PUBLIC if hasattr(server, word)}
            written = folder / f"{name}.part"
            written.write_text(json.dumps(reached), encoding="utf-8")
            written.rename(folder / f"{name}.json")
            if gone is not None:
                select.select([gone], [], [])
    finally:
        shutil.rmtree(data, ignore_errors=True)
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _start_keeper(name: str, folder: Path, told: Path) -> None:
    """Start a keeper and wait until it has told how its server is reached."""
    owner = folder.name.rpartition("-")[2]
    with (folder / f"{name}.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "stack", "hold", name, str(folder), owner],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,
        )
    _KEEPERS.append(keeper)
    (folder / f"{name}.keeper").write_text(str(keeper.pid), encoding="utf-8")
    until = time.monotonic() + STARTS_WITHIN
    while not told.exists():
        if keeper.poll() is not None or time.monotonic() > until:
            raise StackError(f"{name} did not start:\n{(folder / f'{name}.log').read_text(encoding='utf-8')[-3000:]}")
        time.sleep(0.05)


@contextmanager
def _handle(pid: int) -> Iterator[int | None]:
    """Give something that becomes readable when a process has ended; None if it has ended already."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)
