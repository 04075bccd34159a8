"""Type words to types: `decimal(2)`, `person(card)`, `duration(s)`, the name of a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.model.types import DURATION, STRING, Kind, Type
from tocsin.model.units import misspelt_unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.report import Report
    from tocsin.language.model import FieldWord, TableWord, Text

PLAIN = {kind.value for kind in Kind} - {"decimal", "list"}
NO_KEY = frozenset({Kind.FLOAT64, Kind.POINT, Kind.POLYGON, Kind.LIST})
"""What cannot be compared for being the same."""
WITH_PART = ("decimal(2)", "person(card)", "duration(s)")


def field_types(fields: Mapping[Text, FieldWord], tables: Mapping[Text, TableWord], report: Report) -> dict[str, Type]:
    """Give the types of declared fields. The unit of a duration is that of the numbers in the records."""
    return {str(name): _field_type(word, tables, report) for name, word in fields.items()}


def column_type(field: Type) -> Type:
    """Give the type that the column of a field has: durations are milliseconds, whatever the records hold."""
    return DURATION if field.kind is Kind.DURATION else field


def _field_type(word: FieldWord, tables: Mapping[Text, TableWord], report: Report) -> Type:
    type_ = _type(word.type, tables, report)
    if word.unit is not None and not type_.numeric:
        report.add(word.unit, "unit-of-no-number", f"a {type_} has no unit", expected="a number type")
    if word.unit is not None and (meant := misspelt_unit(word.unit)):
        what = f"the unit {str(word.unit)!r} is a noun that counts things"
        report.add(word.unit, "unit", what, expected="a unit as it is written, or another noun", nearest=meant)
    if word.resolution is not None:
        if type_.kind is not Kind.FLOAT64:
            what = f"a {type_} has no resolution: that is the step in which a float64 is summed"
            report.add(word.mark, "resolution", what, expected="float64, or no resolution")
        else:
            type_ = replace(type_, resolution=word.resolution)
    return replace(type_, unit=str(word.unit)) if word.unit and type_.numeric else type_


def _type(text: Text, tables: Mapping[Text, TableWord], report: Report, depth: int = 0) -> Type:
    if text in PLAIN:
        return Type(Kind(str(text)))
    if text in tables:
        return _key_type(text, tables, report, depth)
    word, _, part = text.removesuffix(")").partition("(")
    if word == "decimal" and part:
        return Type(Kind.DECIMAL, scale=int(part))
    if word == "person" and part:
        return replace(STRING, person=part)
    if word == "duration" and part:
        return replace(DURATION, unit=part)
    report.unknown(text, "type", [*PLAIN, *WITH_PART, *map(str, tables)])
    return STRING


def _key_type(text: Text, tables: Mapping[Text, TableWord], report: Report, depth: int) -> Type:
    """A reference to a table has the type of the table's key (a person's stays one)."""
    table = tables[text]
    key = table.fields.get(table.key[0])
    if key is None or depth > len(tables):
        return replace(STRING, table=str(text))
    base = STRING if key.type == text else _type(key.type, tables, report, depth + 1)
    return replace(base, table=str(text))
