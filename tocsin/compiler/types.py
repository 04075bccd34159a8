"""Type words to types: `decimal(2)`, `person(card)`, `duration(s)`, the name of a table."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.errors import UnitError
from tocsin.model.types import DURATION, STRING, Kind, Type
from tocsin.model.units import factor, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.report import Report
    from tocsin.language.model import FieldWord, TableWord, Text

_CALL = re.compile(r"(?P<word>[a-z0-9_]+)\s*\(\s*(?P<argument>[^()]*?)\s*\)")
_PLAIN = {kind.value for kind in Kind} - {"decimal", "list"}
_MOST_DIGITS = 18
WORDS = sorted(_PLAIN | {"decimal(SCALE)", "person(KIND)", "duration(UNIT)", "the name of a table"})


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
    if word.resolution is not None:
        if type_.kind is not Kind.FLOAT64 or word.resolution <= 0:
            report.add(word.mark, "resolution", "resolution is the step in which a float64 is summed", expected="> 0")
        else:
            type_ = replace(type_, resolution=word.resolution)
    return replace(type_, unit=str(word.unit)) if word.unit and type_.numeric else type_


def _type(text: Text, tables: Mapping[Text, TableWord], report: Report, depth: int = 0) -> Type:
    if text in _PLAIN:
        return Type(Kind(str(text)))
    if text in tables:
        return _key_type(text, tables, report, depth)
    if call := _CALL.fullmatch(text):
        return _parametrised(text, call["word"], call["argument"], report)
    report.unknown(text, "type", [*_PLAIN, *tables])
    return STRING


def _key_type(text: Text, tables: Mapping[Text, TableWord], report: Report, depth: int) -> Type:
    """A reference to a table has the type of the table's key (a person's stays one)."""
    table = tables[text]
    key = table.fields.get(table.key[0]) if table.key else None
    if key is None or depth > len(tables):
        return replace(STRING, table=str(text))
    base = STRING if key.type == text else _type(key.type, tables, report, depth + 1)
    return replace(base, table=str(text))


def _parametrised(text: Text, word: str, argument: str, report: Report) -> Type:
    if word == "decimal" and argument.isdecimal() and int(argument) <= _MOST_DIGITS:
        return Type(Kind.DECIMAL, scale=int(argument))
    if word == "person" and argument.isidentifier():
        return replace(STRING, person=argument)
    if word == "duration":
        return _duration(text, argument, report)
    report.add(text, "type", f"{str(text)!r} is no type", expected=", ".join(WORDS))
    return STRING


def _duration(text: Text, unit: str, report: Report) -> Type:
    try:
        parse_duration(f"1{unit}")
    except UnitError as error:
        report.add(text, "unit", str(error), expected="duration(ms), duration(s), duration(m) or duration(h)")
    return replace(DURATION, unit=unit)


def known_unit(unit: str) -> bool:
    """Say whether a unit can be converted at all."""
    try:
        factor(unit, unit)
    except UnitError:
        return False
    return True
