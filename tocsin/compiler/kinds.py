"""What each kind of feature compiles to: windows, trailing, movement, occupancy, or rows as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.movement import movement_operator
from operators.occupancy import occupancy_operator, presence_operator
from operators.reorder import Reorder
from operators.rowwise import Column, LookUps
from operators.stage import Input, Stage
from operators.trailing import trailing_operator
from operators.windows.build import mixes, windows_operator
from tocsin.compiler.features import Draft, read_inputs
from tocsin.compiler.inputs import Route, make_input
from tocsin.compiler.nodes import Shape
from tocsin.model.rows import FEATURE_SYSTEM, Schema
from tocsin.model.windows import Calendar, Cumulating, Hopping, Same, Session, Trailing, Window

if TYPE_CHECKING:
    from operators.expressions.bound import Aggregated, Bound, Lookup
    from tocsin.language.model import WindowWord

DAY = 86_400_000
Aggregates = list[tuple[Window, dict[str, "Aggregated"]]]


def is_trailing(word: WindowWord) -> bool:
    """Say whether a window looks back from each event."""
    return isinstance(word.window, Trailing)


def plain_rows(draft: Draft) -> None:
    """No operator: rows are filtered, multiplied and derived from."""
    read_inputs(draft, keep=None)
    draft.rowwise("rows", draft.before)


def windows(draft: Draft) -> None:
    """Windows of any kind but trailing."""
    bound = _aggregates(draft)
    if problem := mixes([window for window, _ in bound]):
        words = draft.word.windows
        draft.context.report.add(words[-1].mark, "windows", problem, expected="windows whose rows have the same times")
        return
    read_inputs(draft, keep=_read_by(bound))
    _prepare(draft, bound)
    operator = windows_operator("windows", tuple(draft.by), bound, draft.schema)
    draft.chain.append(operator)
    draft.columns = dict(operator.output.columns)
    draft.memory += max(_reach(window) for window, _ in bound)
    draft.shape = Shape.SESSION if isinstance(bound[0][0], Session) else Shape.GAUGE


def trailing(draft: Draft) -> None:
    """Trailing windows and movement: the event's columns stay, with numbers beside them."""
    bound = _aggregates(draft)
    word = draft.word
    place = None if word.movement is None else draft.bind(word.movement.place)
    if word.at is not None:
        _asked(draft, bound)
        return
    read_inputs(draft, keep=None)
    extra = () if place is None else place.lookups
    if place is not None:
        _moving(draft, bound, place)
    else:
        _prepare(draft, bound, extra)
    if bound:
        _append_trailing(draft, bound, probe=False)
        draft.shape = Shape.TRAILING
    else:
        draft.shape = Shape.MOVEMENT


def _moving(draft: Draft, bound: Aggregates, place: Bound) -> None:
    word = draft.word.movement
    if word is None:
        return
    fence = None if word.fence is None else draft.bind(word.fence)
    draft.columns["__place"] = place.type
    steps: list[Column | LookUps] = [Column("__place", place)]
    if fence is not None:
        draft.columns["__fence"] = fence.type
        steps.append(Column("__fence", fence))
    steps.append(LookUps(_lookups(bound)))
    draft.rowwise("rows", [*draft.before, *steps], exact=False)
    operator = movement_operator(
        "movement", tuple(draft.by), "__place", word.forget.ms, draft.schema, fence="__fence" if fence else None
    )
    draft.chain.append(operator)
    draft.columns = {n: t for n, t in operator.output.columns.items() if not n.startswith("__")}
    draft.memory += word.forget.ms


def _append_trailing(draft: Draft, bound: Aggregates, *, probe: bool) -> None:
    pairs = [(window, columns) for window, columns in bound if isinstance(window, Trailing)]
    operator = trailing_operator("trailing", tuple(draft.by), pairs, draft.schema, probe=probe)
    draft.chain.append(operator)
    draft.columns = dict(operator.output.columns)
    draft.memory += max(window.width + window.delayed for window, _ in pairs)


