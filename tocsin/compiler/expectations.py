"""What can be wrong with the tests of a rule before they run: names, fields, levels, parts of the entity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.compiler.log_reading import ALERTS, base_rules
from tocsin.errors import nearest
from tocsin.language.model import Text
from tocsin.model.quality import FIELDS, QUALITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.report import Report
    from tocsin.language.model import GivenWord, RuleTest, RuleWord, Topology

_CLEAR = "clear"
_PARTS = "/"


def check_tests(rule: RuleWord, entity: tuple[str, ...], topology: Topology, report: Report) -> None:
    """Note names in the tests of a rule that do not exist, and levels that it does not have."""
    for test in rule.tests:
        for name, lines in test.given.items():
            _check_given(name, lines, topology, report)
        _check_expected(test, rule, entity, report)


def _check_given(name: Text, lines: tuple[GivenWord, ...], topology: Topology, report: Report) -> None:
    """Check the lines of a stream or table."""
    if name in topology.streams:
        stream = topology.streams[name]
        known: Mapping[Text, object] = stream.fields
        timeless = [line for line in lines if line.at is None and stream.time.field not in line.values]
        for line in timeless:
            report.add(line.mark, "test", f"an event of {name} without a time", expected="at: 10:00")
    elif name in topology.tables:
        known = topology.tables[name].fields
        _check_keys(name, lines, topology, report)
    elif name == QUALITY:
        known = {Text(field): None for field in FIELDS}
        for line in lines:
            if line.at is None or Text("stream") not in line.values:
                report.add(line.mark, "test", "counts without a stream or a minute", expected="stream: …, at: 10:00")
    elif name == ALERTS:
        expected = f"the events of which {', '.join(base_rules(topology)) or 'other rules'} makes alerts"
        report.add(name, "test", "alerts come from the rules under test", expected=expected)
        return
    else:
        declared = [*map(str, topology.streams), *map(str, topology.tables)]
        report.unknown(name, "stream or table", declared)
        return
    for column in (column for line in lines for column in line.values):
        if column not in known:
            what, names = f"{name} has no field {str(column)!r}", [str(field) for field in known]
            report.add(
                column, "unknown-field", what, expected=f"one of {', '.join(names)}", nearest=nearest(column, names)
            )


def _check_keys(name: Text, lines: tuple[GivenWord, ...], topology: Topology, report: Report) -> None:
    for line in lines:
        missing = [str(part) for part in topology.tables[name].key if part not in line.values]
        if missing:
            what = f"a row of {name} without {', '.join(missing)}"
            report.add(line.mark, "test", what, expected="all parts of the key")


def _check_expected(test: RuleTest, rule: RuleWord, entity: tuple[str, ...], report: Report) -> None:
    levels = [str(level) for level in rule.levels]
    for name, texts in test.expect.items():
        if entity and name.count(_PARTS) < len(entity) - 1:
            what = f"{name} names no entity, which is made of {', '.join(entity)}"
            report.add(name, "test", what, expected=_PARTS.join(entity))
        for text in texts:
            level = text.rsplit(" ", 1)[-1]
            if level != _CLEAR and level not in levels:
                what = f"rule {rule.name} has no level {level}"
                report.add(text, "test", what, expected=f"one of {', '.join([*levels, _CLEAR])}")
