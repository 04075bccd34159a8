"""`sinks` of a topology: kind, target, and `where` over the transition log.

`where` sees an alert's `rule`, `kind`, `level` (compared as blue < yellow < orange < red), `labels.NAME` and
`entity.NAME`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.expressions.scope import Constant, Scope
from tocsin.compiler.plan import LEVEL_NUMBERS, LogCondition, SinkPlan
from tocsin.errors import nearest
from tocsin.language.places import place_in
from tocsin.model.rates import rate_of
from tocsin.model.types import BOOLEAN, INT64, STRING, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.plan import RulePlan
    from tocsin.compiler.report import Report
    from tocsin.language.model import SinkWord, Text, Topology

_PLAIN: Mapping[str, Type] = {"level": INT64, "rule": STRING, "kind": STRING}
_TEXTS = re.compile(r"'(?:[^']|'')*'")
_NESTED = re.compile(r"(?<![\w.])(?P<column>labels|entity)\.(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


@dataclass(frozen=True, slots=True)
class Tellable:
    """What alerts of a topology can tell: names of labels and parts of entities; None where not all are known."""

    labels: frozenset[str]
    entity: frozenset[str] | None


def tellable(topology: Topology, rules: Mapping[str, RulePlan]) -> Tellable:
    """Collect it. `rules`: those that could be compiled."""
    labels = frozenset(str(label) for rule in topology.rules.values() for label in rule.labels)
    parts = frozenset(part for rule in rules.values() for part in rule.entity)
    return Tellable(labels, parts if len(rules) == len(topology.rules) else None)


def sink_plan(word: SinkWord, told: Tellable, report: Report) -> SinkPlan:
    """Type one sink."""
    where = None if word.where is None else _where(word.where, told, report)
    at_most = None if word.at_most is None else rate_of(str(word.at_most))
    return SinkPlan(str(word.name), str(word.kind), str(word.target), where, at_most)


def _where(text: Text, told: Tellable, report: Report) -> LogCondition | None:
    nested = _nested(text, told, report)
    columns = {**_PLAIN, **dict.fromkeys(nested, STRING)}
    levels = {name: Constant(number, INT64, name) for name, number in LEVEL_NUMBERS.items()}
    bound = report.bind(text, Scope(columns, parameters=levels), expect=BOOLEAN)
    if bound is None:
        return None
    return LogCondition(bound.expr, nested)


def _nested(text: Text, told: Tellable, report: Report) -> dict[str, tuple[str, str]]:
    """Give the paths into labels and entity that a condition names; note one that no rule has."""
    found: dict[str, tuple[str, str]] = {}
    blanked = _TEXTS.sub(lambda quoted: " " * len(quoted[0]), text)
    for match in _NESTED.finditer(blanked):
        column, name = match["column"], match["name"]
        known = told.labels if column == "labels" else told.entity
        if known is not None and name not in known:
            what, place = f"no rule has {match[0]}", place_in(text, match.start())
            expected = ", ".join(f"{column}.{each}" for each in sorted(known)) or f"{column} of a rule"
            report.add(place, f"unknown-{column}", what, expected=expected, nearest=nearest(name, known))
        found[match[0]] = column, name
    return found
