"""Maps with fixed words, read into the dataclasses that declare them.

A dataclass field is a word if it is declared with `word(…)`; its metadata holds the shape, and what the reference and
the schema say of it: `doc`, `example`, and the spelling where Python's name differs.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin.errors import nearest
from tocsin.language.collections import entries_of
from tocsin.language.nodes import MapNode, Node
from tocsin.language.report import Refused
from tocsin.language.scalars import ANY_TEXT
from tocsin.language.shapes import one_of
from tocsin.language.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.errors import Mark
    from tocsin.language.shapes import Reading, Schema, Shape

    Values = dict[str, Any]
    Finish = Callable[[Values, Mark, Reading], None]

WHY = "the reason, for those who read the file; means nothing to the engine"


def word(doc: str, *, shape: Shape, example: str = "", name: str = "", **default: Any) -> Any:  # noqa: ANN401  # as dataclasses.field
    """Declare a word: what it means, what it may look like, an example, its spelling if not Python's, its default."""
    return field(metadata={"doc": doc, "shape": shape, "example": example, "word": name}, **default)


@dataclass(frozen=True, slots=True)
class Word:
    """A declared word of a record."""

    attribute: str
    spelled: str
    doc: str
    example: str
    shape: Shape
    default: Any
    """The value without the word; MISSING if it is required."""

    @property
    def required(self) -> bool:
        """Whether it must be there."""
        return self.default is MISSING


@cache
def words_of(cls: type) -> tuple[Word, ...]:
    """Give the words of a record class, in the order of their declaration."""
    return tuple(
        Word(
            attribute=each.name,
            spelled=each.metadata["word"] or each.name,
            doc=each.metadata["doc"],
            example=each.metadata["example"],
            shape=each.metadata["shape"],
            default=each.default_factory() if each.default_factory is not MISSING else each.default,
        )
        for each in fields(cls)
        if "shape" in each.metadata
    )


@dataclass(frozen=True, slots=True)
class Record:
    """A map with the words of a dataclass.

    `what` names it in messages (`a stream`); `short` is the attribute that a bare text stands for; `named` is the
    attribute that takes the key under which the record stands; `finish` checks and completes the values read.
    """

    cls: type
    what: str
    short: str = ""
    named: str = ""
    finish: Finish | None = None

    @property
    def words(self) -> str:
        """A map with these words."""
        spelled = ", ".join(word.spelled for word in words_of(self.cls))
        return f"a map with the words of {self.what}: {spelled}"

    def read(self, node: Node, reading: Reading) -> Any:  # noqa: ANN401  # an instance of `cls`
        """Give the record."""
        return self.read_named(node, None, reading)

    def read_named(self, node: Node, name: Text | None, reading: Reading) -> Any:  # noqa: ANN401  # as above
        """Give the record that stands under `name`."""
        mark = node.mark if name is None else name.mark
        values: Values = {"mark": mark}
        if name is not None and self.named:
            values[self.named] = name
        broken = isinstance(node, MapNode) and node.broken
        complete = self._fill(values, self._entries(node, reading), None if broken else mark, reading)
        if self.finish is not None and complete:
            self.finish(values, mark, reading)
        if not complete:
            raise Refused
        return self.cls(**values)

    def _entries(self, node: Node, reading: Reading) -> tuple[tuple[Text, Node], ...]:
        if self.short and isinstance(node, Text):
            spelled = next(word.spelled for word in words_of(self.cls) if word.attribute == self.short)
            return ((Text(spelled, node.mark), node),)
        declares_why = any(word.spelled == "why" for word in words_of(self.cls))
        if declares_why and isinstance(node, MapNode):
            return node.entries
        return entries_of(node, self.words, reading)

    def _fill(
        self, values: Values, entries: tuple[tuple[Text, Node], ...], mark: Mark | None, reading: Reading
    ) -> bool:
        """Read all words; whether the record can be made of them. `mark`: where to say that one is missing."""
        words = {word.spelled: word for word in words_of(self.cls)}
        found = {str(key): value for key, value in entries}
        strange = [key for key, _ in entries if key not in words]
        for key in strange:
            refuse_word(key, self.what, tuple(words), reading)
        meant = {nearest(key, words) for key in strange}
        complete = True
        for spelled, each in words.items():
            if spelled not in found:
                if each.required and spelled not in meant:
                    self._missing(each, mark, reading)
                complete = complete and not each.required
                continue
            try:
                values[each.attribute] = each.shape.read(found[spelled], reading)
            except Refused:
                complete = False
        return complete

    def _missing(self, word: Word, mark: Mark | None, reading: Reading) -> None:
        """Report a required word that is not there; without a mark it may have been, and was refused."""
        if mark is not None:
            what, expected = f"{self.what} needs the word {word.spelled!r}", f"`{word.spelled}: {word.example or '…'}`"
            reading.report.add(mark, "missing-word", what, expected)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Put the record's schema into the definitions and refer to it; a bare text is allowed where it is short."""
        name = self.cls.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name].update(self._object(definitions))
        reference: Schema = {"$ref": f"#/$defs/{name}"}
        if not self.short:
            return reference
        short = next(word for word in words_of(self.cls) if word.attribute == self.short)
        return {"anyOf": [short.shape.schema(definitions), reference]}

    def _object(self, definitions: dict[str, Schema]) -> Schema:
        words = words_of(self.cls)
        properties = {word.spelled: described(word, definitions) for word in words}
        properties.setdefault("why", {"description": WHY} | ANY_TEXT.schema(definitions))
        return {
            "type": "object",
            "description": (self.cls.__doc__ or "").strip(),
            "properties": properties,
            "required": [word.spelled for word in words if word.required],
            "additionalProperties": False,
        }


def described(word: Word, definitions: dict[str, Schema]) -> Schema:
    """Give the schema of a word, with what editors show on hover."""
    schema = {"description": word.doc} | word.shape.schema(definitions)
    return schema | {"examples": [word.example]} if word.example else schema


def refuse_word(key: Text, what: str, valid: tuple[str, ...], reading: Reading) -> None:
    """Report a word that does not belong there, with those that do."""
    reading.report.add(key.mark, "unknown-word", f"{what} has no word {str(key)!r}", one_of(valid), nearest(key, valid))
