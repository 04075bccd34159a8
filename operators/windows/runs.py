"""Partials in state: a list of runs in row order, merged a few at a time so that each row is merged rarely.

The first run is the great one. All are merged when together they have more than SPARE times its rows: so a partial is
merged 1 + 1 / (SPARE - 1) times, whatever the number of keys, and memory stays within SPARE times what is needed. Small
runs are merged FAN at a time, or a trickle of small batches would become thousands of frames. Frames of the state are
named `<kind>:<number>`, oldest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operators.contract import State

    Merge = Callable[[pl.DataFrame], pl.DataFrame]

FAN = 16
SPARE = 2
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
    """Merge what has come together: small runs of about the same size, or all runs."""
    kept = fanned_in([run for run in runs if run.height], merge)
    if len(kept) > 1 and sum(run.height for run in kept) > SPARE * kept[0].height:
        return [merge(joined(kept))]
    return kept


def fanned_in(runs: Sequence[pl.DataFrame], merge: Merge) -> list[pl.DataFrame]:
    """Merge the last runs as long as there are FAN of about the same size."""
    kept = list(runs)
    while len(kept) > FAN and _size_class(kept[-FAN]) <= max(map(_size_class, kept[1 - FAN :])):
        kept[-FAN:] = [merge(joined(kept[-FAN:]))]
    return kept


def joined(runs: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put runs behind each other, whose numbers may be of several widths."""
    same = all(run.schema == runs[0].schema for run in runs)
    return pl.concat(runs, how="vertical" if same else "vertical_relaxed", rechunk=True)


def _size_class(run: pl.DataFrame) -> int:
    return (max(run.height, _SMALLEST) // _SMALLEST).bit_length() // 4
