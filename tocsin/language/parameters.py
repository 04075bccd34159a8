"""The words of `parameters`, in features and rules."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.language.collections import MapOf
from tocsin.language.records import Record, word
from tocsin.language.scalars import COLUMN, TEXT
from tocsin.language.text import NOWHERE, Text

if TYPE_CHECKING:
    from tocsin.errors import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterWord:
    """A named number or text with its unit, the reason for it and a public reference; a bare value is its `value`."""

    value: Text = word("the number with its unit, or a text", shape=TEXT, example="900 km/h")
    why: Text | None = word(
        "the reason for this value", shape=TEXT, example="cruising speed of an airliner", default=None
    )
    see: Text | None = word("a public reference", shape=TEXT, example="https://example.org/speeds", default=None)
    mark: Mark = NOWHERE


PARAMETERS = MapOf(COLUMN, Record(ParameterWord, "a parameter", short="value"))
