"""What a value may look like: one description for reading, for the JSON Schema and for the reference.

A `Shape` reads a node into a value (or reports what is wrong and raises `Refused`), names itself in words, and gives
its JSON Schema. Scalars are here; lists, maps and records are built from them in `collections` and `records`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tocsin.errors import UnitError, nearest
from tocsin.language.nodes import MapNode, Node, kind_of
from tocsin.language.report import Refused, Report, Wrong
from tocsin.language.text import Text
from tocsin.language.yaml_text import QUOTE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Schema = dict[str, Any]
"""A JSON Schema, as plain data."""


@dataclass(slots=True)
class Reading:
    """What the reading of one topology carries along."""

    report: Report = field(default_factory=Report)
    zone: str = "UTC"


class Shape(Protocol):
    """What a value may look like."""

    @property
    def words(self) -> str:
        """The shape in words, as after `expected`: `a duration such as 10m`."""
        ...

    def read(self, node: Node, reading: Reading) -> Any:  # noqa: ANN401  # each shape gives its own kind of value
        """Give the value; raises `Refused` after reporting what is wrong."""
        ...

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Give the JSON Schema; records put theirs into `definitions` and refer to it."""
        ...


def wrong_shape(node: Node, expected: str, reading: Reading) -> Refused:
    """Report a list or map in the place of a text, and the like."""
    got = kind_of(node)
    if isinstance(node, MapNode) and node.braced and not expected.startswith("a map"):
        expected = f"{expected}; {QUOTE}"
    return reading.report.refuse(node.mark, "wrong-shape", f"{got} does not fit here", expected)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One text of some kind.

    `parse` gives the value, or raises Wrong or UnitError; `code` names the problem, `pattern` is for the JSON Schema.
    """

    words: str
    code: str
    parse: Callable[[Text], Any]
    pattern: str = ""

    def read(self, node: Node, reading: Reading) -> Any:  # noqa: ANN401  # as Shape
        """Give what the text means."""
        if not isinstance(node, Text):
            raise wrong_shape(node, self.words, reading)
        try:
            return self.parse(node)
        except (Wrong, UnitError) as error:
            expected = error.expected or self.words
            raise reading.report.refuse(node.mark, self.code, error.what, expected, error.nearest) from error

    def schema(self, definitions: dict[str, Schema]) -> Schema:  # noqa: ARG002  # as Shape
        """Allow any scalar (an editor types 10 as a number), texts by the pattern."""
        schema: Schema = {"type": ["string", "number", "boolean"]}
        return schema | {"pattern": f"^({self.pattern})$"} if self.pattern else schema


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    what: str
    choices: tuple[str, ...]
    code: str

    @property
    def words(self) -> str:
        """All of them."""
        return one_of(self.choices)

    def read(self, node: Node, reading: Reading) -> Text:
        """Give the word."""
        if not isinstance(node, Text):
            raise wrong_shape(node, self.words, reading)
        if node not in self.choices:
            raise unknown(self.what, node, self.choices, self.code, reading)
        return node

    def schema(self, definitions: dict[str, Schema]) -> Schema:  # noqa: ARG002  # as Shape
        """Allow the words; an editor has typed one of digits."""
        return {"enum": [*self.choices, *(int(choice) for choice in self.choices if choice.isdigit())]}


def one_of(choices: Collection[str]) -> str:
    """Name all choices."""
    return f"one of {', '.join(choices)}" if len(choices) > 1 else "".join(choices)


def unknown(what: str, word: Text, choices: tuple[str, ...], code: str, reading: Reading) -> Refused:
    """Report a word that is none of the valid ones."""
    near = nearest(word, choices)
    return reading.report.refuse(word.mark, code, f"{str(word)!r} is no {what}", one_of(choices), near)


def matching(pattern: str, what: str, kind: type[Text] = Text) -> Callable[[Text], Text]:
    """Give a parser that keeps texts that match as a whole; others are `no {what}`."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: Text) -> Text:
        if not compiled.fullmatch(text):
            raise Wrong(f"{str(text)!r} is no {what}")
        return kind(text, text.mark)

    return parse
