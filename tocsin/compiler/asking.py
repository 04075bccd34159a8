"""`at:`: trailing windows read at the rows of another node, whose columns stay."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from operators.rowwise import Condition, LookUps, RowStep
from operators.stage import PROBE
from operators.trailing import trailing_operator
from tocsin.compiler.groups import aggregated_groups
from tocsin.compiler.nodes import Node, Rhythm, Shape
from tocsin.compiler.reading import Route, make_input
from tocsin.compiler.window_columns import all_columns, bind_windows, fills, lookups_in, pairs_of, reach, read_by
from tocsin.model.rows import FEATURE_SYSTEM, Schema

if TYPE_CHECKING:
    from operators.expressions.bound import Bound
    from tocsin.compiler.features import Draft
    from tocsin.compiler.window_columns import Aggregates


def asked(draft: Draft) -> None:
    """The rows of another node ask, this feature's rows answer."""
    bound = bind_windows(draft)
    asking = None if draft.word.at is None else draft.context.node(draft.word.at)
    if asking is None:
        return
    key = _key(draft, asking)
    _check_names(draft, asking)
    if not draft.wrong:
        _append(draft, bound, asking, key)


def _key(draft: Draft, asking: Node) -> dict[str, Bound]:
    """Give the key of the rows that ask: the same expressions, over their columns."""
    report, scope = draft.context.report, draft.context.scope(asking.columns)
    key = {str(name): bound for name, text in draft.word.by.items() if (bound := report.bind(text, scope)) is not None}
    for name, text in draft.word.by.items():
        one, other = draft.by.get(str(name)), key.get(str(name))
        if one is not None and other is not None and one.type.physical != other.type.physical:
            what = f"{name} is {one.type} in {draft.sources[0].name} and {other.type} in {asking.name}"
            report.add(text, "different-by", what, expected="a key of one type")
    return key


def _check_names(draft: Draft, asking: Node) -> None:
    for word in draft.word.windows:
        for name in word.columns:
            if str(name) in asking.columns:
                what = f"{name} is a column of {asking.name}, whose columns stay"
                draft.context.report.add(name, "name-twice", what, expected="a name of its own")


def _append(draft: Draft, bound: Aggregates, asking: Node, key: dict[str, Bound]) -> None:
    kept = frozenset(read_by(bound) | draft.mentioned)
    routes = (Route(draft.sources[0], draft.by, kept, probe=False), Route(asking, key, probe=True))
    for route in routes:
        made, columns = make_input(route, draft.name, draft.context)
        draft.inputs.append(made)
        draft.columns |= columns
    answers: list[RowStep] = [_of_answers(step) if isinstance(step, Condition) else step for step in draft.before]
    draft.rowwise("rows", [*answers, LookUps(lookups_in(bound))], exact=False)
    schema = Schema({**asking.columns, **{n: b.type for n, b in key.items()}}, FEATURE_SYSTEM)
    draft.append(trailing_operator("trailing", tuple(draft.by), pairs_of(bound), schema, probe=True))
    draft.memory = max(draft.memory, asking.memory) + max(reach(window) for window, _ in bound)
    draft.fills = max(draft.fills, asking.fills) + max(fills(window) for window, _ in bound)
    draft.learns = max(draft.learns, asking.learns)
    draft.shape, draft.rhythm, draft.empty = Shape.ASKED, Rhythm("event"), None
    draft.groups = dict(asking.groups) | aggregated_groups(all_columns(bound), draft.groups, draft.context.tables)


def _of_answers(step: Condition) -> Condition:
    """Let `where` choose among the rows that answer; those that ask have other columns."""
    return Condition(replace(step.bound, expr=pl.col(PROBE) | step.bound.expr))
