"""`sequence`: one input per step, whose columns take the step's name; conditions may read the steps before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.bound import Bound
from operators.sequence import STEP, StepSpec, column_of_step, sequence_operator
from tocsin.compiler.constant_conditions import check_varies
from tocsin.compiler.features import check_key, column_of
from tocsin.compiler.groups import renamed
from tocsin.compiler.nodes import Rhythm, Shape
from tocsin.compiler.reading import Route, make_input
from tocsin.model.rows import Schema
from tocsin.model.types import BOOLEAN, INT64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.stage import Input
    from tocsin.compiler.features import Draft
    from tocsin.compiler.nodes import Context, Node
    from tocsin.language.model import SequenceStep, Text
    from tocsin.model.types import Type


def sequence(draft: Draft) -> None:
    """Rows of several streams and features, one after the other."""
    word, number = draft.word, _absent(draft)
    keys = [_key(draft, step, node) for step, node in zip(word.sequence, draft.sources, strict=True)]
    specs: list[StepSpec] = []
    before: dict[str, Type] = {}
    for step, node in zip(word.sequence, draft.sources, strict=True):
        spec = _step(draft, step, node, before)
        specs.append(spec)
        before |= {} if step.name == word.absence else spec.named
    _check_keys(draft, keys)
    _check_absent(draft, specs, number)
    if not word.by and any(node.by for node in draft.sources):
        what = f"{draft.name} does not say whose steps they are"
        draft.context.report.add(word.name, "operators", what, expected="by: columns that the rows of all steps have")
    if not draft.wrong:
        _append(draft, keys, specs, number)


def _absent(draft: Draft) -> int | None:
    """Give the number of the step that must be missing."""
    names = [step.name for step in draft.word.sequence]
    return None if draft.word.absence is None else names.index(draft.word.absence)


def _key(draft: Draft, step: SequenceStep, node: Node) -> dict[str, Bound]:
    """Give the key in the rows of a step: as the feature says, but for what the step calls otherwise."""
    report = draft.context.report
    for name in step.by:
        if name not in draft.word.by:
            report.unknown(name, f"part of the key of {draft.name}", map(str, draft.word.by))
    scope = draft.context.scope(node.columns, draft.parameters)
    found: dict[str, Bound] = {}
    for name, everywhere in draft.word.by.items():
        text = step.by.get(name, everywhere)
        bound = report.bind(text, scope)
        if bound is not None and check_key(text, bound, report):
            found[str(name)] = bound
    return found


def _step(draft: Draft, step: SequenceStep, node: Node, before: Mapping[str, Type]) -> StepSpec:
    """Give a step; its condition reads its own columns by their names, and those of the steps before by theirs."""
    report = draft.context.report
    _check_names(draft, step, node)
    bound: Bound | None = None
    if step.where is not None:
        scope = draft.context.scope({**before, **node.columns}, draft.parameters)
        bound = report.bind(step.where, scope, expect=BOOLEAN)
        if bound is not None:
            check_varies(step.where, bound, report)
    return StepSpec(str(step.name), node.columns, bound, _origin(node, draft.context))


def _origin(node: Node, context: Context) -> str:
    """Give the stream whose events a node has its ids from; a window or an area has ids of its own."""
    word = next((word for name, word in context.topology.features.items() if name == node.name), None)
    if word is None or len(word.sources) > 1 or word.occupancy is not None:
        return node.name
    if word.at is not None:
        behind = word.at
    elif word.sequence:
        behind = next(step.source for step in reversed(word.sequence) if step.name != word.absence)
    elif word.windows and node.shape is not Shape.TRAILING:
        return node.name
    else:
        behind = word.sources[0]
    return _origin(context.nodes[str(behind)], context)


def _check_names(draft: Draft, step: SequenceStep, node: Node) -> None:
    """Note names of which it would not be clear whether they begin with a step before or a column."""
    steps = draft.word.sequence
    for other in steps[: steps.index(step)]:
        taken = [column for column in node.columns if column.split(".")[0] == other.name]
        if taken:
            what = f"{other.name} is a step, and {node.name}, which can be {step.name}, has the column {taken[0]}"
            draft.context.report.add(other.name, "name-twice", what, expected="another name for the step")
    if step.name in draft.word.by:
        what = f"{step.name} is a step and a part of the key of {draft.name}"
        draft.context.report.add(step.name, "name-twice", what, expected="another name for the step")


def _check_keys(draft: Draft, keys: list[dict[str, Bound]]) -> None:
    """Note keys of which no value could be the same in two steps."""
    for name, text in draft.word.by.items():
        found = [
            (step, key[str(name)].type) for step, key in zip(draft.word.sequence, keys, strict=True) if str(name) in key
        ]
        for step, type_ in found[1:]:
            first, other = found[0]
            if _domain(type_) != _domain(other):
                what = f"{name} is {other} in {first.name} and {type_} in {step.name}"
                place: Text = step.by.get(name, text)
                draft.context.report.add(place, "different-by", what, expected="a key of one type")


def _domain(type_: Type) -> tuple[pl.DataType, int, str]:
    return type_.physical, type_.scale, type_.person


def _check_absent(draft: Draft, specs: list[StepSpec], number: int | None) -> None:
    """Note a last step that must be missing and is compared: which chain it would answer is not said."""
    step = None if number is None else draft.word.sequence[number]
    if step is None or step.where is None or number != len(specs) - 1 or not specs[number].compares:
        return
    what = f"{step.name} must not come, and its condition reads the steps that wait for it"
    draft.context.report.add(step.where, "absence", what, expected="what they have in common under `by`")


def _append(draft: Draft, keys: list[dict[str, Bound]], specs: list[StepSpec], number: int | None) -> None:
    word, context = draft.word, draft.context
    for at, (spec, node, key) in enumerate(zip(specs, draft.sources, keys, strict=True)):
        draft.inputs.append(_input(draft, at, spec, node, key))
        if spec.condition is not None:
            draft.tables |= {lookup.table for lookup in spec.condition.lookups}
    draft.by = keys[0]
    types = {name: bound.type for name, bound in draft.by.items()}
    within = 0 if word.within is None else word.within.ms
    draft.append(sequence_operator(types, specs, within, absent=number, tables=context.keys))
    draft.memory += within
    draft.shape, draft.rhythm, draft.empty = Shape.SEQUENCE, Rhythm("match"), None
    draft.groups = {}
    for at, (spec, node) in enumerate(zip(specs, draft.sources, strict=True)):
        if at != number:
            draft.groups |= renamed(node.groups, partial(column_of_step, spec.name))


def _input(draft: Draft, number: int, spec: StepSpec, node: Node, key: Mapping[str, Bound]) -> Input:
    """Give the input of a step: its key, its number, and its columns under the step's name."""
    hidden = {f"__key {name}": bound for name, bound in key.items()}  # the node may have columns called like the key
    made, _ = make_input(Route(node, hidden), f"{draft.name}>{spec.name}", draft.context)
    computed = dict(made.key)
    keys = [(name, computed.get(h, column_of(h, hidden[h].type))) for name, h in zip(key, hidden, strict=True)]
    named = [(column_of_step(spec.name, name), column_of(name, type_)) for name, type_ in spec.columns.items()]
    mark = (STEP, Bound(pl.lit(number, dtype=pl.Int64), INT64, frozenset(), (), str(number)))
    columns = {name: bound.type for name, bound in key.items()} | {STEP: INT64} | spec.named
    schema = Schema(columns, made.reorder.schema.system)
    reorder = replace(made.reorder, key=tuple(key), schema=schema)
    dedup = None
    if made.dedup is not None:
        dedup = replace(made.dedup, name=f"{made.dedup.name} as {spec.name}", key=tuple(key), output=schema)
    return replace(made, reorder=reorder, key=(*keys, *named, mark), dedup=dedup, step=spec.name)
