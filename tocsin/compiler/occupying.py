"""`occupancy`: two stages, who is where (keyed by who), then how many are there (keyed by area)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from operators.occupancy import occupancy_operator, presence_operator
from operators.rowwise import Column
from tocsin.compiler.nodes import Rhythm, Shape
from tocsin.compiler.reading import Route, make_input

if TYPE_CHECKING:
    from operators.expressions.bound import Bound
    from tocsin.compiler.features import Draft
    from tocsin.language.model import OccupancyWord, Text

_PATH = re.compile(r"\s*(?:\w+\.)*(?P<name>[A-Za-z_]\w*)\s*")
_COUNTS = ("people", "inflow", "outflow")


def occupancy(draft: Draft) -> None:
    """Count people per area and tick."""
    word = draft.word.occupancy
    if word is None:
        return
    who, area = draft.bind(word.who), draft.bind(word.area)
    path = _PATH.fullmatch(word.area)
    if path is None:
        expected = "a column or a field looked up, such as cell.unit; columns under `derive` of the stream"
        draft.context.report.add(word.area, "occupancy", f"`{word.area}` gives the area no name", expected=expected)
    if who is None or area is None or path is None:
        return
    draft.by = {str(word.who) if str(word.who) in draft.columns else "who": who}
    parents = _parents(draft, area.type.table)
    if not draft.wrong:
        _append(draft, word, path["name"], area, parents)


def _append(draft: Draft, word: OccupancyWord, name: str, area: Bound, parents: tuple[str, str, str] | None) -> None:
    kept = frozenset(area.columns | draft.mentioned | {column for who in draft.by.values() for column in who.columns})
    made, columns = make_input(Route(draft.sources[0], draft.by, kept), draft.name, draft.context)
    draft.inputs = [made]
    draft.columns = {**columns, name: area.type}
    draft.rowwise("rows", [*draft.before, Column(name, area)], exact=False)
    (who,) = draft.by
    presence = presence_operator("presence", who, name, word.every.ms, word.forget.ms, draft.schema, parents)
    draft.tables |= {parents[0]} if parents is not None else set()
    draft.append(presence)
    draft.end_stage("presence", (name,), {})
    draft.by = {name: area}
    draft.append(occupancy_operator("occupancy", word.every.ms, presence.output))
    draft.shape, draft.rhythm, draft.empty = Shape.GAUGE, Rhythm("step", word.every.ms), None
    draft.groups = {count: frozenset({count}) for count in _COUNTS} | {"dwell": frozenset({"people"})}
    draft.memory += word.forget.ms
    draft.fills += word.forget.ms


def _parents(draft: Draft, table: str) -> tuple[str, str, str] | None:
    """Give the table of the hierarchy, its key and its column of parents."""
    word, report = draft.word.roll_up, draft.context.report
    if word is None:
        return None
    shape = draft.context.tables.get(table)
    if shape is None or len(shape.key) > 1:
        what = "roll_up needs areas that are keys of a table"
        report.add(word, "roll-up", what, expected="`in:` a column whose type is a table with a single key")
    elif word not in shape.fields:
        report.unknown(word, f"field of {table}", shape.fields)
    elif shape.fields[word].table != table:
        _no_parent(draft, word, table)
    else:
        return table, shape.key[0], str(word)
    return None


def _no_parent(draft: Draft, word: Text, table: str) -> None:
    what = f"{table}.{word} is {draft.context.tables[table].fields[word]}, not a row of {table} again"
    draft.context.report.add(word, "roll-up", what, expected=f"a field of type {table}")
