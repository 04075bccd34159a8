"""Features: what is read, filtered and grouped, derived and detected; which stages that makes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.bound import Bound, Lookup
from operators.reorder import Reorder
from operators.rowwise import Column, Condition, Each, LookUps, RowStep, Rowwise
from operators.stage import Input, Stage
from operators.windows.panes import PaneWindows
from tocsin.compiler.constant_conditions import check_varies
from tocsin.compiler.groups import groups_of
from tocsin.compiler.nodes import Context, Node, Rhythm, Shape
from tocsin.compiler.parameters import Parameters, constants
from tocsin.compiler.reading import Route, align_of, make_input, read_nodes, tables_of
from tocsin.compiler.types import NO_KEY
from tocsin.language.model import Expression, FeatureWord, Text
from tocsin.language.places import place_in
from tocsin.model.rows import FEATURE_SYSTEM, SOURCE_SYSTEM, Schema
from tocsin.model.types import BOOLEAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operators.align import Align
    from operators.contract import Operator
    from tocsin.compiler.empty_rows import EmptyRow
    from tocsin.compiler.report import Report
    from tocsin.model.types import Type

_CALL = re.compile(r"\s*(?P<table>[A-Za-z][A-Za-z0-9_-]*)\s*\((?P<key>.*)\)\s*", re.DOTALL)


@dataclass(slots=True)
class Draft:
    """A feature while it is compiled: the columns so far, the operators so far."""

    word: FeatureWord
    context: Context
    sources: tuple[Node, ...]
    columns: dict[str, Type]
    parameters: Parameters
    shape: Shape
    rhythm: Rhythm
    memory: int
    empty: EmptyRow | None
    groups: dict[str, frozenset[str]]
    noted: int
    """How many problems there were before this feature."""
    by: dict[str, Bound] = field(default_factory=dict)
    before: list[RowStep] = field(default_factory=list)
    chain: list[Operator] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    align: Align | None = None
    aggregated: bool = False
    key: tuple[str, ...] | None = None
    """The key columns of the stage at hand, where these are not those of `by`."""
    tables: set[str] = field(default_factory=set)
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tables of whose keys each bucket of the stage needs its own, for `for_all`."""
    mentioned: set[str] = field(default_factory=set)
    """Columns of the source that expressions before the operator read."""
    fills: int = 0
    """How long, in ms, rows are incomplete after a key's first one."""
    learns: int = 0
    """How far back, in ms, detectors reach beyond the memory of the rows."""

    @property
    def name(self) -> str:
        """The feature's name."""
        return str(self.word.name)

    @property
    def wrong(self) -> bool:
        """Whether a problem was found in this feature."""
        return len(self.context.report.problems) > self.noted

    def bind(self, text: Text, *, expect: Type | None = None) -> Bound | None:
        """Type an expression over the columns so far."""
        return self.context.report.bind(text, self.context.scope(self.columns, self.parameters), expect=expect)

    @property
    def schema(self) -> Schema:
        """The schema of the rows between the operators: a stream's rows are their own evidence until one aggregates."""
        events = self.align is None and all(node.source for node in self.sources) and not self.aggregated
        return Schema(self.columns, SOURCE_SYSTEM if events else FEATURE_SYSTEM)

    def append(self, operator: Operator) -> None:
        """Append an operator that gives rows of its own."""
        self.chain.append(operator)
        self.columns = {n: t for n, t in operator.output.columns.items() if not n.startswith("__")}
        self.aggregated = True

    def rowwise(self, name: str, steps: Iterable[RowStep], *, exact: bool = True) -> None:
        """Append row-wise steps to the chain."""
        steps = tuple(steps)
        self.tables.update(tables_of(steps))
        schema = Schema(self.columns, FEATURE_SYSTEM) if exact else self.schema
        self.chain.append(Rowwise(name, steps, schema, self.context.keys, exact=exact))
        self.aggregated = self.aggregated or exact

    def end_stage(self, suffix: str, key: tuple[str, ...], computed: Mapping[str, Bound]) -> None:
        """Make a stage of what there is so far; its rows go on to one with another key."""
        name, system = f"{self.name}>{suffix}", self.chain[-1].output.system
        self.context.stages.append(self._stage(name, system))
        kept = {**self.columns, **{n: bound.type for n, bound in computed.items()}}
        head = Reorder(key, Schema(kept, system), source=False)
        self.inputs, self.chain, self.align = [Input(name, head, tuple(computed.items()))], [], None
        self.tables, self.own, self.key = set(), {}, key

    def finish(self) -> None:
        """Make the last stage, and make the feature known."""
        self.context.stages.append(self._stage(self.name))
        self.context.nodes[self.name] = Node(
            self.name,
            self.columns,
            self.shape,
            FEATURE_SYSTEM,
            tuple(self.by),
            memory=self.memory,
            fills=self.fills,
            learns=self.learns,
            parameters=self.parameters,
            rhythm=self.rhythm,
            empty=self.empty,
            groups=self.groups,
        )

    def _stage(self, name: str, system: tuple[str, ...] = FEATURE_SYSTEM) -> Stage:
        key = tuple(self.by) if self.key is None else self.key
        schema, tables = Schema(self.columns, system), tuple(sorted(self.tables))
        inputs, chain = _by_key(tuple(self.inputs), tuple(self.chain)) if key else (self.inputs, self.chain)
        return Stage(name, key, tuple(inputs), tuple(chain), schema, tables, self.align, self.own)


