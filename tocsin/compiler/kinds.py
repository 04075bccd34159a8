"""What each kind of feature compiles to: windows, trailing windows with movement, sequences, or rows as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.movement import FENCED, MOVED, movement_operator
from operators.rowwise import Column, LookUps, RowStep
from operators.stage import own_part
from operators.trailing import trailing_operator
from operators.windows.build import mixes, windows_operator
from operators.windows.for_all import ForAll
from tocsin.compiler.asking import asked
from tocsin.compiler.built_in import horizon, names_all
from tocsin.compiler.empty_rows import empty_row
from tocsin.compiler.features import Draft, read_inputs
from tocsin.compiler.groups import aggregated_groups
from tocsin.compiler.nodes import Rhythm, Shape
from tocsin.compiler.occupying import occupancy
from tocsin.compiler.sequencing import sequence
from tocsin.compiler.window_columns import (
    all_columns,
    bind_windows,
    fills,
    lookups_in,
    pairs_of,
    reach,
    read_by,
    rhythm_of,
)
from tocsin.model.rows import WINDOW_COLUMNS
from tocsin.model.types import Kind
from tocsin.model.windows import Same, Session, Trailing

if TYPE_CHECKING:
    from collections.abc import Callable

    from operators.expressions.bound import Bound
    from tocsin.compiler.window_columns import Aggregates
    from tocsin.language.model import FeatureWord, MovementWord, Text
    from tocsin.model.types import Type


def kind_of(word: FeatureWord) -> Callable[[Draft], None]:
    """Choose what computes a feature whose words go together."""
    if word.sequence:
        return sequence
    if word.occupancy is not None:
        return occupancy
    if word.at is not None:
        return asked
    if word.movement is not None or any(isinstance(window.window, Trailing) for window in word.windows):
        return trailing
    return windows if word.windows else plain_rows


def plain_rows(draft: Draft) -> None:
    """No operator: rows are filtered, multiplied and derived from."""
    read_inputs(draft, keep=None)
    draft.rowwise("rows", draft.before)


def windows(draft: Draft) -> None:
    """Windows of any kind but trailing."""
    bound = bind_windows(draft)
    words, report = draft.word.windows, draft.context.report
    if problem := mixes([word.window for word in words]):
        report.add(words[-1].mark, "windows", problem, expected="windows whose rows have the same times")
        return
    same = isinstance(words[0].window, Same)
    if same and not set(WINDOW_COLUMNS) <= set(draft.columns):
        what = f"`same` is the window of the rows read, but rows of {draft.sources[0].name} have none"
        report.add(words[0].mark, "windows", what, expected="from: a feature with tumbling or hopping windows")
        return
    _check_names(draft, (*draft.by, *WINDOW_COLUMNS))
    draft.groups = aggregated_groups(all_columns(bound), draft.groups, draft.context.tables)
    expected = _expected(draft)
    if not draft.wrong:
        _append_windows(draft, bound, expected)


def _expected(draft: Draft) -> ForAll | None:
    """Give the table for whose keys there are rows in empty windows, too."""
    name, report = draft.word.for_all, draft.context.report
    if name is None:
        return None
    table = draft.context.tables.get(str(name))
    if table is None:
        report.unknown(name, "table", draft.context.tables)
        return None
    key = [table.fields[part].physical for part in table.key]
    types = [bound.type for bound in draft.by.values()]
    if [type_.physical for type_ in types] != key or not names_all(str(name), types):
        what = f"the key of {draft.name} is not that of {name}"
        report.add(name, "for-all", what, expected=f"by: as many parts as {', '.join(table.key)}, of the same types")
        return None
    draft.own[str(name)] = table.key
    draft.tables.add(str(name))
    return ForAll(own_part(str(name)), table.key, horizon(str(name), [word.window for word in draft.word.windows]))


def _append_windows(draft: Draft, bound: Aggregates, expected: ForAll | None) -> None:
    read_inputs(draft, keep=read_by(bound))
    _prepare(draft, bound)
    draft.append(windows_operator("windows", tuple(draft.by), bound, draft.schema, for_all=expected))
    window = bound[0][0]
    draft.memory += max(reach(window) for window, _ in bound)
    draft.fills += max(fills(window) for window, _ in bound)
    draft.shape = Shape.SESSION if isinstance(window, Session) else Shape.GAUGE
    draft.rhythm = draft.rhythm if isinstance(window, Same) else rhythm_of(window)
    draft.empty = None


def trailing(draft: Draft) -> None:
    """Trailing windows and movement: the event's columns stay, with numbers beside them."""
    bound = bind_windows(draft)
    word = draft.word.movement
    moving = None if word is None else _moving(draft, word)
    _check_names(draft, (*draft.columns, *draft.by, *(MOVED if word is not None else ())))
    if draft.wrong:
        return
    read_inputs(draft, keep=None)
    lookups = lookups_in(bound)
    if moving is not None and word is not None:
        _append_movement(draft, word, moving)
        if lookups:  # behind movement, which gives no columns but its own and the event's
            draft.rowwise("looked up", [LookUps(lookups)], exact=False)
    else:
        _prepare(draft, bound)
    draft.groups |= aggregated_groups(all_columns(bound), draft.groups, draft.context.tables)
    draft.shape, draft.rhythm = Shape.MOVEMENT, Rhythm("event")
    if bound:
        draft.empty = empty_row(draft.columns, draft.by, [columns for _, columns in bound])
        pairs = pairs_of(bound)
        draft.append(trailing_operator("trailing", tuple(draft.by), pairs, draft.schema))
        draft.memory += max(reach(window) for window, _ in bound)
        draft.fills += max(fills(window) for window, _ in bound)
        draft.shape = Shape.TRAILING


