"""Dump states in one thread while another one keeps Polars' pool busy; ends by itself, or never where dumps call back.

A program of its own, so that a wait for ever ends with it (`test_state.py`).
"""

from __future__ import annotations

import sys
import time
from threading import Thread

import polars as pl

from operators.state import dump

ROWS = 200_000
SECONDS = float(sys.argv[1])


def main() -> None:
    """Work in both threads for so many seconds."""
    state = {"sums": pl.DataFrame({"k": [f"key {n}" for n in range(ROWS)], "s": range(ROWS)})}
    until = time.monotonic() + SECONDS
    writer = Thread(target=lambda: _repeat(until, lambda: dump(state)), daemon=True)
    writer.start()
    frame = pl.DataFrame({"k": [n % 1000 for n in range(ROWS)], "v": range(ROWS)})
    _repeat(until, lambda: frame.sort("v", descending=True).group_by("k").agg(pl.col("v").sum()))
    writer.join()


def _repeat(until: float, work: object) -> None:
    while time.monotonic() < until:
        work()  # type: ignore[operator]


if __name__ == "__main__":
    main()
