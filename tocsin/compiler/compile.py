"""From a topology to a plan, or to everything that is wrong with it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from operators.expressions import names_in
from tocsin.compiler.built_in import quality_node, streams_table, with_alerts
from tocsin.compiler.clocks import check_clocks
from tocsin.compiler.detecting import detect
from tocsin.compiler.features import Draft, begin, derive, read_rows
from tocsin.compiler.fitting import check_feature
from tocsin.compiler.kinds import kind_of
from tocsin.compiler.log_reading import readers_of_alerts, rules_read
from tocsin.compiler.naming import check_names
from tocsin.compiler.nodes import Context
from tocsin.compiler.order import in_order, key_of, read_by
from tocsin.compiler.parameters import check_parameters
from tocsin.compiler.plan import Plan
from tocsin.compiler.report import Report
from tocsin.compiler.rules import compile_rule
from tocsin.compiler.sinking import sink_plan, tellable
from tocsin.compiler.streams import shapes, stream_plan, table_plans
from tocsin.compiler.versions import topology_version, version_of
from tocsin.errors import ExpressionError
from tocsin.language.model import FeatureWord
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tocsin.compiler.nodes import Node
    from tocsin.compiler.order import Reader
    from tocsin.compiler.plan import RulePlan
    from tocsin.language.model import Expression, Text, Topology


def compile_topology(topology: Topology) -> Plan:
    """Compile a topology.

    Raises:
        TopologyError: something is wrong; it holds every problem found.
    """
    report = Report()
    tables = table_plans(topology.tables, report) | streams_table(topology)
    context = Context(topology, report, shapes(tables))
    streams = {str(name): stream_plan(word, context) for name, word in topology.streams.items()}
    context.nodes[QUALITY] = quality_node()
    check_names(topology, report)
    check_clocks(topology, report)
    rules = _features_and_rules(context)
    told = tellable(topology, rules)
    sinks = tuple(sink_plan(word, told, report) for word in topology.sinks.values())
    _check_parameters(context)
    report.stop_if_wrong()
    return Plan(
        str(topology.header.name),
        topology_version(topology),
        str(topology.header.zone),
        streams,
        tables,
        tuple(context.stages),
        rules,
        sinks,
        {str(name): str(name) for name in sorted(topology.features)},
        _memory(context),
        context.versions,
    )


def _features_and_rules(context: Context) -> dict[str, RulePlan]:
    """Compile what reads no alerts, then what does, where features may have to wait for rules; give the rules."""
    topology = context.topology
    readers = readers_of_alerts(topology)
    rules: dict[str, RulePlan | None] = {}
    for feature in in_order((word for word in topology.features.values() if key_of(word) not in readers), context):
        with _versioned(feature, context):
            _feature(feature, context)
    for name, rule in topology.rules.items():
        if key_of(rule) not in readers:
            with _versioned(rule, context):
                rules[str(name)] = compile_rule(rule, context)
    words: list[Reader] = [*topology.features.values(), *topology.rules.values()]
    for word in in_order([word for word in words if key_of(word) in readers], context, partial(_reads, topology)):
        routed = with_alerts(word, rules, context)
        with _versioned(word, context):
            if isinstance(routed, FeatureWord):
                _feature(routed, context)
            else:
                rules[str(word.name)] = compile_rule(routed, context)
    return {str(name): plan for name in topology.rules if (plan := rules.get(str(name))) is not None}


@contextmanager
def _versioned(word: Reader, context: Context) -> Iterator[None]:
    """Note of which version the stages are that are made of a feature or rule."""
    known = len(context.stages)
    yield
    made = context.stages[known:]
    if made:
        context.versions |= dict.fromkeys((stage.name for stage in made), version_of(word, context.topology))


def _reads(topology: Topology, word: Reader) -> list[str]:
    return [*read_by(word), *(f"rule {name}" for name in rules_read(word, topology))]


def _memory(context: Context) -> dict[str, int]:
    """Say how far back features look, and streams have to be read: to the histories of detectors, and copies there."""
    nodes = context.nodes.values()
    longest = max((node.memory + node.learns for node in nodes), default=0)
    streams = {str(name) for name in context.topology.streams}
    return {node.name: longest + node.dedup if node.name in streams else node.memory for node in nodes}


def _feature(word: FeatureWord, context: Context) -> None:
    """Compile one feature; one with problems is broken, and nothing is said of what reads it."""
    draft = begin(word, context) if check_feature(word, context.report) else None
    if draft is not None:
        _parts(draft)
    if draft is None or draft.wrong:
        context.broken.add(str(word.name))
    else:
        draft.finish()


def _parts(draft: Draft) -> None:
    """Take the parts of a feature in turn, as long as there is no problem."""
    early, late = _around_detectors(draft.word)
    for part in (
        read_rows,
        kind_of(draft.word),
        lambda draft: derive(draft, early, "derive"),
        detect,
        lambda draft: derive(draft, late, "derive>detected"),
    ):
        part(draft)
        if draft.wrong:
            return


def _around_detectors(word: FeatureWord) -> tuple[Mapping[Text, Expression], Mapping[Text, Expression]]:
    """Split `derive` into what detectors may read and what reads detectors, keeping the order."""
    detected = {str(detector.name) for detector in word.detect}
    late: dict[Text, Expression] = {}
    for name, text in word.derive.items() if detected else ():
        if _read(text) & (detected | {str(known) for known in late}):
            late[name] = text
    return {name: text for name, text in word.derive.items() if name not in late}, late


def _read(text: Expression) -> set[str]:
    """Give what an expression begins its names with; nothing of one that is wrong, which is said where it is typed."""
    try:
        return {name.split(".")[0] for name in names_in(text)}
    except ExpressionError:
        return set()


def _check_parameters(context: Context) -> None:
    """Note parameters of features that neither they nor what reads them uses, where all of that could be compiled."""
    if context.broken:
        return
    for name, word in context.topology.features.items():
        node = context.nodes[str(name)]
        read = {column: None for node in _read_nodes(word, context) for column in node.columns}
        check_parameters(word.parameters, node.parameters, {**read, **node.columns}, context.report)


def _read_nodes(word: FeatureWord, context: Context) -> list[Node]:
    return [context.nodes[str(source)] for source in word.sources if str(source) in context.nodes]
