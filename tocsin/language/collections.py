"""Lists and maps of other shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tocsin.language.nodes import ListNode, MapNode, Node
from tocsin.language.report import Refused
from tocsin.language.scalars import COLUMN, COLUMN_EXPRESSION, EXPRESSION
from tocsin.language.shapes import Reading, Schema, Shape, wrong_shape
from tocsin.language.text import Expression, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Many:
    """A list, or one value in its place."""

    item: Shape
    empty: bool = False

    @property
    def words(self) -> str:
        """One or more of the item."""
        return f"{self.item.words}, or a list of them"

    def read(self, node: Node, reading: Reading) -> tuple[Any, ...]:
        """Give the items."""
        if isinstance(node, MapNode):
            raise wrong_shape(node, self.words, reading)
        if not isinstance(node, ListNode):
            return (self.item.read(node, reading),)
        if not node.items and not self.empty:
            raise reading.report.refuse(node.mark, "empty-value", "an empty list", self.words)
        return every(node.items, lambda item: self.item.read(item, reading))

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow one, or a list."""
        item = self.item.schema(definitions)
        return {"anyOf": [item, {"type": "array", "items": item, "minItems": 0 if self.empty else 1}]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    item: Shape

    @property
    def words(self) -> str:
        """A list of the item."""
        return f"a list, each {self.item.words}"

    def read(self, node: Node, reading: Reading) -> tuple[Any, ...]:
        """Give the items."""
        if not isinstance(node, ListNode):
            raise wrong_shape(node, self.words, reading)
        return every(node.items, lambda item: self.item.read(item, reading))

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow a list."""
        return {"type": "array", "items": self.item.schema(definitions)}


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from names to values of one shape."""

    key: Shape
    value: Shape
    empty: bool = False

    @property
    def words(self) -> str:
        """A map to the value."""
        return f"a map from names, each to {getattr(self.value, 'what', self.value.words)}"

    def read(self, node: Node, reading: Reading) -> dict[Any, Any]:
        """Give the entries; a value that names itself (a record) is told its name."""
        entries = entries_of(node, self.words, reading)
        if not entries and not self.empty:
            raise reading.report.refuse(node.mark, "empty-value", "an empty map", self.words)
        return dict(every(entries, lambda entry: self._entry(*entry, reading)))

    def _entry(self, name: Text, value: Node, reading: Reading) -> tuple[Any, Any]:
        """Read a value and its key, the value even if the key is wrong."""
        try:
            key = self.key.read(name, reading)
        except Refused:
            read_named(self.value, value, name, reading)
            raise
        return key, read_named(self.value, value, name, reading)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow a map, with a `why` in it."""
        return {
            "type": "object",
            "properties": {"why": {"type": "string"}},
            "propertyNames": {"anyOf": [{"const": "why"}, self.key.schema(definitions)]},
            "additionalProperties": self.value.schema(definitions),
        }


class NamedExpressions:
    """`by`: column names, or names with their expressions."""

    words = "a column, a list of columns, or a map {name: expression}"

    def read(self, node: Node, reading: Reading) -> dict[Text, Expression]:
        """Give the expression of each name; a bare name is its own."""
        if isinstance(node, MapNode):
            return MapOf(COLUMN, EXPRESSION).read(node, reading)
        names: tuple[Expression, ...] = Many(COLUMN_EXPRESSION).read(node, reading)
        for number, name in enumerate(names):
            if name in names[:number]:
                reading.report.add(name.mark, "duplicate-key", f"{str(name)!r} stands here twice", "it once")
        return {Text(name, name.mark): name for name in names}

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow all three forms."""
        shapes: tuple[Shape, ...] = (Many(COLUMN), MapOf(COLUMN, EXPRESSION))
        return {"anyOf": [shape.schema(definitions) for shape in shapes]}


def every(things: Iterable[T], read: Callable[[T], V]) -> tuple[V, ...]:
    """Read all, so that all problems are reported; raises Refused in the end if one could not be read."""
    values, refused = [], False
    for thing in things:
        try:
            values.append(read(thing))
        except Refused:
            refused = True
    if refused:
        raise Refused
    return tuple(values)


def entries_of(node: Node, expected: str, reading: Reading) -> tuple[tuple[Text, Node], ...]:
    """Give the entries of a map without its `why`, which may stand in any map."""
    if not isinstance(node, MapNode):
        raise wrong_shape(node, expected, reading)
    if node.broken and not node.entries:
        raise Refused
    for name, value in node.entries:
        if name == "why" and not isinstance(value, Text):
            wrong_shape(value, "a text: the reason", reading)
    return tuple(entry for entry in node.entries if entry[0] != "why")


def read_named(shape: Shape, node: Node, name: Text, reading: Reading) -> Any:  # noqa: ANN401  # as Shape
    """Read a value; one that has its name from the map's key is told it."""
    named = getattr(shape, "read_named", None)
    return named(node, name, reading) if named else shape.read(node, reading)
