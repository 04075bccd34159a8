"""How long the commands take that people wait for."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench.context import ROOT
from bench.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.context import Bench

TRIES = 3
COMMANDS = (("tocsin check topology.yaml", ("check", "topology.yaml"), 1.0), ("tocsin --help", ("--help",), 0.3))


def rows(_: Bench) -> Iterator[Row]:
    """Give the shortest wall time of a few tries each."""
    for name, arguments, most in COMMANDS:
        yield Row(name, min(_seconds(*arguments) for _ in range(TRIES)), "s", most, most=True, note=f"best of {TRIES}")


def _seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run(  # noqa: S603  # our own command line
        [sys.executable, "-m", "tocsin.cli", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begun
