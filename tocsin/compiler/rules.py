"""Rules: conditions per level, what an alert shows and says, the alert machine of the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.alerting.immediate import ImmediateMachine
from operators.alerting.machine import AlertMachine
from operators.alerting.rule import MachineSpec
from operators.rowwise import Rowwise
from operators.stage import Stage
from tocsin.compiler.clearing import check_clearing, check_times, clears
from tocsin.compiler.constant_conditions import check_varies
from tocsin.compiler.expectations import check_tests
from tocsin.compiler.groups import withheld
from tocsin.compiler.judging import Ruling
from tocsin.compiler.levels import MEASURE, add_levels, add_measure, always_on
from tocsin.compiler.nodes import Context, Shape
from tocsin.compiler.parameters import Parameters, check_parameters, constants
from tocsin.compiler.plan import RulePlan
from tocsin.compiler.reading import Route, align_of, make_input, read_nodes, steps_read, tables_of
from tocsin.compiler.templates import compile_templates
from tocsin.compiler.versions import version_of
from tocsin.language.model import Expression, RuleWord
from tocsin.model.rows import FEATURE_SYSTEM, SOURCE_SYSTEM, WINDOW_COLUMNS, Schema
from tocsin.model.types import BOOLEAN, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.expressions.bound import Bound

DAY = 86_400_000
_WINDOWS = 3
"""An entity without a row for three windows, or a day if that is more, is forgotten (semantics 17)."""


def compile_rule(word: RuleWord, context: Context) -> RulePlan | None:
    """Compile one rule into its stage; None if that cannot be done."""
    noted = len(context.report.problems)
    nodes = read_nodes(word.sources, context)
    if nodes is None:
        context.broken.add(f"rule {word.name}")
        return None
    own = constants(word.parameters, context.report)
    ruling = Ruling(
        word,
        context,
        nodes,
        {name: type_ for node in nodes for name, type_ in node.columns.items()},
        Parameters(own, tuple(node.parameters for node in nodes)),
        {name: group for node in nodes for name, group in node.groups.items()},
        nodes[0].empty if len(nodes) == 1 else None,
        noted,
    )
    plan = _compile(ruling)
    if ruling.wrong:
        context.broken.add(f"rule {word.name}")
    return plan


def _compile(ruling: Ruling) -> RulePlan | None:
    word, report = ruling.word, ruling.context.report
    read = dict(ruling.columns)
    entity = _entity(ruling)
    check_clearing(word, ruling.nodes, (entity or {}).values(), report)
    check_times(word, ruling.nodes, _expires(ruling), report)
    check_tests(word, tuple(entity or {}), ruling.context.topology, report)
    if entity is None:
        return None
    ruling.columns |= {name: bound.type for name, bound in entity.items()}
    spec = _spec(ruling, entity)
    if spec is None:
        return None
    check_parameters(word.parameters, ruling.parameters, read, report)
    _append_stage(ruling, entity, spec)
    how = clears(word, ruling.shape, spec.expires_ms, always_on(ruling))
    return RulePlan(str(word.name), spec.version, f"rule {word.name}", how, spec.immediate, tuple(entity))


def _entity(ruling: Ruling) -> dict[str, Bound] | None:
    """Give the parts of the fingerprint by name: the rule's `entity`, else the feature's `by`."""
    word, report = ruling.word, ruling.context.report
    parts = word.entity or tuple(Expression(name, word.mark) for name in ruling.node.by)
    if not parts and ruling.shape is Shape.STREAM:
        expected = "entity: the fields that say whom an alert is about"
        report.add(word.mark, "entity", f"rule {word.name} does not say whom its alerts are about", expected=expected)
        return None
    entity: dict[str, Bound] = {}
    for part in parts:
        bound = ruling.bind(part)
        if bound is None:
            continue
        if str(part) in entity:
            report.add(part, "name-twice", f"{part} stands twice in the entity", expected="it once")
        if len(ruling.nodes) > 1 and bound.columns - set(ruling.node.by):
            what = f"{part} is not made of what the rule's features have in common"
            report.add(part, "entity", what, expected=f"columns of {', '.join(ruling.node.by)}")
        entity[str(part)] = bound
    return None if ruling.wrong else entity


def _append_stage(ruling: Ruling, entity: Mapping[str, Bound], spec: MachineSpec) -> None:
    word, context = ruling.word, ruling.context
    name = f"rule {word.name}"
    ruling.steps += withheld(spec.read, ruling.columns, ruling.groups, context.topology.header.min_group)
    needed = frozenset(steps_read(ruling.steps) | {*spec.read, *ruling.node.by})
    inputs, columns = [], dict[str, Type]()
    for node in ruling.nodes:
        made, kept = make_input(Route(node, entity, needed), name, context)
        inputs.append(made)
        columns |= kept
    system = SOURCE_SYSTEM if spec.immediate else FEATURE_SYSTEM
    rows = Rowwise("conditions", tuple(ruling.steps), Schema(ruling.columns, system), context.keys, exact=False)
    machine = ImmediateMachine(spec) if spec.immediate else AlertMachine(spec)
    tables = tables_of(ruling.steps)
    align = align_of(ruling.nodes, columns)
    context.stages.append(Stage(name, tuple(entity), tuple(inputs), (rows, machine), machine.output, tables, align))


def _spec(ruling: Ruling, entity: Mapping[str, Bound]) -> MachineSpec | None:
    """Evaluate everything the machine reads; None if something is wrong with it."""
    word, context = ruling.word, ruling.context
    signs = add_measure(ruling)
    levels = add_levels(ruling)
    unless = _unless(ruling)
    windows = {name: type_ for name, type_ in WINDOW_COLUMNS.items() if name in ruling.columns}
    says, labels = compile_templates(word.says, ruling), compile_templates(word.labels, ruling)
    if ruling.wrong:
        return None
    return MachineSpec(
        topology=str(context.topology.header.name),
        rule=str(word.name),
        version=version_of(word, context.topology),
        entity={name: bound.type for name, bound in entity.items()},
        levels=levels,
        columns=_explained(ruling) | windows,
        measure=MEASURE if MEASURE in ruling.columns else None,
        signs=signs,
        unless=unless,
        for_ms=0 if word.for_ is None else word.for_.ms,
        keep_ms=None if word.keep is None else word.keep.ms,
        expires_ms=_expires(ruling),
        immediate=ruling.shape is Shape.STREAM,
        says=says,
        labels=labels,
        parameters=constants(word.parameters, context.report),
        runbook="" if word.runbook is None else str(word.runbook),
        zone=str(context.topology.header.zone),
    )


def _unless(ruling: Ruling) -> str | None:
    """Evaluate `unless`; give its column."""
    text = ruling.word.unless
    if text is None or (bound := ruling.bind(text, expect=BOOLEAN)) is None:
        return None
    check_varies(text, bound, ruling.context.report)
    return ruling.add("__unless", bound)


def _explained(ruling: Ruling) -> dict[str, Type]:
    measured = {n: t for n, t in ruling.columns.items() if n == MEASURE or n.startswith("__bound_")}
    return ruling.shown | measured


def _expires(ruling: Ruling) -> int:
    if ruling.word.expires is not None:
        return ruling.word.expires.ms
    return max(DAY, _WINDOWS * max(node.memory for node in ruling.nodes))
