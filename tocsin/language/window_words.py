"""The words of `windows`: `tumbling 10s`, `hopping 1h every 5m`, `trailing 7d delayed 7d`, ..."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.errors import UnitError, nearest
from tocsin.language.collections import MapOf, entries_of, every
from tocsin.language.durations import length_of
from tocsin.language.report import Refused, Wrong
from tocsin.language.scalars import CLOCK_PATTERN, COLUMN, DURATION_PATTERN, EXPRESSION
from tocsin.language.text import NOWHERE, Expression, Text
from tocsin.model.units import DURATIONS
from tocsin.model.windows import Calendar, Cumulating, Hopping, Same, Session, Trailing, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tocsin.errors import Mark
    from tocsin.language.nodes import Node
    from tocsin.language.shapes import Reading, Schema

DAY = DURATIONS["d"]

FORMS: Mapping[str, str] = {
    "tumbling": "tumbling 10s, or tumbling 1d at 05:00",
    "hopping": "hopping 1h every 5m",
    "cumulating": "cumulating 1d every 1h",
    "session": "session gap 5m",
    "trailing": "trailing 7d, or trailing 7d delayed 7d",
    "same": "same",
}
"""The right form of each window word."""

ANY_FORM = "; ".join(FORMS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowWord:
    """One window of a feature: its word, and the columns it aggregates."""

    window: Window
    text: Text
    columns: Mapping[Text, Expression]
    mark: Mark = NOWHERE


def parse_window(text: str, zone: str) -> Window:
    """Give the window that a word names; `zone` is that of `at`.

    Raises:
        Wrong, UnitError: the word is wrong; the message says how.

    """
    kind, _, rest = text.strip().partition(" ")
    if kind not in _PARSERS:
        raise Wrong(f"{kind!r} is no window")
    return _PARSERS[kind](rest.strip(), zone)


def _tumbling(rest: str, zone: str) -> Window:
    size, at = _cut(rest, "at")
    if at is None:
        return Hopping(length_of(size), length_of(size))
    if not re.fullmatch(CLOCK_PATTERN, at):
        raise Wrong(f"{at!r} is no time of day")
    if length_of(size) != DAY:
        raise Wrong(f"`at` goes with 1d only, not with {size}")
    return Calendar(int(at[:2]) * 60 + int(at[3:]), zone)


def _hopping(rest: str, _zone: str) -> Window:
    size, every = _two(rest, "every")
    if every > size:
        raise Wrong("`every` is longer than the window: events between two windows would be in none")
    return Hopping(size, every)


def _cumulating(rest: str, _zone: str) -> Window:
    size, every = _two(rest, "every")
    if size % every:
        raise Wrong("`every` does not divide the window")
    return Cumulating(size, every)


def _session(rest: str, _zone: str) -> Window:
    word, _, gap = rest.partition(" ")
    if word != "gap":
        raise Wrong("a session closes after a gap")
    return Session(length_of(gap.strip()))


def _trailing(rest: str, _zone: str) -> Window:
    width, delayed = _cut(rest, "delayed")
    return Trailing(length_of(width), 0 if delayed is None else length_of(delayed))


def _same(rest: str, _zone: str) -> Window:
    if rest:
        raise Wrong(f"nothing may follow `same`, not {rest!r}")
    return Same()


_PARSERS: Mapping[str, Callable[[str, str], Window]] = {
    "tumbling": _tumbling,
    "hopping": _hopping,
    "cumulating": _cumulating,
    "session": _session,
    "trailing": _trailing,
    "same": _same,
}


def _cut(rest: str, word: str) -> tuple[str, str | None]:
    """Give what stands before and after a word, or all and nothing."""
    parts = re.split(rf"\s+{word}\s+", rest, maxsplit=1)
    return (parts[0], parts[1]) if len(parts) > 1 else (rest, None)


def _two(rest: str, word: str) -> tuple[int, int]:
    """Give the durations before and after a word that must be there."""
    first, second = _cut(rest, word)
    if second is None:
        raise Wrong(f"the word `{word}` is missing")
    return length_of(first), length_of(second)


class WindowWords:
    """`windows`: a map from window words to their columns."""

    words = f"a map {{window: {{column: aggregate}}}}, the window as in {ANY_FORM}"
    _columns = MapOf(COLUMN, EXPRESSION)

    def read(self, node: Node, reading: Reading) -> tuple[WindowWord, ...]:
        """Give all windows."""
        entries = entries_of(node, self.words, reading)
        if not entries:
            raise reading.report.refuse(node.mark, "empty-value", "no window", ANY_FORM)
        return every(entries, lambda entry: self._window(*entry, reading))

    def _window(self, text: Text, columns: Node, reading: Reading) -> WindowWord:
        """Read one window."""
        window = None
        try:
            window = parse_window(text, reading.zone)
        except (Wrong, UnitError) as error:
            kind = text.split(" ", 1)[0]
            near = "" if kind in FORMS else nearest(kind, FORMS)
            reading.report.add(text.mark, "bad-window", f"{str(text)!r}: {error.what}", FORMS.get(kind, ANY_FORM), near)
        aggregates = self._columns.read(columns, reading)
        if window is None:
            raise Refused
        return WindowWord(window=window, text=text, columns=aggregates, mark=text.mark)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow the window words by pattern."""
        span = DURATION_PATTERN
        forms = (
            rf"tumbling {span}( at {CLOCK_PATTERN})?|(hopping|cumulating) {span} every {span}"
            rf"|session gap {span}|trailing {span}( delayed {span})?|same"
        )
        return {
            "type": "object",
            "patternProperties": {f"^({forms})$": self._columns.schema(definitions)},
            "properties": {"why": {"type": "string"}},
            "additionalProperties": False,
        }


WINDOWS = WindowWords()
