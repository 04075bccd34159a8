"""One value of one field: the definition of decoding (semantics 21).

Columns are decoded column by column where that is sure to give the same (`columns.py`); every value of which it is not
sure comes here, so that what a record becomes does not depend on its neighbours.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from streams.codecs import numbers, places, times
from streams.codecs.reasons import Bad, Reason, shown
from tocsin.model.types import Kind, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def read_string(value: object) -> str:
    """Read a text; a number counts by its shortest decimal text (3.0 is "3"), a Boolean as true or false."""
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, float | Decimal):
        return plain(value)
    raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not a text")


def plain(value: float | Decimal) -> str:
    """Spell a number without exponent and without zeros at the end of its fraction."""
    text = f"{numbers.exact(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Bad(Reason.INVALID_UTF8, f"{shown(text)} holds half of a surrogate pair") from None
    return text


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Bad(Reason.INVALID_UTF8, f"{shown(raw)} is not UTF-8") from None


def read_boolean(value: object) -> bool:
    """Read true or false: a Boolean, 0 or 1, or one of the texts true, false, 0, 1."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is neither true nor false")


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

_READERS: Mapping[Kind, Callable[[object], object]] = {
    Kind.STRING: read_string,
    Kind.INT64: numbers.read_int64,
    Kind.FLOAT64: numbers.read_float64,
    Kind.BOOLEAN: read_boolean,
    Kind.TIMESTAMP: times.read_timestamp,
    Kind.POINT: places.read_point,
    Kind.POLYGON: places.read_polygon,
}


def read_value(value: object, type_: Type) -> object:
    """Give the physical value of a field, None for null; Bad says why not."""
    if value is None:
        return None
    if type_.kind is Kind.DECIMAL:
        return numbers.read_decimal(value, type_.scale)
    if type_.kind is Kind.DURATION:
        return numbers.read_duration(value, type_.unit)
    if isinstance(value, date | datetime) and type_.kind is not Kind.TIMESTAMP:
        raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not {type_.kind}")
    return _READERS[type_.kind](value)
