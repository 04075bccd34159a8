"""Sentences with values in them: `{payments} payments at {terminals} terminals`, `{gaps:%}`, `{rise:.2}`.

A template's text is cut once, when the topology is read; the compiler types each `{expression}` and gives it a column.
What is left for the machine is to put the values of rows between the texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.errors import TocsinError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.model.types import Type

SIGNS = "__signs"
"""The column of a slot that names the signs that are true; the machine fills it in."""

_QUOTES = "'\""


class TemplateError(TocsinError):
    """A template cannot be read; `offset` counts characters from its beginning, from 0."""

    def __init__(self, what: str, offset: int, expected: str = "") -> None:
        """Keep the place."""
        self.what, self.offset, self.expected = what, offset, expected
        super().__init__(f"{what} at character {offset + 1}" + (f"; expected {expected}" if expected else ""))


@dataclass(frozen=True, slots=True)
class Hole:
    """A `{expression:spec}` of a template's text; `offset` is where the expression begins."""

    expression: str
    spec: str
    offset: int


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a column's value is put into a sentence.

    `spec`: as `tocsin.model.display` takes it: "" the type's default, ".2" two digits after the point, "%" percent.
    """

    column: str
    type: Type
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """Texts and slots, in order; `operators.alerting.texts` puts the values of rows between the texts."""

    parts: tuple[str | Slot, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots, in order."""
        return tuple(part for part in self.parts if isinstance(part, Slot))


def parse_template(text: str) -> list[str | Hole]:
    """Cut a template's text into texts and holes; `{{` and `}}` stand for braces, empty texts are left out.

    Raises:
        TemplateError: a brace has no partner, or a hole or its format is empty.

    """
    return [part for part in _merged(_pieces(text)) if part != ""]


def _merged(pieces: Iterator[str | Hole]) -> list[str | Hole]:
    merged: list[str | Hole] = [""]
    for piece in pieces:
        last = merged[-1]
        if isinstance(piece, str) and isinstance(last, str):
            merged[-1] = last + piece
        else:
            merged.append(piece)
    return merged


def _pieces(text: str) -> Iterator[str | Hole]:
    at = 0
    while at < len(text):
        if text.startswith(("{{", "}}"), at):
            yield text[at]
            at += 2
        elif text[at] == "{":
            end = _closing(text, at)
            yield _hole(text, at + 1, end)
            at = end + 1
        elif text[at] == "}":
            raise TemplateError("a } without its {", at, "}} for a brace in the text")
        else:
            yield text[at]
            at += 1


def _closing(text: str, start: int) -> int:
    """Give where the hole that opens at `start` ends; braces and colons inside quoted text are text."""
    for at, char, plain in _outside_quotes(text, start + 1, len(text)):
        if not plain:
            continue
        if char == "{":
            raise TemplateError("a { inside of { }", at, "{{ for a brace in the text")
        if char == "}":
            return at
    raise TemplateError("a { that is never closed", start, "{{ for a brace in the text")


def _outside_quotes(text: str, start: int, end: int) -> Iterator[tuple[int, str, bool]]:
    """Give each character with its place and whether it stands outside of quoted text."""
    quote = ""
    for at in range(start, end):
        char = text[at]
        if quote:
            yield at, char, False
            quote = "" if char == quote else quote
        else:
            yield at, char, char not in _QUOTES
            quote = char if char in _QUOTES else ""


def _hole(text: str, start: int, end: int) -> Hole:
    cut = _format(text, start, end)
    expression, spec = text[start:cut], text[cut + 1 : end].strip()
    if not expression.strip():
        raise TemplateError("nothing between { and }", start, "a column or an expression")
    if cut < end and not spec:
        raise TemplateError("nothing after the colon", cut, "a format such as .2 or %")
    return Hole(expression.strip(), spec, start + len(expression) - len(expression.lstrip()))


def _format(text: str, start: int, end: int) -> int:
    """Give the place of the colon that begins the format; SQL has none of its own but in `::`."""
    colons = (at for at, char, plain in _outside_quotes(text, start, end) if plain and char == ":")
    return next((at for at in colons if "::" not in text[max(at - 1, start) : at + 2]), end)
