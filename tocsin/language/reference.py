"""The reference of the language: every word with its meaning, type, default and an example.

`python -m tocsin.language.reference docs/topology.template.md` prints the page: the template's prose with the tables
in their places. The tables come from the words themselves; the prose is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.language.frames import FRAMES, Frame
from tocsin.language.records import words_of
from tocsin.language.sinks import KINDS
from tocsin.language.text import Duration
from tocsin.language.window_words import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.language.records import Word

PLACE = "<!-- reference -->"
NOTE = (
    "<!-- Generated: python -m tocsin.language.reference docs/topology.template.md. Edit the template instead. -->\n\n"
)

WINDOW_MEANINGS = {
    "tumbling": "windows side by side; with `at`, a calendar day of the zone (23 or 25 h when clocks change)",
    "hopping": "windows of one length that begin every so often, so that they overlap",
    "cumulating": "a window that grows by a step and starts anew when it is full",
    "session": "events that follow each other in less than the gap",
    "trailing": "looks back from each event, all events of the same moment included; `delayed` looks back from earlier",
    "same": "the window of the rows read: rows of the same key and window become one",
}

TYPE_MEANINGS = {
    "string": "a text",
    "int64": "a whole number of 64 bits",
    "float64": "a number; NaN and infinity are null",
    "boolean": "true or false",
    "timestamp": "a moment, in milliseconds and UTC",
    "duration": "a length of time",
    "duration(s)": "a length of time that comes as a number of seconds (or ms, m, h, d, w)",
    "point": "a place: latitude and longitude in degrees, WGS 84",
    "polygon": "an area, as WKT `POLYGON ((longitude latitude, …))`",
    "decimal(2)": "an exact number with so many digits after the point",
    "person(card)": "an identifier of a person, of this kind: a pseudonym from the first moment on",
    "cells": "the name of a table: its key; the fields of its row are then `field.column`",
}


def reference_markdown() -> str:
    """Give the reference as Markdown, without the prose of the page."""
    parts = [section(frame) for frame in FRAMES]
    return "\n".join([*parts, _windows(), _types(), _sinks()])


def section(frame: Frame) -> str:
    """Give one part: what it is, where its examples stand, its words."""
    rows = [
        (f"`{word.spelled}`", word.doc, kind(word), default(word), code(shown(frame, word)))
        for word in words_of(frame.cls)
    ]
    lines = [
        f"### {frame.title}",
        "",
        (frame.cls.__doc__ or "").strip(),
        "",
        "The examples stand at `…` in",
        "",
        f"```text\n{frame.text}```",
        "",
        *table(("word", "meaning", "what stands there", "if left out", "example"), rows),
    ]
    return "\n".join(lines) + "\n"


def shown(frame: Frame, word: Word) -> str:
    """Give the example as the table shows it, with what it needs beside it."""
    beside = frame.beside.get(word.spelled, "")
    others = "; ".join(line.strip() for line in beside.splitlines())
    return f"{word.spelled}: {word.example}" + (f" (with {others})" if others else "")


def kind(word: Word) -> str:
    """Say what stands at a word."""
    return word.shape.words


def default(word: Word) -> str:
    """Say what holds without a word."""
    if word.required:
        return "**required**"
    value = word.default
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.text if isinstance(value, Duration) else value}`"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Give the lines of a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines]


def code(text: str) -> str:
    """Mark a text as code."""
    return f"`{text}`"


def _windows() -> str:
    rows = [(code(form), WINDOW_MEANINGS[name]) for name, form in FORMS.items()]
    return "\n".join(["### windows", "", *table(("window", "is"), rows)]) + "\n"


def _types() -> str:
    rows = [(code(name), meaning) for name, meaning in TYPE_MEANINGS.items()]
    return "\n".join(["### types", "", *table(("type", "holds"), rows)]) + "\n"


def _sinks() -> str:
    rows = [(code(f"{name}: {example}"), meaning) for name, (meaning, example) in KINDS.items()]
    return "\n".join(["### kinds of sinks", "", *table(("kind and target", "is"), rows)]) + "\n"


def page(template: str) -> str:
    """Put the reference into its place in the template."""
    if PLACE not in template:
        raise ValueError(f"the template has no place for the reference: {PLACE}")
    return NOTE + template.replace(PLACE, reference_markdown())


if __name__ == "__main__":
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/topology.template.md")
    sys.stdout.write(page(source.read_text(encoding="utf-8")))
