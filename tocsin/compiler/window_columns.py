"""The aggregates of a feature's windows, and what windows mean for memory and for when rows come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.compiler.nodes import Rhythm
from tocsin.model.rows import WINDOW_COLUMNS
from tocsin.model.windows import Calendar, Cumulating, Hopping, Same, Session, Trailing, Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.expressions.bound import Aggregated, Bound, Lookup
    from tocsin.compiler.features import Draft

    Aggregates = list[tuple[Window, dict[str, Aggregated]]]

DAY = 86_400_000
_LONGEST_DAY = DAY + 3_600_000
_SHORTEST_DAY = DAY - 3_600_000


def bind_windows(draft: Draft) -> Aggregates:
    """Type the aggregates of all windows; what is wrong is noted and left out."""
    report = draft.context.report
    scope = draft.context.scope(draft.columns, draft.parameters)
    bound: Aggregates = []
    for word in draft.word.windows:
        typed = {str(name): report.bind_aggregate(text, scope) for name, text in word.columns.items()}
        bound.append((word.window, {name: column for name, column in typed.items() if column is not None}))
    return bound


def pairs_of(bound: Aggregates) -> list[tuple[Trailing, Mapping[str, Aggregated]]]:
    """Give trailing windows with their columns."""
    return [(window, columns) for window, columns in bound if isinstance(window, Trailing)]


def all_columns(bound: Aggregates) -> dict[str, Aggregated]:
    """Give the columns of all windows."""
    return {name: column for _, columns in bound for name, column in columns.items()}


def lookups_in(bound: Aggregates) -> tuple[Lookup, ...]:
    """Give the look-ups that aggregates need."""
    return tuple(lookup for part in _bounds(bound) for lookup in part.lookups)


def read_by(bound: Aggregates) -> set[str]:
    """Give the columns of the rows read that aggregates and their windows need."""
    same = any(isinstance(window, Same) for window, _ in bound)
    return {column for part in _bounds(bound) for column in part.columns} | (set(WINDOW_COLUMNS) if same else set())


def _bounds(bound: Aggregates) -> Sequence[Bound]:
    calls = [call for _, columns in bound for aggregated in columns.values() for call in aggregated.calls]
    parts = [part for call in calls for part in (call.argument, call.order, call.where)]
    return [part for part in parts if part is not None]


def reach(window: Window) -> int:
    """Give how far a window looks back, ms."""
    match window:
        case Hopping(size=size) | Cumulating(size=size):
            return size
        case Calendar():
            return _LONGEST_DAY
        case Session(gap=gap):
            return gap
        case Trailing(width=width, delayed=delayed):
            return width + delayed
        case Same():
            return 0


def fills(window: Window) -> int:
    """Give how long after a key's first row its rows may still miss what came before that, ms.

    A tumbling window's first row may stand for a part of the window. Sessions do not tell.
    """
    match window:
        case Calendar():
            return _SHORTEST_DAY
        case Session():
            return 0
        case _:
            return reach(window)


def rhythm_of(window: Window) -> Rhythm:
    """Say when the rows of a window come."""
    match window:
        case Hopping(every=every) | Cumulating(every=every):
            return Rhythm("step", every)
        case Calendar(minute=minute, zone=zone):
            return Rhythm(f"day of {zone} from {minute // 60:02}:{minute % 60:02}")
        case Session():
            return Rhythm("session")
        case _:
            return Rhythm("event")
