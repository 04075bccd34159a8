"""The servers of `make stack`: on their usual ports, going on by themselves until `make stack-down`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from stack import SERVERS, Prometheus, Server, StackError
from stack.places import DATA, ROOT
from stack.server import end_left_behind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

WATCHING = ROOT / "monitoring" / "prometheus"
"""The configuration of Prometheus that Tocsin ships; its targets stand in files, in the server's folder `targets`."""
_STOPS_WITHIN = 30.0
_ENDED = "Z"
"""The state of a process that has ended and that nobody has asked for; there are machines where nobody does."""


def configured(name: str) -> Server:
    """Give a server on its usual port; Prometheus watches Tocsin."""
    kind, folder = SERVERS[name], DATA / name
    if kind is Prometheus:
        text = (WATCHING / "prometheus.yaml").read_text(encoding="utf-8")
        config = text.replace("rules.yaml", str(WATCHING / "rules.yaml"))
        return Prometheus(folder, port=kind.default_port, config=config)
    return kind(folder, port=kind.default_port)


def processes(names: Iterable[str]) -> list[Server]:
    """Give these servers, each followed by its parts."""
    return [one for server in map(configured, names) for one in (server, *server.parts)]


def up(names: Iterable[str]) -> list[Server]:
    """Start what does not run, all at once, and wait until all answer; gives those that were started."""
    started = []
    for server in processes(names):
        if running(server):
            continue
        if server.answers():
            raise StackError(f"port {server.port} answers as {server.name} would, but it is none of ours: end it first")
        server.launch(alone=True)
        _note(server)
        started.append(server)
    for server in started:
        server.await_ready()
    return started


def down(names: Iterable[str], *, forget: bool = False) -> list[str]:
    """End what runs; gives their names. `forget`: remove the data as well."""
    ended = []
    for server in processes(names):
        pid = running(server)
        if pid:
            _end(pid)
            ended.append(server.name)
        _file(server).unlink(missing_ok=True)
        if forget:
            shutil.rmtree(server.folder, ignore_errors=True)
    return ended


def running(server: Server) -> int:
    """Give the process of a server that `up` started, 0 if it has ended."""
    try:
        pid, _, began = _file(server).read_text(encoding="utf-8").strip().partition(" ")
    except FileNotFoundError:
        return 0
    return int(pid) if began and _began(int(pid)) == began else 0


def _note(server: Server) -> None:
    _file(server).write_text(f"{server.pid} {_began(server.pid)}\n", encoding="utf-8")


def _file(server: Server) -> Path:
    return server.folder / "pid"


def _began(pid: int) -> str:
    """Say when a process began, nothing if it has ended: numbers of processes come again, with another beginning."""
    asking = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    ps = subprocess.run(asking, capture_output=True, text=True, check=False)
    state, *began = ps.stdout.split() or [_ENDED]
    return "" if state.startswith(_ENDED) else " ".join(began)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _STOPS_WITHIN
    while _began(pid):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    end_left_behind(pid)
