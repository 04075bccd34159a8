"""Values as people read them: in the sentence of an alert, on the console, in tables.

A decimal is printed exactly, with its scale; a float with three significant digits, as measurements rarely have more;
a distance in m from 1 km on in km; a speed in m/s from 10 m/s on in km/h; a time in the topology's zone; null as
an en dash.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tocsin.model.types import Type

NULL = "–"  # noqa: RUF001  # the typographic sign for nothing
_SPEC = re.compile(r"(?:\.(\d{1,2}))?(%?)")
_STEPS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KM_FROM, _KMH_FROM, _WHOLE_FROM = 1000, 10, 100


def is_spec(spec: str, kind: Kind) -> bool:
    """Whether `{x:spec}` can be used for a value of that kind: `.2`, `%`, `.1%`; `%H:%M` for a timestamp."""
    if kind is Kind.TIMESTAMP:
        return not spec or "%" in spec
    if kind in {Kind.INT64, Kind.FLOAT64, Kind.DECIMAL}:
        return _SPEC.fullmatch(spec) is not None
    return not spec


def display(value: object, type_: Type, spec: str = "", *, zone: str = "UTC") -> str:
    """Give the text of a physical value (a decimal as its scaled integer, times in ms).

    Args:
        value: as it lies in the column; None is null.
        type_: its type; its unit is appended.
        spec: `.2` digits after the point, `%` as a percentage, `.1%` both; for a timestamp a strftime pattern.
        zone: IANA zone of timestamps.

    Raises:
        ValueError: the spec is not one for this kind.

    """
    return displayer(type_, spec, zone=zone)(value)


def displayer(type_: Type, spec: str = "", *, zone: str = "UTC") -> Callable[[object], str]:
    """Give `display` for many values of one type: what does not depend on the value is done once."""
    if not is_spec(spec, type_.kind):
        raise ValueError(f"{spec!r} does not format a {type_}")
    shown: Callable[[object], str] = _OTHER.get(type_.kind, str)
    if type_.kind is Kind.TIMESTAMP:
        shown = partial(_timestamp, spec=spec or "%Y-%m-%d %H:%M:%S", zone=ZoneInfo(zone))
    elif type_.numeric:
        shown = partial(_number, form=_form(type_, spec))
    return lambda value: NULL if value is None else shown(value)


def _whole(value: object) -> int:
    return int(str(value))


class _Form(NamedTuple):
    """How numbers of a column are shown; `scale`: of a decimal, else None; `digits` after the point, "" for as is."""

    kind: Kind
    scale: int | None
    unit: str
    digits: str
    percent: bool


def _form(type_: Type, spec: str) -> _Form:
    match = _SPEC.fullmatch(spec)
    digits, percent = (match[1] or "", bool(match[2])) if match else ("", False)
    return _Form(type_.kind, type_.scale if type_.kind is Kind.DECIMAL else None, type_.unit, digits, percent)


def _number(value: object, form: _Form) -> str:
    number, digits = Decimal(str(value)), form.digits
    if form.scale is not None:
        number = number.scaleb(-form.scale)
    if form.percent:
        return f"{number * 100:.{digits}f}%" if digits else f"{_short(number * 100)}%"
    shown, unit = _scaled(number, form.unit)
    text = f"{shown:.{digits}f}" if digits else _plain(shown, exact=shown is number and form.kind is not Kind.FLOAT64)
    return f"{text} {unit.removeprefix('1')}".rstrip()


def _scaled(number: Decimal, unit: str) -> tuple[Decimal, str]:
    if unit == "m" and abs(number) >= _KM_FROM:
        return number / 1000, "km"
    if unit == "m/s" and abs(number) >= _KMH_FROM:
        return number * Decimal("3.6"), "km/h"
    return number, unit


def _plain(number: Decimal, *, exact: bool) -> str:
    return f"{number:f}" if exact else _short(number)


def _short(number: Decimal) -> str:
    """Three significant digits, all digits of the whole part, no zeros at the end."""
    if abs(number) >= _WHOLE_FROM:
        return f"{number:.0f}"
    short = Decimal(f"{number:.3g}")
    text = f"{short:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _duration(value: object) -> str:
    ms = _whole(value)
    sign, rest, parts = ("-" if ms < 0 else ""), abs(ms), []
    for unit, size in _STEPS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + (" ".join(parts[:2]) or "0s")


def _timestamp(value: object, spec: str, zone: ZoneInfo) -> str:
    ms = _whole(value)
    try:
        local = (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone)
    except OverflowError:
        return f"{ms} ms since 1970"
    return local.strftime(spec)


def _point(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    lat, lon = value.get("lat"), value.get("lon")
    return NULL if lat is None or lon is None else f"{lat} {lon}"


def _list(value: object) -> str:
    items = value if isinstance(value, list | tuple) else [value]
    return ", ".join(NULL if item is None else str(item) for item in items)


_OTHER: Mapping[Kind, Callable[[object], str]] = {
    Kind.DURATION: _duration,
    Kind.POINT: _point,
    Kind.LIST: _list,
    Kind.BOOLEAN: lambda value: "true" if value else "false",
}
