"""The built-in streams `quality` and `alerts`, and the built-in table `streams`, as nodes and stages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from operators.alerting.transitions import LOG
from operators.expressions.bound import Bound
from operators.expressions.scope import Constant
from operators.reorder import Reorder
from operators.rowwise import Column, Rowwise
from operators.stage import Input, Stage
from tocsin.compiler.log_reading import ALERTS, base_rules, named_rules, rules_read
from tocsin.compiler.nodes import Node, Shape
from tocsin.compiler.order import read_by
from tocsin.compiler.parameters import Parameters
from tocsin.compiler.plan import LEVEL_NUMBERS, TablePlan
from tocsin.compiler.window_columns import DAY, reach
from tocsin.language.model import FeatureWord, Text
from tocsin.language.places import place_in
from tocsin.model.quality import FIELDS, QUALITY, ROWS, STREAMS
from tocsin.model.rows import HASH, ID, SOURCE_SYSTEM, TIME, Schema
from tocsin.model.types import INT64, STRING, TIMESTAMP, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tocsin.compiler.nodes import Context
    from tocsin.compiler.order import Reader, ReaderT
    from tocsin.compiler.plan import RulePlan
    from tocsin.language.model import RuleWord, Topology
    from tocsin.model.windows import Window

_TEXTS = ("alert_id", "kind", "rule", "topology", "rule_version", "entity", "values")
_TOLD = ("says", "labels", "runbook", "reason")
MONTH = 31 * DAY
"""For how long `for_all: streams` tells of a silent stream: these are few, and missed for longer."""
_WINDOWS = 3
_INT64 = (1 << 63) - 1
LEVEL_NAME = "level_name"
ALERT_COLUMNS: Mapping[str, Type] = {
    **dict.fromkeys(_TEXTS, STRING),
    "sequence": INT64,
    "time": TIMESTAMP,
    LEVEL_NAME: STRING,
    "level": INT64,
    **dict.fromkeys(_TOLD, STRING),
}
"""What is read of every transition; `level` as a number, so that blue < yellow < orange < red. Beside these there are
`entity.NAME` and `labels.NAME`."""


def names_all(table: str, key: Iterable[Type]) -> bool:
    """Whether columns of these types can name the rows of a table; names of streams are no other texts."""
    return table != STREAMS or all(type_.table == STREAMS for type_ in key)


def horizon(table: str, windows: Iterable[Window]) -> int:
    """Give for how long (ms) `for_all` tells of a key that is silent: in general as long as a rule waits for rows."""
    return MONTH if table == STREAMS else max(DAY, _WINDOWS * max(reach(window) for window in windows))


def streams_table(topology: Topology) -> dict[str, TablePlan]:
    """Give the table of all declared streams, where something reads it."""
    words = list(topology.features.values())
    readers: list[Reader] = [*words, *topology.rules.values()]
    told = any(QUALITY in read_by(word) for word in readers) or any(word.for_all == STREAMS for word in words)
    if not told or STREAMS in topology.tables:
        return {}
    fields = dict.fromkeys(("stream", "topic", "format", "owner"), STRING)
    rows = tuple(
        {"stream": str(name)}
        | {n: str(text) for n, text in (("topic", s.topic), ("format", s.format), ("owner", s.owner)) if text}
        for name, s in topology.streams.items()
    )
    return {STREAMS: TablePlan(STREAMS, ("stream",), fields, None, "json", max(len(rows), 1), rows=rows)}


def quality_node() -> Node:
    """Give the node of `quality`: hosts bring its rows."""
    return Node(QUALITY, FIELDS, Shape.STREAM, ROWS.system)


def with_alerts(word: ReaderT, rules: Mapping[str, RulePlan | None], context: Context) -> ReaderT:
    """Give the word so that its source is the node of the alerts which it reads; the node is made if it is missing.

    `rules`: those compiled so far, None for the broken ones; what the word reads is among them.
    """
    if ALERTS not in read_by(word):
        return word
    _check_named(word, context)
    chosen = rules_read(word, context.topology)
    name = ALERTS if chosen == base_rules(context.topology) else f"{ALERTS} of {', '.join(chosen)}"
    if name not in context.nodes and name not in context.broken:
        _make(name, [plan for rule in chosen if (plan := rules.get(rule)) is not None], len(chosen), word, context)
    sources = tuple(Text(name, source.mark) if source == ALERTS else source for source in word.sources)
    return replace(word, sources=sources)


def _check_named(word: Reader, context: Context) -> None:
    """Note rules that a condition names and that do not exist."""
    known = [str(name) for name in context.topology.rules]
    for rule, offset in named_rules(word):
        if isinstance(word, FeatureWord) and word.where is not None and rule not in known:
            context.report.unknown(Text(rule), "rule", known, place=place_in(word.where, offset))


def _make(name: str, rules: list[RulePlan], number: int, word: Reader, context: Context) -> None:
    """Make the stage that brings the alerts of some rules together."""
    if len(rules) < number or not rules:
        context.broken.add(name)
        if not number and not context.report.problems:
            what = f"{word.name} reads alerts, but there is no rule that does not read them itself"
            context.report.add(word.mark, "no-alerts", what, expected="a rule on streams or features")
        return
    stages = {stage.name: stage for stage in context.stages}
    read = [stages[rule.stage] for rule in rules]
    words = [context.topology.rules[Text(rule.name)] for rule in rules]
    nested = _labels(words) | _entities(read)
    columns = {**ALERT_COLUMNS, **{path: type_ for path, (_, _, type_) in nested.items()}}
    steps = (*_levels(), *(_member(path, *found) for path, found in nested.items()), _hash())
    head = Schema(LOG.columns, (TIME, ID))
    inputs = tuple(Input(stage.name, Reorder(("alert_id",), head, source=False)) for stage in read)
    output = Schema(columns, SOURCE_SYSTEM)
    chain = (Rowwise("alerts", steps, output, {}),)
    context.stages.append(Stage(name, ("alert_id",), inputs, chain, output))
    behind = [node for rule in words for source in rule.sources if (node := context.nodes.get(str(source))) is not None]
    context.nodes[name] = Node(
        name,
        columns,
        Shape.STREAM,
        SOURCE_SYSTEM,
        memory=max(node.memory for node in behind),
        learns=max(node.learns for node in behind),
        parameters=Parameters({level: Constant(at, INT64, level) for level, at in LEVEL_NUMBERS.items()}),
    )


def _levels() -> tuple[Column, Column]:
    number = pl.col("level").replace_strict(LEVEL_NUMBERS, return_dtype=pl.Int64)
    read = frozenset({"level"})
    name = Bound(pl.col("level"), STRING, read, (), "level")
    return Column(LEVEL_NAME, name), Column("level", Bound(number, INT64, read, (), "number of level"))


def _hash() -> Column:
    hashed = pl.col(ID).hash() & pl.lit(_INT64, dtype=pl.UInt64)
    return Column(HASH, Bound(hashed, INT64, frozenset(), (), HASH))


def _member(path: str, column: str, name: str, type_: Type) -> Column:
    """Give a member of a JSON object of the log as a column."""
    return Column(path, Bound(pl.col(column).str.json_path_match(f"$['{name}']"), type_, frozenset({column}), (), path))


def _labels(rules: Iterable[RuleWord]) -> dict[str, tuple[str, str, Type]]:
    names = sorted({str(label) for rule in rules for label in rule.labels})
    return {f"labels.{name}": ("labels", name, STRING) for name in names}


def _entities(stages: Iterable[Stage]) -> dict[str, tuple[str, str, Type]]:
    """Give the parts of entities; one that is a text of one type for all rules, a person's perhaps, keeps it."""
    found: dict[str, set[Type]] = {}
    for stage in stages:
        types = stage.chain[0].output.columns
        for part in stage.key:
            found.setdefault(part, set()).add(types[part])
    return {f"entity.{part}": ("entity", part, _one_of(types)) for part, types in sorted(found.items())}


def _one_of(types: set[Type]) -> Type:
    (first, *others) = types
    return first if not others and first.physical == pl.String() else STRING
