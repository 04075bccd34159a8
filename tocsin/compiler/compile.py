"""From a topology to a plan, or to everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.expressions import names_in
from tocsin.compiler import kinds
from tocsin.compiler.detecting import detect
from tocsin.compiler.features import Draft, begin, derive, finish, read_rows
from tocsin.compiler.nodes import Context
from tocsin.compiler.order import in_order
from tocsin.compiler.plan import Plan
from tocsin.compiler.report import Report
from tocsin.compiler.rules import compile_rule
from tocsin.compiler.sinking import sink_plan
from tocsin.compiler.streams import shapes, stream_plan, table_plans
from tocsin.compiler.versions import topology_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tocsin.language.model import Expression, FeatureWord, Text, Topology


def compile_topology(topology: Topology) -> Plan:
    """Compile a topology.

    Raises:
        TopologyError: something is wrong; it holds every problem found.
    """
    report = Report()
    tables = table_plans(topology.tables, report)
    context = Context(topology, report, shapes(tables))
    streams = {str(name): stream_plan(word, context) for name, word in topology.streams.items()}
    _names_once(topology, report)
    for word in in_order(topology.features, report):
        _feature(word, context)
    rules = {str(n): rule for n, word in topology.rules.items() if (rule := compile_rule(word, context)) is not None}
    sinks = tuple(sink_plan(word, report) for word in topology.sinks.values())
    report.stop_if_wrong()
    features = {str(name) for name in topology.features}
    return Plan(
        str(topology.header.name),
        topology_version(topology),
        str(topology.header.zone),
        streams,
        tables,
        tuple(context.stages),
        rules,
        sinks,
        {name: name for name in sorted(features)},
        {node.name: node.memory for node in context.nodes.values()},
    )


def _names_once(topology: Topology, report: Report) -> None:
    for name in topology.features:
        if name in topology.streams:
            report.add(name, "name-twice", f"{name} is a stream and a feature", expected="a name of its own")


def _feature(word: FeatureWord, context: Context) -> None:
    """Compile one feature; one with problems is broken, and nothing is said of what reads it."""
    problems = len(context.report.problems)
    if word.sequence:
        what = "sequences are not part of this version"
        context.report.add(word.sequence[0].mark, "not-yet", what, expected="windows, movement or occupancy")
    draft = begin(word, context)
    if draft is not None:
        _parts(draft)
    if draft is None or len(context.report.problems) > problems:
        context.broken.add(str(word.name))
    else:
        finish(draft)


def _parts(draft: Draft) -> None:
    """Take the parts of a feature in turn, as long as there is no problem."""
    found = draft.context.report.problems
    problems = len(found)
    read_rows(draft)
    operator = _operator(draft.word, draft)
    if operator is None or len(found) > problems:
        return
    operator(draft)
    if len(found) > problems:
        return
    early, late = _around_detectors(draft.word)
    derive(draft, early, "derive")
    detect(draft)
    derive(draft, late, "derive>detected")


def _operator(word: FeatureWord, draft: Draft) -> Callable[[Draft], None] | None:
    """Choose what computes the feature; note a mix that makes no sense."""
    report = draft.context.report
    if word.occupancy is not None:
        if word.windows or word.movement is not None:
            what = f"feature {word.name} has occupancy and another operator"
            report.add(word.mark, "operators", what, expected="one feature for each")
            return None
        return kinds.occupancy
    trails = [kinds.is_trailing(window) for window in word.windows]
    if word.movement is not None or any(trails):
        if not all(trails):
            what = f"feature {word.name} mixes trailing windows or movement with other windows"
            report.add(word.mark, "windows", what, expected="one feature for each")
            return None
        return kinds.trailing
    return kinds.windows if word.windows else kinds.plain_rows


def _around_detectors(word: FeatureWord) -> tuple[Mapping[Text, Expression], Mapping[Text, Expression]]:
    """Split `derive` into what detectors may read and what reads detectors, keeping the order."""
    detected = {str(detector.name) for detector in word.detect}
    late: dict[Text, Expression] = {}
    for name, text in word.derive.items():
        read = {part.split(".")[0] for part in names_in(text)}
        if read & (detected | {str(known) for known in late}):
            late[name] = text
    return {n: t for n, t in word.derive.items() if n not in late}, late
