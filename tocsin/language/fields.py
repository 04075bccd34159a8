"""The words of `fields`, in streams and tables."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.errors import nearest
from tocsin.language.collections import MapOf
from tocsin.language.records import Record, word
from tocsin.language.report import Wrong
from tocsin.language.scalars import COLUMN, NAME_PATTERN, STEP, TEXT
from tocsin.language.shapes import Reading, Scalar, one_of
from tocsin.language.text import NOWHERE, Text
from tocsin.model.units import DURATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark

PLAIN_TYPES = ("string", "int64", "float64", "boolean", "timestamp", "duration", "point", "polygon")

PART_OF: Mapping[str, tuple[str, str]] = {
    "decimal": (r"1[0-8]|[0-9]", "decimal(2), with the digits after the point, at most 18"),
    "person": (NAME_PATTERN, "person(card), with the kind of identifier"),
    "duration": ("|".join(DURATIONS), f"duration(s), with the unit of the numbers: {', '.join(DURATIONS)}"),
}
"""Types with a part in brackets: what the part may be."""

_TYPE = re.compile(rf"({NAME_PATTERN})(?:\((.*)\))?")


def _type(text: Text) -> Text:
    """Keep a type word whose part is right; whether a bare name is that of a table is known later."""
    match = _TYPE.fullmatch(text)
    if not match:
        raise Wrong(f"{str(text)!r} is no type")
    name, part = match.groups()
    if name in PART_OF:
        pattern, example = PART_OF[name]
        if part is None and name != "duration":
            raise Wrong(f"the type {name} needs a part in brackets", example)
        if part is not None and not re.fullmatch(pattern, part):
            raise Wrong(f"{str(text)!r} is no type", example)
    elif part is not None:
        raise Wrong(f"the type {name} takes no brackets", name)
    return text


TYPE = Scalar(
    "one of string, int64, float64, boolean, timestamp, duration(s), decimal(2), point, polygon, person(card), "
    "or the name of a table",
    "bad-type",
    _type,
    rf"{NAME_PATTERN}(\([A-Za-z0-9_-]+\))?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldWord:
    """A field: its type, alone or with a unit and a resolution."""

    type: Text = word("what the field holds, or the table whose key it is", shape=TYPE, example="float64")
    unit: Text | None = word(
        "the unit of the numbers; comparisons with quantities are checked against it",
        shape=TEXT,
        example="kWh",
        default=None,
    )
    resolution: float | None = word(
        "the step in which floats are summed, so that sums are exact integers; 1e-6 without it",
        shape=STEP,
        example="0.001",
        default=None,
    )
    mark: Mark = NOWHERE


FIELDS = MapOf(COLUMN, Record(FieldWord, "a field", short="type"))


def known_field(name: Text, fields: Mapping[Text, object], reading: Reading) -> None:
    """Report a name that is none of the declared fields."""
    if name not in fields:
        reading.report.add(
            name.mark,
            "unknown-field",
            f"{str(name)!r} is not among the fields",
            one_of(fields),
            nearest(name, fields),
        )
