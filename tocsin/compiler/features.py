"""Features: what is read, filtered and grouped; which operator computes; what is derived and detected from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from operators.align import Align
from operators.expressions.bound import Bound, Lookup
from operators.rowwise import Column, Condition, Each, LookUps, RowStep, Rowwise
from operators.stage import Input, Stage
from tocsin.compiler.inputs import Route, make_input, tables_of
from tocsin.compiler.nodes import Context, Node, Shape
from tocsin.compiler.parameters import constants
from tocsin.language.model import Expression, FeatureWord, Text
from tocsin.model.rows import FEATURE_SYSTEM, Schema
from tocsin.model.types import BOOLEAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operators.contract import Operator
    from operators.expressions.scope import Constant
    from tocsin.model.types import Type

_CALL = re.compile(r"\s*(?P<table>[A-Za-z][A-Za-z0-9_-]*)\s*\((?P<key>.*)\)\s*", re.DOTALL)


@dataclass(slots=True)
class Draft:
    """A feature while it is compiled: the columns so far, the operators so far."""

    word: FeatureWord
    context: Context
    sources: tuple[Node, ...]
    columns: dict[str, Type]
    constants: dict[str, Constant]
    by: dict[str, Bound] = field(default_factory=dict)
    before: list[RowStep] = field(default_factory=list)
    chain: list[Operator] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    align: Align | None = None
    shape: Shape = Shape.ROWS
    memory: int = 0
    tables: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)
    """Columns of the source that expressions before the operator read."""

    def bind(self, text: Text, *, expect: Type | None = None) -> Bound | None:
        """Type an expression over the columns so far."""
        return self.context.report.bind(text, self.context.scope(self.columns, self.constants), expect=expect)

    @property
    def schema(self) -> Schema:
        """The schema of the rows between the operators."""
        return Schema(self.columns, FEATURE_SYSTEM)

    def rowwise(self, name: str, steps: Iterable[RowStep], *, exact: bool = True) -> None:
        """Append row-wise steps to the chain, if there are any."""
        steps = tuple(steps)
        self.tables.update(tables_of(steps))
        self.chain.append(Rowwise(name, steps, self.schema, self.context.keys, exact=exact))


def begin(word: FeatureWord, context: Context) -> Draft | None:
    """Look up what the feature reads; None if a source is not known."""
    sources = read_nodes(word.sources, context)
    if sources is None:
        return None
    columns = {name: type_ for node in sources for name, type_ in node.columns.items()}
    inherited = {name: value for node in sources for name, value in node.constants.items()}
    return Draft(
        word,
        context,
        sources,
        columns,
        inherited | constants(word.parameters),
        memory=max(node.memory for node in sources),
        shape=sources[0].shape,
    )


def read_nodes(names: Sequence[Text], context: Context) -> tuple[Node, ...] | None:
    """Give the nodes that are read together; None if one is not known, broken, or they do not fit together."""
    found = [context.node(name) for name in names]
    nodes = tuple(node for node in found if node is not None)
    return nodes if nodes and len(nodes) == len(names) and _together(names, nodes, context) else None


def _together(names: Sequence[Text], sources: Sequence[Node], context: Context) -> bool:
    """Several sources must have the same key and no other column in common."""
    first = sources[0]
    for name, node in zip(names[1:], sources[1:], strict=True):
        if not node.by or set(node.by) != set(first.by):
            said = f"{node.name} is by {', '.join(node.by) or 'nothing'}, {first.name} by {', '.join(first.by)}"
            context.report.add(name, "different-by", said, expected="features with the same `by`")
            return False
        shared = (set(node.columns) & set(first.columns)) - set(node.by) - {"window_start", "window_end"}
        if shared:
            said = f"{first.name} and {node.name} both have {', '.join(sorted(shared))}"
            context.report.add(name, "column-twice", said, expected="different column names")
            return False
    return True


def read_rows(draft: Draft) -> None:
    """Compile `each`, `by` and `where` (in that order of scope) into steps before the operator."""
    for name, text in draft.word.each.items():
        _each(draft, name, text)
    for name, text in draft.word.by.items():
        if (bound := draft.bind(text)) is not None:
            draft.by[str(name)] = bound
            draft.mentioned |= bound.columns
    if draft.word.where is not None and (bound := draft.bind(draft.word.where, expect=BOOLEAN)) is not None:
        draft.before.append(Condition(bound))
        draft.mentioned |= bound.columns


def _each(draft: Draft, name: Text, text: Expression) -> None:
    report, context = draft.context.report, draft.context
    call = _CALL.fullmatch(text)
    if call is None:
        report.add(text, "each", f"{text!s} is no look-up", expected="TABLE(expression of its key's first part)")
        return
    if call["table"] not in context.tables:
        report.unknown(Text(call["table"], text.mark), "table", context.tables)
        return
    bound = draft.bind(Text(call["key"], text.mark))
    if bound is None:
        return
    draft.mentioned |= bound.columns
    if bound.lookups:
        draft.before.append(LookUps(bound.lookups))
    lookup = Lookup(call["table"], (bound.expr,))
    draft.before.append(Each(str(name), lookup))
    draft.columns |= {f"{name}.{f}": t for f, t in context.tables[call["table"]].fields.items()}


def read_inputs(draft: Draft, *, keep: Iterable[str] | None) -> None:
    """Make the inputs; `keep`: the source columns the operator needs, None for all."""
    key = draft.by or _inherited_key(draft)
    kept = None if keep is None else frozenset(keep) | draft.mentioned
    for node in draft.sources:
        made, columns = make_input(Route(node, key, kept), str(draft.word.name), draft.context)
        draft.inputs.append(made)
        draft.columns = {n: t for n, t in draft.columns.items() if n in columns or "." in n or len(draft.sources) > 1}
        draft.columns |= {n: t for n, t in columns.items() if n in key}
    if len(draft.sources) > 1:
        draft.align = Align(tuple(key), Schema(draft.columns, FEATURE_SYSTEM))


def _inherited_key(draft: Draft) -> dict[str, Bound]:
    """A feature without `by` over a feature keeps its key."""
    first = draft.sources[0]
    return {n: Bound(pl.col(n), first.columns[n], frozenset({n}), (), n) for n in first.by}


def finish(draft: Draft) -> Node:
    """Make the stage and make the feature known."""
    word, context = draft.word, draft.context
    by = tuple(draft.by or _inherited_key(draft))
    schema = Schema(draft.columns, FEATURE_SYSTEM)
    node = Node(
        str(word.name), draft.columns, draft.shape, FEATURE_SYSTEM, by, memory=draft.memory, constants=draft.constants
    )
    context.nodes[node.name] = node
    context.stages.append(
        Stage(node.name, by, tuple(draft.inputs), tuple(draft.chain), schema, tuple(sorted(draft.tables)), draft.align)
    )
    return node


def derive(draft: Draft, texts: Mapping[Text, Expression], name: str) -> None:
    """Compile derived columns, each of which may read those before it."""
    steps: list[RowStep] = []
    for column, text in texts.items():
        if str(column) in draft.columns:
            draft.context.report.add(column, "name-twice", f"{column} is there already", expected="a new name")
        elif (bound := draft.bind(text)) is not None:
            steps.append(Column(str(column), bound))
            draft.columns[str(column)] = bound.type
    if steps:
        draft.rowwise(name, steps)
