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
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tocsin.model.types import Type

NULL = "–"  # noqa: RUF001  # the typographic sign for nothing
_SPEC = re.compile(r"(?:\.(\d{1,2}))?(%?)")
_STEPS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION_PARTS = 2
_WHOLE_FROM = 100
_SCALED: Mapping[str, tuple[int, Decimal, str]] = {
    "m": (1000, Decimal("0.001"), "km"),
    "m/s": (10, Decimal("3.6"), "km/h"),
}
"""From which number on a unit is shown as a larger one, the factor, and that unit."""


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
    shown = displayer(type_, spec, zone=zone)
    return NULL if value is None else shown(value)


def displayer(type_: Type, spec: str = "", *, zone: str = "UTC") -> Callable[[object], str]:
    """Give `display` for many values of one type, none of them null: what does not depend on the value is done once."""
    if not is_spec(spec, type_.kind):
        raise ValueError(f"{spec!r} does not format a {type_}")
    if type_.kind is Kind.TIMESTAMP:
        return partial(_timestamp, spec=spec or "%Y-%m-%d %H:%M:%S", zone=ZoneInfo(zone))
    return _numbers(type_, spec) if type_.numeric else _OTHER.get(type_.kind, str)


def _whole(value: object) -> int:
    return int(str(value))


def _numbers(type_: Type, spec: str) -> Callable[[object], str]:
    match, scale = _SPEC.fullmatch(spec), type_.scale if type_.kind is Kind.DECIMAL else None
    digits, percent = (match[1] or "", match[2]) if match else ("", "")
    form = f".{digits}f" if digits else "f" if type_.kind is not Kind.FLOAT64 else ""
    if percent:
        return lambda value: f"{_text(_number(value, scale) * 100, form if digits else '')}%"
    if type_.unit in _SCALED:
        return partial(_scaled, scale=scale, form=form, digits=digits, unit=type_.unit)
    unit = _unit(type_.unit)
    return lambda value: f"{_text(_number(value, scale), form)}{unit}"


def _number(value: object, scale: int | None) -> Decimal:
    number = Decimal(str(value))
    return number if scale is None else number.scaleb(-scale)


def _text(number: Decimal, form: str) -> str:
    return f"{number:{form}}" if form else _short(number)


def _unit(unit: str) -> str:
    return f" {unit.removeprefix('1')}".rstrip()


def _scaled(value: object, scale: int | None, form: str, digits: str, unit: str) -> str:
    number = _number(value, scale)
    least, factor, larger = _SCALED[unit]
    if abs(number) >= least:
        return f"{_text(number * factor, form if digits else '')} {larger}"
    return f"{_text(number, form)}{_unit(unit)}"


def _short(number: Decimal) -> str:
    """Three significant digits, all digits of the whole part, no zeros at the end."""
    if abs(number) >= _WHOLE_FROM:
        return f"{number:.0f}"
    short = Decimal(f"{number:.3g}")
    text = f"{short:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _duration(value: object) -> str:
    ms = _whole(value)
    sign, rest = ("-" if ms < 0 else ""), abs(ms)
    parts: list[str] = []
    for unit, size in _STEPS:
        if rest >= size and len(parts) < _DURATION_PARTS:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return sign + (" ".join(parts) or "0s")


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
