"""Partials in state: a list of runs in row order, merged a few at a time so that each row is merged rarely.

Four runs of about the same size become one. A partial is so merged log4(rows / slice) times, whatever the number of
keys, and no run is touched because another key got a row. Frames of the state are named `<kind>:<number>`, oldest
first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operators.contract import State

    Merge = Callable[[pl.DataFrame], pl.DataFrame]

FAN = 4
_SMALLEST = 256


def load(state: State, kind: str) -> list[pl.DataFrame]:
    """Give the runs of a kind, oldest first."""
    prefix = f"{kind}:"
    return [state[name] for name in sorted(state) if name.startswith(prefix)]


def store(runs: Sequence[pl.DataFrame], kind: str) -> Mapping[str, pl.DataFrame]:
    """Name the runs for the state; empty ones are left out."""
    kept = (run for run in runs if run.height)
    return {f"{kind}:{number:04}": run for number, run in enumerate(kept)}


def compact(runs: Sequence[pl.DataFrame], merge: Merge) -> list[pl.DataFrame]:
    """Merge the latest runs wherever FAN of the same size class, or smaller, have come together."""
    kept = [run for run in runs if run.height]
    while len(kept) >= FAN and _size_class(kept[-FAN]) <= max(map(_size_class, kept[1 - FAN :])):
        kept[-FAN:] = [merge(pl.concat(kept[-FAN:]))]
    return kept


def _size_class(run: pl.DataFrame) -> int:
    return (max(run.height, _SMALLEST) // _SMALLEST).bit_length() // 2
