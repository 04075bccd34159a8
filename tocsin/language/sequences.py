"""The words of `sequence`: one thing, then another."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.language.collections import NamedExpressions, entries_of, every
from tocsin.language.nodes import ListNode, Node
from tocsin.language.records import Record, word
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
    where: Expression | None = word(
        "which of its rows; it may compare them with the steps before, as `step.column`",
        shape=EXPRESSION,
        example="caller in flagged",
        default=None,
    )
    mark: Mark = NOWHERE


class Steps:
    """A list of steps, each a map of its name to its words."""

    words = "a list of steps, each `- name: {from: stream, where: condition}`"
    _step = Record(SequenceStep, "a step", named="name")

    def read(self, node: Node, reading: Reading) -> tuple[SequenceStep, ...]:
        """Give the steps in their order."""
        if not isinstance(node, ListNode):
            raise wrong_shape(node, self.words, reading)
        steps = every(node.items, lambda item: self._read_step(item, reading))
        first: dict[str, Text] = {}
        for step in steps:
            if step.name in first:
                expected = f"it once (first: {first[step.name].mark})"
                reading.report.add(step.mark, "duplicate-key", f"step {str(step.name)!r} stands twice", expected)
            first.setdefault(step.name, step.name)
        return steps

    def _read_step(self, item: Node, reading: Reading) -> SequenceStep:
        """Read the one entry of a list item."""
        entries = entries_of(item, self.words, reading)
        if len(entries) != 1:
            what, expected = f"a step with {len(entries)} names", "one name per dash, its words in braces or indented"
            raise reading.report.refuse(item.mark, "wrong-shape", what, expected)
        name, words = entries[0]
        COLUMN.read(name, reading)
        step: SequenceStep = self._step.read_named(words, name, reading)
        return step

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow a list of maps with one entry each."""
        step = self._step.schema(definitions)
        item = {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": step}
        item["properties"] = {"why": {"type": "string"}}
        item["propertyNames"] = COLUMN.schema(definitions)
        return {"type": "array", "items": item}


STEPS = Steps()
