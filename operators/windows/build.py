"""Window words to operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.windows.accumulators import accumulators
from operators.windows.grids import grid, pane_mixes
from operators.windows.panes import PaneWindows
from operators.windows.results import WindowColumns, window_schema
from tocsin.model.windows import Calendar, Cumulating, Hopping, Same, Session, Trailing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.contract import Operator
    from operators.expressions.bound import Aggregated
    from tocsin.model.rows import Schema
    from tocsin.model.windows import Window

Columns = "Mapping[str, Aggregated]"


def mixes(windows: Sequence[Window]) -> str | None:
    """Explain why these windows cannot stand in one feature; None if they can."""
    return pane_mixes(windows)


def windows_operator(
    name: str, by: tuple[str, ...], windows: Sequence[tuple[Window, Mapping[str, Aggregated]]], schema: Schema
) -> Operator:
    """Give the operator of a feature's windows. `schema`: of the rows it reads. ValueError if the windows do not mix."""
    kinds = [window for window, _ in windows]
    panes = grid(kinds)
    wide = max(range(len(kinds)), key=lambda number: _size(kinds[number]))
    slides = panes.slides
    parts = tuple(
        WindowColumns(accumulators(columns.values(), schema, rows=slides), columns) for _, columns in windows
    )
    every = [column for _, columns in windows for column in columns.values()]
    output = window_schema(by, [columns for _, columns in windows], schema)
    return PaneWindows(name, by, panes, accumulators(every, schema, rows=slides), parts, wide, output)


def _size(window: Window) -> int:
    return window.size if isinstance(window, Hopping | Cumulating) else 0
