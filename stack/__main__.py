"""The command `python -m stack`: exit code 0 good, 1 something does not run or cannot be had, 2 wrong use."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stack import SERVERS, StackError
from stack.jars import FETCHING, LOCKED, SETS, TESTED
from stack.kafka import warm_up
from stack.packages import PACKAGES, install
from stack.running import down, processes, running, up
from stack.shared import hold


def main(words: list[str]) -> int:
    """Do what is asked."""
    asked = _parser().parse_args(words)
    names: list[str] = asked.names or list(SERVERS)
    if asked.what in {"up", "status"} and not asked.names:
        names = _possible(names)
    try:
        if asked.what == "fetch":
            fetch(names, everything=not asked.names)
        elif asked.what == "up":
            fetch(names)
            for server in up(names):
                print(f"{server.name} answers on {server.address}; its log: {server.log}")
            return status(names)
        elif asked.what == "down":
            print("ended:", ", ".join(down(names, forget=asked.forget)) or "nothing, none ran")
        else:
            return status(names)
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    return 0


def fetch(names: list[str], *, everything: bool = False) -> None:
    """Bring to the machine what these servers need; `everything`: also what only tests need."""
    wanted = {program for name in names for program in SERVERS[name].programs}
    jars = TESTED.values() if everything else [SETS[name] for name in names if name in SETS]
    if everything:
        wanted.update(PACKAGES.keys() - FETCHING)
    for one in jars:
        wanted.update(() if one.here else one.programs)
    install(sorted(wanted))
    for one in jars:
        one.fetch()
    if "kafka" in names:
        warm_up()


def status(names: list[str]) -> int:
    """Print a line per server; 1 if one of them does not answer."""
    all_good = True
    for server in processes(names):
        pid, answers = running(server), server.answers()
        how = (
            f"answers, process {pid}" if pid and answers else f"process {pid} does not answer" if pid else "not running"
        )
        print(f"{server.name:13} {server.address:16} {how}")
        all_good &= bool(pid) and answers
    return 0 if all_good else 1


def _possible(names: list[str]) -> list[str]:
    """Leave out what this Python has not got, and say so."""
    lacking = {name: SERVERS[name].lacking() for name in names}
    for name, what in lacking.items():
        if what:
            print(f"{name:13} left out: {what}")
    return [name for name in names if not lacking[name]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stack", description="Real servers as plain processes.")
    parser.add_argument("what", choices=["up", "down", "status", "fetch"])
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*SERVERS, []],
        metavar="NAME",
        help=f"of {', '.join(SERVERS)}; default all that this Python can",
    )
    parser.add_argument("--forget", action="store_true", help="with down: remove the data as well")
    return parser


def _inner(words: list[str]) -> int | None:
    """Do what only our own processes and maintainers ask for."""
    match words:
        case ["hold", name, folder, owner]:
            hold(name, Path(folder), int(owner))
            return 0
        case ["lock"]:
            for jars in LOCKED:
                jars.lock_anew()
            return 0
    return None


if __name__ == "__main__":
    code = _inner(sys.argv[1:])
    raise SystemExit(main(sys.argv[1:]) if code is None else code)
