"""The words of `sequence`: one thing, then another."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.language.collections import NamedExpressions, entries_of
from tocsin.language.nodes import ListNode, Node
from tocsin.language.records import Record, word
from tocsin.language.report import Refused
from tocsin.language.scalars import COLUMN, EXPRESSION, NAME
from tocsin.language.shapes import Reading, Schema, wrong_shape
from tocsin.language.text import NOWHERE, Expression, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStep:
    """One step of a sequence; later steps and rules read its columns as `step.column`."""

    name: Text
    source: Text = word("the stream or feature whose rows can be this step", shape=NAME, example="calls", name="from")
    by: Mapping[Text, Expression] = word(
        "the sequence's key in this source, where its columns are called otherwise",
        shape=NamedExpressions(),
        example="{customer: callee.customer}",
        default_factory=dict,
    )
    where: Expression | None = word("which of its rows", shape=EXPRESSION, example="caller in flagged", default=None)
    mark: Mark = NOWHERE


class Steps:
    """A list of steps, each a map of its name to its words."""

    words = "a list of steps, each `- name: {from: stream, where: condition}`"
    _step = Record(SequenceStep, "a step", named="name")

    def read(self, node: Node, reading: Reading) -> tuple[SequenceStep, ...]:
        """Give the steps in their order."""
        if not isinstance(node, ListNode):
            raise wrong_shape(node, self.words, reading)
        steps: dict[Text, SequenceStep] = {}
        for item in node.items:
            for name, words in self._named(item, reading):
                if name in steps:
                    first = steps[name].mark
                    reading.report.add(
                        name.mark, "duplicate-key", f"step {str(name)!r} stands twice", f"it once (first: {first})"
                    )
                try:
                    COLUMN.read(name, reading)
                    steps[name] = self._step.read_named(words, name, reading)
                except Refused:
                    continue
        return tuple(steps.values())

    def _named(self, item: Node, reading: Reading) -> tuple[tuple[Text, Node], ...]:
        """Give the one entry of a list item."""
        try:
            entries = entries_of(item, self.words, reading)
        except Refused:
            return ()
        if len(entries) != 1:
            what = f"a step with {len(entries)} names"
            reading.report.add(
                item.mark, "wrong-shape", what, "one name per dash, its words in braces or indented below"
            )
            return ()
        return entries

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow a list of maps with one entry each."""
        step = self._step.schema(definitions)
        item = {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": step}
        item["properties"] = {"why": {"type": "string"}}
        item["propertyNames"] = COLUMN.schema(definitions)
        return {"type": "array", "items": item}


STEPS = Steps()