def _asked(draft: Draft, bound: Aggregates) -> None:
    """`at:`: the rows of another node ask, this feature's rows answer; the asking rows' columns stay."""
    word, context = draft.word, draft.context
    node = None if word.at is None else context.node(word.at)
    if node is None:
        return
    answering, scope = draft.sources[0], context.scope(node.columns)
    asked_key = {n: context.report.bind(text, scope) for n, text in word.by.items()}
    key = {str(n): b for n, b in asked_key.items() if b is not None}
    for source, by, keep, probe in (
        (answering, draft.by, _read_by(bound) | draft.mentioned, False),
        (node, key, None, True),
    ):
        made, columns = make_input(
            Route(source, by, None if keep is None else frozenset(keep), probe=probe), str(word.name), context
        )
        draft.inputs.append(made)
        draft.columns |= columns
    asked = {**node.columns, **{n: draft.by[n].type for n in draft.by}}
    draft.rowwise("rows", [*draft.before, LookUps(_lookups(bound))], exact=False)
    pairs = [(window, columns) for window, columns in bound if isinstance(window, Trailing)]
    operator = trailing_operator("trailing", tuple(draft.by), pairs, Schema(asked, FEATURE_SYSTEM), probe=True)
    draft.chain.append(operator)
    draft.columns = dict(operator.output.columns)
    draft.memory += max(window.width + window.delayed for window, _ in pairs)
    draft.shape = Shape.ROWS


def occupancy(draft: Draft) -> None:
    """Two stages: who is where (keyed by who), then how many are there (keyed by area)."""
    word, context = draft.word.occupancy, draft.context
    if word is None:
        return
    who, area = draft.bind(word.who), draft.bind(word.area)
    if who is None or area is None:
        return
    name = str(word.area).rsplit(".", maxsplit=1)[-1].strip()
    draft.by = {"who": who}
    made, columns = make_input(
        Route(draft.sources[0], draft.by, frozenset(area.columns | who.columns | draft.mentioned)),
        str(draft.word.name),
        context,
    )
    draft.columns = {**draft.columns, **columns, name: area.type}
    draft.rowwise("rows", [*draft.before, Column(name, area)])
    parents = _parents(draft, area.type.table)
    presence = presence_operator("presence", "who", name, word.every.ms, word.forget.ms, draft.schema, parents)
    first = f"{draft.word.name}>presence"
    if parents is not None:
        draft.tables.add(parents[0])
    chain = (*draft.chain, presence)
    context.stages.append(Stage(first, ("who",), (made,), chain, presence.output, tuple(sorted(draft.tables))))
    head = Input(first, Reorder((name,), presence.output, source=False))
    counts = occupancy_operator("occupancy", name, word.every.ms, presence.output)
    draft.inputs, draft.chain, draft.tables = [head], [counts], set()
    draft.by = {name: area}
    draft.columns = dict(counts.output.columns)
    draft.shape = Shape.GAUGE
    draft.memory += word.forget.ms


def _parents(draft: Draft, table: str) -> tuple[str, str, str] | None:
    word, report = draft.word.roll_up, draft.context.report
    if word is None:
        return None
    shape = draft.context.tables.get(table)
    if shape is None:
        report.add(word, "roll-up", "roll_up needs areas that are keys of a table", expected="`in:` a table's key")
        return None
    if word not in shape.fields:
        report.unknown(word, "field", shape.fields)
        return None
    return table, shape.key[0], str(word)


def _aggregates(draft: Draft) -> Aggregates:
    return [(word.window, _columns(draft, word)) for word in draft.word.windows]


def _columns(draft: Draft, word: WindowWord) -> dict[str, Aggregated]:
    scope = draft.context.scope(draft.columns, draft.constants)
    columns: dict[str, Aggregated] = {}
    for name, text in word.columns.items():
        if (bound := draft.context.report.bind_aggregate(text, scope)) is not None:
            columns[str(name)] = bound
    return columns


def _bounds(bound: Aggregates) -> list[Bound]:
    calls = [call for _, columns in bound for aggregated in columns.values() for call in aggregated.calls]
    parts = [part for call in calls for part in (call.argument, call.order, call.where)]
    return [part for part in parts if part is not None]


def _lookups(bound: Aggregates) -> tuple[Lookup, ...]:
    return tuple(lookup for part in _bounds(bound) for lookup in part.lookups)


def _read_by(bound: Aggregates) -> set[str]:
    return {column for part in _bounds(bound) for column in part.columns} | _window_columns(bound)


def _window_columns(bound: Aggregates) -> set[str]:
    return {"window_start", "window_end"} if any(isinstance(window, Same) for window, _ in bound) else set()


def _prepare(draft: Draft, bound: Aggregates, more: tuple[Lookup, ...] = ()) -> None:
    lookups = (*_lookups(bound), *more)
    steps = [*draft.before, *([LookUps(lookups)] if lookups else [])]
    if steps:
        draft.rowwise("rows", steps, exact=False)


def _reach(window: Window) -> int:
    match window:
        case Hopping(size=size) | Cumulating(size=size):
            return size
        case Calendar():
            return DAY + 3_600_000
        case Session(gap=gap):
            return gap
        case Trailing(width=width, delayed=delayed):
            return width + delayed
        case Same():
            return 0
