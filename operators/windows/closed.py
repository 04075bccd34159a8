"""Partials of panes that have ended, of windows that slide: one per key and pane, in the order of panes.

Nothing comes into them any more, so they are merged once, and what enters or leaves windows at an end is a slice of
them. They have no evidence: of a window that slides it is among the latest items of each key, which are carried from
end to end (`operators.windows.sliding`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from operators.windows.ending import PANE
from operators.windows.runs import FAN, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from operators.grouping import Index

SMALL = 8_192
"""Rows below which runs are put together, so that panes of few rows do not become thousands of frames."""
_SPARED = 0.25
"""The part of a run that must have become useless before the rest of it is copied."""


@dataclass(slots=True)
class ClosedPanes:
    """Runs sorted by pane, the oldest panes first; no pane lies in two of them."""

    runs: list[pl.DataFrame] = field(default_factory=list)

    @property
    def newest(self) -> int | None:
        """The youngest pane; None without any."""
        return int(_panes(self.runs[-1])[-1]) if self.runs else None

    def add(self, run: pl.DataFrame) -> None:
        """Put partials of younger panes behind those there are."""
        if run.height:
            self.runs.append(run)
        small = sum(1 for _ in self._last_small())
        if small > FAN:
            self.runs[-small:] = [joined(self.runs[-small:])]

    def between(self, least: int | None, before: int) -> list[pl.DataFrame]:
        """Give the partials of panes from `least` (None: the oldest) on, before another; slices, none of them empty."""
        return [part for run in self.runs if (part := between(run, least, before)).height]

    def drop(self, oldest: int) -> None:
        """Drop the panes before `oldest`; a run is cut only when a part of it that is worth it is not needed."""
        kept: list[pl.DataFrame] = []
        for run in self.runs:
            needed = between(run, oldest, None).height
            if needed:
                spared = needed < (1 - _SPARED) * run.height
                kept.append(run.filter(run.get_column(PANE) >= oldest) if spared else run)
        self.runs = kept

    def _last_small(self) -> Iterator[pl.DataFrame]:
        for run in reversed(self.runs):
            if run.height >= SMALL:
                return
            yield run


def between(run: pl.DataFrame, least: int | None, before: int | None) -> pl.DataFrame:
    """Give the slice of a run, sorted by pane, whose panes are >= `least` and < `before`; None: no bound."""
    panes = _panes(run)
    start = 0 if least is None else int(np.searchsorted(panes, least))
    stop = panes.size if before is None else int(np.searchsorted(panes, before))
    return run.slice(start, max(stop - start, 0))


def _panes(run: pl.DataFrame) -> Index:
    panes: Index = run.get_column(PANE).to_numpy()
    return panes
