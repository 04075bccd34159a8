"""Rules: conditions per level, what an alert shows and says, the alert machine of the rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from operators.alerting.immediate import ImmediateMachine
from operators.alerting.machine import AlertMachine
from operators.alerting.rule import LevelSpec, MachineSpec
from operators.align import Align
from operators.expressions import signs_names
from operators.rowwise import Column, RowStep, Rowwise
from operators.stage import Input, Stage
from tocsin.compiler.clearing import clears
from tocsin.compiler.features import read_nodes
from tocsin.compiler.inputs import Route, make_input, tables_of
from tocsin.compiler.nodes import Context, Node, Shape
from tocsin.compiler.parameters import constants, quantity_of
from tocsin.compiler.plan import RulePlan
from tocsin.compiler.templates import Templates
from tocsin.compiler.versions import rule_version
from tocsin.language.model import Expression, LevelWord, RuleWord, Text
from tocsin.model.alerts import LEVELS, Level
from tocsin.model.rows import FEATURE_SYSTEM, WINDOW_COLUMNS, Schema
from tocsin.model.types import BOOLEAN, FLOAT64, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.alerting.template import Template
    from operators.expressions.bound import Bound
    from operators.expressions.scope import Constant

DAY = 86_400_000
_WINDOWS = 3


@dataclass(slots=True)
class Ruling:
    """A rule while it is compiled."""

    word: RuleWord
    context: Context
    sources: tuple[Node, ...]
    columns: dict[str, Type]
    constants: dict[str, Constant]
    steps: list[RowStep] = field(default_factory=list)
    shown: dict[str, Type] = field(default_factory=dict)
    """What the explanation shows: the columns that conditions and sentences read."""

    @property
    def shape(self) -> Shape:
        """How the rows that are judged come."""
        return self.sources[0].shape

    def bind(self, text: Text, *, expect: Type | None = None) -> Bound | None:
        """Type an expression over the columns so far."""
        scope = self.context.scope(self.columns, self.constants)
        return self.context.report.bind(text, scope, expect=expect)

    def add(self, name: str, bound: Bound) -> str:
        """Evaluate an expression into a column, and show what it read."""
        self.steps.append(Column(name, bound))
        self.columns[name] = bound.type
        self.show(bound)
        return name

    def show(self, bound: Bound) -> None:
        """Show the columns that an expression reads, looked-up ones included."""
        for column in bound.columns:
            if not column.startswith("__"):
                self.shown[column] = self.columns[column]


def compile_rule(word: RuleWord, context: Context) -> RulePlan | None:
    """Compile one rule into its stage; None if it is too wrong for that."""
    sources = read_nodes(word.sources, context)
    if sources is None:
        return None
    columns = {name: type_ for node in sources for name, type_ in node.columns.items()}
    inherited = {name: value for node in sources for name, value in node.constants.items()}
    ruling = Ruling(word, context, sources, columns, inherited | constants(word.parameters))
    how = clears(word, ruling.shape, context.report)
    entity = _entity(ruling)
    if entity is None:
        return None
    return _stage(ruling, entity, how)


def _entity(ruling: Ruling) -> dict[str, Bound] | None:
    """Give the parts of the fingerprint by name: the rule's `entity`, else the feature's `by`."""
    word, report = ruling.word, ruling.context.report
    parts = word.entity or tuple(Expression(name, word.mark) for name in ruling.sources[0].by)
    if not parts:
        expected = "entity: the fields that say whom an alert is about"
        report.add(word.mark, "entity", f"rule {word.name} does not say whom its alerts are about", expected=expected)
        return None
    bounds = {str(part): ruling.bind(part) for part in parts}
    return {n: b for n, b in bounds.items() if b is not None} if all(bounds.values()) else None


def _stage(ruling: Ruling, entity: Mapping[str, Bound], how: Mapping[str, str]) -> RulePlan:
    word, context = ruling.word, ruling.context
    inputs = [_input(ruling, node, entity) for node in ruling.sources]
    ruling.columns |= {n: b.type for n, b in entity.items()}
    aligned = Schema(ruling.columns, FEATURE_SYSTEM)
    align = Align(tuple(ruling.sources[0].by), aligned) if len(inputs) > 1 else None
    spec = _spec(ruling, entity)
    name = f"rule {word.name}"
    if spec is not None:
        rows = Rowwise(
            "conditions", tuple(ruling.steps), Schema(ruling.columns, FEATURE_SYSTEM), context.keys, exact=False
        )
        machine = ImmediateMachine(spec) if spec.immediate else AlertMachine(spec)
        stage = Stage(
            name, tuple(entity), tuple(inputs), (rows, machine), machine.output, tables_of(ruling.steps), align
        )
        context.stages.append(stage)
    version = rule_version(word, context.topology)
    return RulePlan(str(word.name), version, name, how, ruling.shape is Shape.STREAM, tuple(entity))


def _input(ruling: Ruling, node: Node, entity: Mapping[str, Bound]) -> Input:
    made, columns = make_input(Route(node, entity), f"rule {ruling.word.name}", ruling.context)
    ruling.columns |= columns
    return made


def _spec(ruling: Ruling, entity: Mapping[str, Bound]) -> MachineSpec | None:
    word, context = ruling.word, ruling.context
    signs = _measure(ruling)
    levels = [spec for level in sorted(word.levels, key=_rank) if (spec := _level(ruling, word.levels[level]))]
    unless = None if word.unless is None else ruling.bind(word.unless, expect=BOOLEAN)
    if unless is not None:
        ruling.add("__unless", unless)
    templates = Templates(ruling)
    says = templates.compile(word.says)
    labels = templates.compile(word.labels)
    if context.report.problems:
        return None
    ruling.shown |= {n: t for n, t in WINDOW_COLUMNS.items() if n in ruling.columns}
    return MachineSpec(
        topology=str(context.topology.header.name),
        rule=str(word.name),
        version=rule_version(word, context.topology),
        entity={n: b.type for n, b in entity.items()},
        levels=tuple(levels),
        columns=_explained(ruling),
        measure="measure" if word.measure is not None else None,
        signs=signs,
        unless="__unless" if unless is not None else None,
        for_ms=0 if word.for_ is None else word.for_.ms,
        keep_ms=None if word.keep is None else word.keep.ms,
        expires_ms=_expires(ruling),
        immediate=ruling.shape is Shape.STREAM,
        says=says,
        labels=labels,
        parameters=constants(word.parameters),
        runbook="" if word.runbook is None else str(word.runbook),
        zone=str(context.topology.header.zone),
    )


def _explained(ruling: Ruling) -> dict[str, Type]:
    bounds = {n: t for n, t in ruling.columns.items() if n.startswith("__bound_")}
    measure = {"measure": ruling.columns["measure"]} if "measure" in ruling.columns else {}
    return ruling.shown | measure | bounds


def _rank(level: str) -> int:
    return LEVELS.index(str(level))


def _expires(ruling: Ruling) -> int:
    if ruling.word.expires is not None:
        return ruling.word.expires.ms
    return max(DAY, _WINDOWS * max(node.memory for node in ruling.sources))


def _measure(ruling: Ruling) -> dict[str, str]:
    """Evaluate the measure; give the columns of its signs, if it counts any."""
    word = ruling.word
    if word.measure is None or (bound := ruling.bind(word.measure)) is None:
        return {}
    ruling.add("measure", bound)
    scope = ruling.context.scope(ruling.columns, ruling.constants)
    names = signs_names(word.measure, scope)
    return {} if names is None else {"signs": ruling.add("signs", names)}


def _level(ruling: Ruling, level: LevelWord) -> LevelSpec | None:
    if level.bound is not None:
        return _bounded(ruling, level, level.bound)
    if level.when is None or (when := ruling.bind(level.when, expect=BOOLEAN)) is None:
        return None
    reset = None if level.reset is None else ruling.bind(level.reset, expect=BOOLEAN)
    name = str(level.level)
    return LevelSpec(
        level=Level[name.upper()],
        when=ruling.add(f"__when_{name}", when),
        reset=None if reset is None else ruling.add(f"__reset_{name}", reset),
        says=_own_words(ruling, level),
    )


def _bounded(ruling: Ruling, level: LevelWord, bound: Text) -> LevelSpec | None:
    """A bound of the measure: it rises at measure >= bound and falls at measure <= bound less the slack."""
    if ruling.word.measure is None:
        what = f"level {level.level} is a bound, but rule {ruling.word.name} has no measure"
        ruling.context.report.add(bound, "bound-without-measure", what, expected="measure: EXPRESSION, or a condition")
        return None
    if "measure" not in ruling.columns:
        return None
    value = quantity_of(str(bound))
    column = f"__bound_{level.level}"
    if value is None:
        if (typed := ruling.bind(bound)) is None:
            return None
        ruling.add(column, typed)
        said: Constant | str = column
    else:
        ruling.constants[column] = value
        said = value
    name = str(level.level)
    when = ruling.bind(Text(f"measure >= {column}", bound.mark), expect=BOOLEAN)
    reset = ruling.bind(Text(f"measure <= {column} - abs({column}) * {_slack(ruling)}", bound.mark), expect=BOOLEAN)
    if when is None or reset is None:
        return None
    return LevelSpec(
        level=Level[name.upper()],
        when=ruling.add(f"__when_{name}", when),
        reset=ruling.add(f"__reset_{name}", reset),
        bound=said,
        says=_own_words(ruling, level),
    )


def _slack(ruling: Ruling) -> float:
    slack = ruling.word.slack
    if slack is None:
        return 0.0
    value = quantity_of(str(slack))
    if value is None or value.type != FLOAT64 or not 0 <= float(value.value) < 1:
        ruling.context.report.add(slack, "slack", f"slack {str(slack)!r} is no share", expected="0% to 99%, such as 5%")
        return 0.0
    return float(value.value)


def _own_words(ruling: Ruling, level: LevelWord) -> Mapping[str, Template]:
    return {} if level.says is None else Templates(ruling).compile({Text(""): level.says})
