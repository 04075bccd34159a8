"""Write a frame into a pipe that nobody reads, and ask the frame for its height meanwhile; ends only if it is told.

A program of its own, so that a wait for ever ends with it (`test_writing.py`).
"""

from __future__ import annotations

import os
from threading import Thread

import polars as pl

from streams.local import segments

BEYOND_A_PIPE = 1 << 18


def main() -> None:
    """Give an error if the height is not told, or was told only after the writing."""
    frame = pl.DataFrame({"number": pl.int_range(BEYOND_A_PIPE, eager=True).shuffle(seed=1)})
    out, into = os.pipe()
    writer = Thread(target=_write, args=(frame, into))
    writer.start()
    os.read(out, 1)  # the writing has begun
    assert frame.height == BEYOND_A_PIPE
    assert writer.is_alive()
    while os.read(out, 1 << 16):
        pass
    writer.join()
    os.close(out)


def _write(frame: pl.DataFrame, into: int) -> None:
    with os.fdopen(into, "wb", buffering=0) as file:
        segments.write(frame, file)


if __name__ == "__main__":
    main()
