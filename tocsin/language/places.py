"""Where a character of a text stands in its file, however the text is written there.

A text on several lines is folded, quotes and escapes stand for other characters, a block is indented: a place inside
of it is found by walking through what is written beside what is meant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.errors import Mark
    from tocsin.language.text import Text

_BLOCKS = ("|", ">")
_ESCAPE_LENGTHS = {"x": 4, "u": 6, "U": 10}


def place_in(text: Text, offset: int) -> Mark:
    """Give the place of the character at `offset` (from 0) of a text."""
    mark = text.mark
    if not mark.source:
        return replace(mark, column=mark.column + offset)
    style, written = mark.source[0], mark.source[1:]
    before = written[: _written_at(text, offset, style, written)]
    lines = before.count("\n")
    column = len(before) - before.rfind("\n") if lines else mark.column + len(before)
    return replace(mark, line=mark.line + lines, column=column)


def _written_at(text: str, offset: int, style: str, written: str) -> int:
    at = _past_space(written, written.find("\n")) if style in _BLOCKS else 0
    for char in text[:offset]:
        at = _past_break(written, at, style)
        at += _length(char, style, written[at:])
    return _past_break(written, at, style)


def _length(char: str, style: str, rest: str) -> int:
    """Give how many written characters stand for this one."""
    if style == '"' and rest.startswith("\\"):
        return _ESCAPE_LENGTHS.get(rest[1:2], 2)
    if style == "'" and rest.startswith("''"):
        return 2
    blank = len(rest) - len(rest.lstrip()) if char.isspace() else 0
    return blank if "\n" in rest[:blank] else 1


def _past_break(written: str, at: int, style: str) -> int:
    """Go past a line break that is escaped: it stands for nothing."""
    return _past_space(written, at + 1) if style == '"' and written.startswith("\\\n", at) else at


def _past_space(written: str, at: int) -> int:
    return len(written) - len(written[at:].lstrip())
