"""The words of `detect`: detectors that add columns to a feature's rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.language.collections import Many, MapOf, entries_of
from tocsin.language.report import Refused
from tocsin.language.scalars import ANY_TEXT, COLUMN, EXPRESSION, NAME
from tocsin.language.text import NOWHERE, Expression, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark
    from tocsin.language.nodes import Node
    from tocsin.language.shapes import Reading, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectWord:
    """One detector: `usual: {baseline: h1, season: hour of week, history: 8w}`.

    `columns` are all that it reads, `column` is the first of them; `options` are checked by the detector's kind.
    """

    name: Text
    kind: Text
    column: Expression
    columns: tuple[Expression, ...] = ()
    options: Mapping[Text, Text] = field(default_factory=dict)
    mark: Mark = NOWHERE


class Detector:
    """`{kind: column, option: value, …}`: the first word is the kind."""

    words = "a map {kind: column, option: value}, such as {baseline: h1, history: 8w}"

    def read(self, node: Node, reading: Reading) -> DetectWord:
        """Read a detector that stands under no name."""
        return self.read_named(node, Text("", node.mark), reading)

    def read_named(self, node: Node, name: Text, reading: Reading) -> DetectWord:
        """Give the detector."""
        entries = entries_of(node, self.words, reading)
        if not entries:
            raise reading.report.refuse(name.mark, "empty-value", "a detector without a kind", self.words)
        (kind, first), *rest = entries
        columns = Many(EXPRESSION).read(first, reading)
        if not columns:
            raise Refused
        options = {option: ANY_TEXT.read(value, reading) for option, value in rest}
        return DetectWord(
            name=name,
            kind=NAME.read(kind, reading),
            column=columns[0],
            columns=columns,
            options=options,
            mark=name.mark,
        )

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow any kind and options: the detectors check theirs."""
        return {"type": "object", "minProperties": 1, "additionalProperties": Many(ANY_TEXT).schema(definitions)}


class Detectors:
    """`detect`: a map from names to detectors."""

    words = "a map {name: {kind: column, option: value}}"
    _named = MapOf(COLUMN, Detector())

    def read(self, node: Node, reading: Reading) -> tuple[DetectWord, ...]:
        """Give all detectors."""
        return tuple(self._named.read(node, reading).values())

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow a map of detectors."""
        return self._named.schema(definitions)


DETECTORS = Detectors()