def _by_key(inputs: tuple[Input, ...], chain: tuple[Operator, ...]) -> tuple[Sequence[Input], Sequence[Operator]]:
    """Let the head sort rows by key where windows of panes are the first to look at several at once."""
    first = next((at for at, operator in enumerate(chain) if not isinstance(operator, Rowwise)), None)
    if first is None or len(inputs) > 1 or inputs[0].dedup is not None:
        return inputs, chain
    windows = chain[first]
    if not isinstance(windows, PaneWindows):
        return inputs, chain
    head = replace(inputs[0], reorder=replace(inputs[0].reorder, by_key=True))
    return (head,), (*chain[:first], replace(windows, by_key=True), *chain[first + 1 :])


def begin(word: FeatureWord, context: Context) -> Draft | None:
    """Look up what the feature reads; None if a source is not known."""
    noted = len(context.report.problems)
    sources = _sources(word, context)
    if sources is None:
        return None
    own = constants(word.parameters, context.report)
    return Draft(
        word,
        context,
        sources,
        {name: type_ for node in sources for name, type_ in node.columns.items()},
        Parameters(own, tuple(node.parameters for node in sources)),
        sources[0].shape,
        sources[0].rhythm,
        max(node.memory for node in sources),
        sources[0].empty if len(sources) == 1 else None,
        {name: group for node in sources for name, group in node.groups.items()},
        noted,
        fills=max(node.fills for node in sources),
        learns=max(node.learns for node in sources),
    )


def _sources(word: FeatureWord, context: Context) -> tuple[Node, ...] | None:
    """Give what is read: rows side by side, or the rows of each step of a sequence."""
    if not word.sequence:
        return read_nodes(word.sources, context)
    nodes = tuple(node for step in word.sequence if (node := context.node(step.source)) is not None)
    return nodes if len(nodes) == len(word.sequence) else None


def read_rows(draft: Draft) -> None:
    """Compile `each`, `by` and `where` (in that order of scope) into steps before the operator."""
    if draft.word.sequence:
        return  # each step has a key and a condition of its own
    for name, text in draft.word.each.items():
        _each(draft, name, text)
    for name, text in draft.word.by.items():
        _key(draft, name, text)
    if not draft.word.by:
        draft.by = _inherited_key(draft)
    if draft.word.where is not None and (bound := draft.bind(draft.word.where, expect=BOOLEAN)) is not None:
        check_varies(draft.word.where, bound, draft.context.report)
        draft.before.append(Condition(bound))
        draft.mentioned |= bound.columns
        draft.empty = _left_in(draft.empty, bound)


def _left_in(empty: EmptyRow | None, condition: Bound) -> EmptyRow | None:
    """Give the empty row if a condition lets it through, as far as that is known."""
    left_out = empty is not None and empty.knows(condition) and empty.value(condition) is not True
    return None if left_out else empty


