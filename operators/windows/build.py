"""Window words to operators."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from operators.windows.accumulators import accumulators
from operators.windows.grids import grid, pane_mixes
from operators.windows.panes import PaneWindows
from operators.windows.results import WindowColumns, window_schema
from operators.windows.same import SameWindow
from operators.windows.session import SessionWindow
from tocsin.model.rows import WINDOW_END, WINDOW_START
from tocsin.model.windows import Calendar, Cumulating, Hopping, Same, Session, Trailing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.contract import Operator
    from operators.expressions.bound import Aggregated
    from operators.windows.accumulators import Accumulators
    from operators.windows.for_all import ForAll
    from tocsin.model.rows import Schema
    from tocsin.model.windows import Window

_ALONE = {
    Calendar: "a calendar day",
    Cumulating: "a cumulating window",
    Session: "a session window",
    Same: "`same`",
}


def mixes(windows: Sequence[Window]) -> str | None:
    """Explain why these windows cannot stand in one feature; None if they can."""
    if not windows:
        return "a feature with windows needs one at least"
    trailing = sum(isinstance(window, Trailing) for window in windows)
    if trailing == len(windows):
        return None
    if trailing:
        return "trailing windows give a row per event, other windows a row per window: make them two features"
    alone = next((word for window in windows for kind, word in _ALONE.items() if isinstance(window, kind)), None)
    if alone and len(windows) > 1:
        return f"{alone} must be the only window of its feature: its rows have bounds of their own"
    return None if alone in {_ALONE[Session], _ALONE[Same]} else pane_mixes(windows)


def windows_operator(
    name: str,
    by: tuple[str, ...],
    windows: Sequence[tuple[Window, Mapping[str, Aggregated]]],
    schema: Schema,
    *,
    for_all: ForAll | None = None,
) -> Operator:
    """Give the operator of a feature's windows, but for trailing ones (`operators.trailing`).

    `schema`: of the rows it reads. `for_all`: the table whose keys get rows for empty windows too. Raises ValueError
    with a sentence if the windows do not mix.
    """
    kinds = [window for window, _ in windows]
    if problem := mixes(kinds):
        raise ValueError(problem)
    if for_all is not None and (problem := _cannot_be_empty(by, kinds[0], for_all)):
        raise ValueError(problem)
    output = window_schema(by, [columns for _, columns in windows], schema)
    window, columns = windows[0]
    if isinstance(window, Trailing):
        raise ValueError("trailing windows are built by operators.trailing")  # noqa: TRY004  # the contract
    if isinstance(window, Session):
        return SessionWindow(name, by, window.gap, WindowColumns(_own(columns, schema), columns), output)
    if isinstance(window, Same):
        if not {WINDOW_START, WINDOW_END} <= set(schema.columns):
            raise ValueError("`same` is the window of the rows read: read a feature whose rows have one")
        return SameWindow(name, by, WindowColumns(_own(columns, schema), columns), output)
    return replace(_panes(name, by, windows, schema, output), for_all=for_all)


def _cannot_be_empty(by: Sequence[str], window: Window, for_all: ForAll) -> str | None:
    if isinstance(window, Session | Same):
        return "for_all needs windows that end without events: tumbling, hopping, cumulating or a calendar day"
    if len(by) != len(for_all.keys) or not by:
        return f"for_all needs a table whose key has the parts of `by` ({', '.join(by)})"
    return None


def _own(columns: Mapping[str, Aggregated], schema: Schema, *, rows: bool = False) -> Accumulators:
    return accumulators(columns.values(), schema, rows=rows)


def _panes(
    name: str,
    by: tuple[str, ...],
    windows: Sequence[tuple[Window, Mapping[str, Aggregated]]],
    schema: Schema,
    output: Schema,
) -> PaneWindows:
    kinds = [window for window, _ in windows]
    panes = grid(kinds)
    wide = max(range(len(kinds)), key=lambda number: _size(kinds[number]))
    own = tuple(WindowColumns(_own(columns, schema, rows=panes.slides), columns) for _, columns in windows)
    every = [column for _, columns in windows for column in columns.values()]
    return PaneWindows(name, by, panes, accumulators(every, schema, rows=panes.slides), own, wide, output)


def _size(window: Window) -> int:
    return window.size if isinstance(window, Hopping | Cumulating) else 0
