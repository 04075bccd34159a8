"""The words of `tests` in rules: given events, expected levels at times."""

# `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.errors import nearest
from tocsin.language.collections import ListOf, Many, MapOf
from tocsin.language.nodes import MapNode, Node
from tocsin.language.records import Record, word
from tocsin.language.report import Refused
from tocsin.language.scalars import ANY_TEXT, DURATION, INTEGER, MOMENT, MOMENT_PATTERN, NAME
from tocsin.language.shapes import Reading, Schema, wrong_shape
from tocsin.language.text import NOWHERE, Duration, Text
from tocsin.model.alerts import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark
    from tocsin.language.shapes import Shape

OUTCOMES = (*LEVELS, "clear")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWord:
    """One line of a rule's test: fields of an event, `at`, and how often it happens."""

    values: Mapping[Text, Text | tuple[Text, ...]]
    at: Text | None = None
    every: Duration | None = None
    times: int | None = None
    until: Text | None = None
    mark: Mark = NOWHERE


class Given:
    """A map of fields, with `at`, `every`, `times` and `until` among them.

    A list goes round: the first event takes its first value, and so on. `{n}` in a text is the number of the event.
    """

    words = "a map {field: value, at: 10:00, every: 30s, times: 12}"
    _timing: Mapping[str, Shape] = {"at": MOMENT, "every": DURATION, "times": INTEGER, "until": MOMENT}
    _value = Many(ANY_TEXT)

    def read(self, node: Node, reading: Reading) -> GivenWord:
        """Give the line."""
        if not isinstance(node, MapNode):
            raise wrong_shape(node, self.words, reading)
        timing: dict[str, Any] = {}
        values: dict[Text, Text | tuple[Text, ...]] = {}
        for name, value in node.entries:
            try:
                if name in self._timing:
                    timing[name] = self._timing[name].read(value, reading)
                else:
                    read = self._value.read(value, reading)
                    values[name] = read[0] if isinstance(value, Text) else read
            except Refused:
                continue
        self._check(timing, node.mark, reading)
        return GivenWord(values=values, mark=node.mark, **timing)

    def _check(self, timing: dict[str, Any], mark: Mark, reading: Reading) -> None:
        """Refuse repetitions without a step, and steps without an end."""
        if ("times" in timing or "until" in timing) and "every" not in timing:
            reading.report.add(mark, "missing-word", "repeated, but how often?", "`every: 30s`")
        if "every" in timing and not ("times" in timing or "until" in timing):
            reading.report.add(mark, "missing-word", "repeated without an end", "`times: 12` or `until: 11:00`")

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow any field."""
        timing = {name: shape.schema(definitions) for name, shape in self._timing.items()}
        return {"type": "object", "properties": timing, "additionalProperties": self._value.schema(definitions)}


class Outcome:
    """`10:04:30 orange`: from when on which level shows."""

    words = "a time and a level or clear, such as 10:04:30 orange"

    def read(self, node: Node, reading: Reading) -> Text:
        """Give the text, checked."""
        if not isinstance(node, Text):
            raise wrong_shape(node, self.words, reading)
        moment, _, level = node.rpartition(" ")
        if level not in OUTCOMES:
            what = f"{level!r} is no level"
            raise reading.report.refuse(node.mark, "bad-level", what, self.words, nearest(level, OUTCOMES))
        if not moment:
            raise reading.report.refuse(node.mark, "bad-time", f"{level!r} without a time", self.words)
        MOMENT.read(Text(moment.strip(), node.mark), reading)
        return node

    def schema(self, definitions: dict[str, Schema]) -> Schema:  # noqa: ARG002  # as Shape
        """Allow such texts."""
        return {"type": "string", "pattern": f"^{MOMENT_PATTERN} +({'|'.join(OUTCOMES)})$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTest:
    """A test inside a rule: given events and table rows, expected levels at times per entity."""

    given: Mapping[Text, tuple[GivenWord, ...]] = word(
        "events per stream and rows per table; `{n}` is the number of a repeated event, a list goes round",
        shape=MapOf(NAME, ListOf(Given())),
        example="{payments: [{card: A, at: 10:00, every: 30s, times: 12, terminal: [t1, t2], amount: 20}]}",
    )
    expect: Mapping[Text, tuple[Text, ...]] = word(
        "per entity (parts joined by /) all its changes of level; who is not named must stay quiet",
        shape=MapOf(ANY_TEXT, Many(Outcome(), empty=True), empty=True),
        example="{A: [10:04:30 orange, 10:15:30 clear]}",
    )
    mark: Mark = NOWHERE


TESTS = ListOf(Record(RuleTest, "a test"))