def _moving(draft: Draft, word: MovementWord) -> list[RowStep]:
    """Give the steps that make the place and the fence of each row."""
    steps: list[RowStep] = []
    made = [*MOVED, *(FENCED if word.fence is not None else ())]
    if taken := sorted(set(made) & set(draft.columns)):
        what = f"movement gives {taken[0]}, which is a column of {draft.sources[0].name}"
        draft.context.report.add(word.mark, "name-twice", what, expected="another name for that column")
    for name, text, kind in (("__place", word.place, Kind.POINT), ("__fence", word.fence, Kind.POLYGON)):
        if text is not None and (bound := _of_kind(draft, text, kind)) is not None:
            steps.append(Column(name, bound))
    return steps


def _of_kind(draft: Draft, text: Text, kind: Kind) -> Bound | None:
    bound = draft.bind(text)
    if bound is not None and bound.type.kind is not kind:
        draft.context.report.add(text, "types", f"{text} is of type {bound.type}", expected=f"a {kind}")
        return None
    return bound


def _append_movement(draft: Draft, word: MovementWord, steps: list[RowStep]) -> None:
    made: dict[str, Type] = {step.name: step.bound.type for step in steps if isinstance(step, Column)}
    draft.columns |= made
    draft.rowwise("rows", [*draft.before, *steps], exact=False)
    fence = "__fence" if "__fence" in made else None
    draft.append(movement_operator("movement", tuple(draft.by), "__place", word.forget.ms, draft.schema, fence=fence))
    draft.memory += word.forget.ms


def _prepare(draft: Draft, bound: Aggregates) -> None:
    """Filter, and look up what the aggregates read."""
    lookups = lookups_in(bound)
    steps: list[RowStep] = [*draft.before, *([LookUps(lookups)] if lookups else [])]
    if steps:
        draft.rowwise("rows", steps, exact=False)


def _check_names(draft: Draft, taken: tuple[str, ...]) -> None:
    """Note columns that are called like another one of the rows given."""
    for word in draft.word.windows:
        for name in word.columns:
            if str(name) in taken:
                what = f"{name} is a column of these rows already"
                draft.context.report.add(name, "name-twice", what, expected="a name of its own")