def _key(draft: Draft, name: Text, text: Expression) -> None:
    """Compile one part of `by`."""
    report = draft.context.report
    bound = draft.bind(text)
    if bound is None:
        return
    if not check_key(text, bound, report):
        pass
    elif str(name) in draft.columns and not _is(bound, str(name)):
        what = f"{name} is a column of {draft.sources[0].name} and a part of the key of {draft.name}"
        report.add(name, "name-twice", what, expected="another name for the part of the key")
    draft.by[str(name)] = bound
    draft.mentioned |= bound.columns


def check_key(text: Text, bound: Bound, report: Report) -> bool:
    """Note a part of a key that cannot be compared for being the same; whether it can."""
    if bound.type.kind in NO_KEY:
        what = f"{text} is of type {bound.type}, which is no key"
        report.add(text, "key", what, expected="texts, whole numbers, exact decimals or times")
    return bound.type.kind not in NO_KEY


def _is(bound: Bound, name: str) -> bool:
    """Whether an expression is just that column."""
    return bound.columns == {name} and not bound.lookups and bound.text == column_of(name, bound.type).text


def column_of(name: str, type_: Type) -> Bound:
    """Give the expression that is just a column."""
    return Bound(pl.col(name), type_, frozenset({name}), (), '"' + name + '"')


def _each(draft: Draft, name: Text, text: Expression) -> None:
    report, context = draft.context.report, draft.context
    call = _CALL.fullmatch(text)
    if call is None:
        report.add(text, "each", f"{text} is no look-up", expected="TABLE(expression of its key's first part)")
        return
    table = call["table"]
    if table not in context.tables:
        report.unknown(Text(table), "table", context.tables, place=place_in(text, call.start("table")))
        return
    scope = context.scope(draft.columns, draft.parameters)
    bound = report.bind(Text(call["key"]), scope, at=lambda offset: place_in(text, call.start("key") + offset))
    if bound is None:
        return
    shape = context.tables[table]
    first = shape.fields[shape.key[0]]
    if bound.type.physical != first.physical:
        report.add(text, "key", f"{bound.type} as the key {table}.{shape.key[0]}", expected=str(first))
    if taken := [column for column in draft.columns if column == name or column.startswith(f"{name}.")]:
        report.add(name, "name-twice", f"{name} and the column {taken[0]}", expected="a name of its own")
    draft.mentioned |= bound.columns
    if bound.lookups:
        draft.before.append(LookUps(bound.lookups))
    draft.before.append(Each(str(name), Lookup(table, (bound.expr,))))
    draft.columns |= {f"{name}.{column}": type_ for column, type_ in shape.fields.items()}
    if bound.columns - set(draft.sources[0].by):
        draft.empty = None


def read_inputs(draft: Draft, *, keep: Iterable[str] | None) -> None:
    """Make the inputs; `keep`: the source columns the operator needs, None for all."""
    kept = None if keep is None else frozenset(keep) | draft.mentioned
    read: dict[str, Type] = {}
    for node in draft.sources:
        made, columns = make_input(Route(node, draft.by, kept), draft.name, draft.context)
        draft.inputs.append(made)
        read |= columns
    prefixes = tuple(f"{name}." for name in draft.word.each)
    draft.columns = read | {n: t for n, t in draft.columns.items() if prefixes and n.startswith(prefixes)}
    draft.align = align_of(draft.sources, read)


def _inherited_key(draft: Draft) -> dict[str, Bound]:
    """A feature without `by` over a feature keeps its key."""
    first = draft.sources[0]
    return {name: column_of(name, first.columns[name]) for name in first.by}


def derive(draft: Draft, texts: Mapping[Text, Expression], name: str) -> None:
    """Compile derived columns, each of which may read those before it."""
    steps: list[RowStep] = []
    for column, text in texts.items():
        if str(column) in draft.columns:
            expected = "a new name"
            draft.context.report.add(column, "name-twice", f"{column} is a column already", expected=expected)
        elif (bound := draft.bind(text)) is not None:
            steps.append(Column(str(column), bound))
            draft.columns[str(column)] = bound.type
            draft.groups |= groups_of(str(column), bound, draft.groups)
            draft.empty = None if draft.empty is None else draft.empty.plus(str(column), bound)
    if steps:
        draft.rowwise(name, steps)
