"""Rows as texts, column by column: a list for all that differs from row to row, and one join over the pieces of a row.

A value that comes again in a call is rendered once. All of it is plain Python on lists: for a handful of rows, as for
most calls, expressions would cost more than the rows, and for thousands it is a microsecond per text.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress, repeat
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from operators.alerting.encoding import NOTHING, encode, encoder
from operators.alerting.template import SIGNS, Slot
from tocsin.model.display import NULL, displayer
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    import polars as pl

    from tocsin.model.types import Type

_NO_KEYS = {Kind.POINT, Kind.LIST}
"""Their values are lists and dictionaries, which no dictionary has as keys. Nor have floats as such: 0.0 and -0.0 are
equal, and are two texts."""


@dataclass(frozen=True, slots=True)
class Value:
    """A column's values as canonical JSON."""

    column: str
    type: Type


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text of several parts as a JSON string."""

    parts: Parts


Part = str | Slot | Value | Quoted
Parts = tuple[Part, ...]


def json_object(members: Mapping[str, Parts]) -> Parts:
    """Give the parts of a JSON object from those of its members, keys sorted."""
    parts: list[Part] = []
    for name in sorted(members):
        parts += [f"{',' if parts else '{'}{encode_basestring(name)}:", *members[name]]
    return (*parts, "}") if parts else ("{}",)


class Texts:
    """The texts of the rows of one call; `signs`: name of a sign to its Boolean column; `zone`: of times for people."""

    def __init__(self, rows: pl.DataFrame, signs: Mapping[str, str], zone: str) -> None:
        self._rows, self._signs, self._zone = rows, signs, zone
        self._made: dict[tuple[str, str | None], list[str]] = {}

    def joined(self, parts: Parts, chosen: Sequence[bool] | None = None) -> list[str]:
        """Give a text per row, or per chosen row."""
        height = self._rows.height if chosen is None else sum(chosen)
        pieces = [piece if isinstance(piece, str) else self._piece(piece, chosen) for piece in parts]
        if all(isinstance(piece, str) for piece in pieces):
            return ["".join(pieces)] * height  # type: ignore[arg-type]  # they are all texts
        return list(map("".join, zip(*[repeat(p) if isinstance(p, str) else p for p in pieces], strict=False)))

    def _piece(self, part: Slot | Value | Quoted, chosen: Sequence[bool] | None) -> Iterable[str]:
        if isinstance(part, Quoted):
            return map(encode_basestring, self.joined(part.parts, chosen))
        key = (part.column, part.spec if isinstance(part, Slot) else None)
        if key not in self._made:
            self._made[key] = self._render(part)
        return self._made[key] if chosen is None else compress(self._made[key], chosen)

    def _render(self, part: Slot | Value) -> list[str]:
        if part.column == SIGNS:
            return self._true_signs(part)
        values = self._rows.get_column(part.column).to_list()
        if isinstance(part, Value):
            shown, null = encoder(part.type), NOTHING
        else:
            shown, null = displayer(part.type, part.spec, zone=self._zone), NULL
        if part.type.kind in _NO_KEYS or shown is repr:
            return [null if value is None else shown(value) for value in values]
        if part.type.kind is Kind.FLOAT64:
            values = [None if value is None else repr(value) for value in values]
        return _each(values, shown, {None: null})

    def _true_signs(self, part: Slot | Value) -> list[str]:
        names = tuple(self._signs)
        shown = encode if isinstance(part, Value) else ", ".join
        truths = self._rows.select(self._signs.values()).rows()
        return _each(truths, lambda truth: shown([*compress(names, truth)]), {})


def _each(values: Sequence[Hashable], shown: Callable[..., str], texts: dict[Hashable, str]) -> list[str]:
    """Render each distinct value that is not in `texts` yet."""
    distinct = set(values) - texts.keys()
    texts.update(zip(distinct, map(shown, distinct), strict=True))
    return [texts[value] for value in values]
