"""Canonical JSON: the same values give the same bytes, on every host.

Keys are sorted, no blanks. Integers and decimals are exact (a decimal has all digits of its scale), floats are the
shortest text that reads back the same, timestamps are RFC 3339 in UTC with milliseconds, durations are integers in ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from json.encoder import encode_basestring

from tocsin.model.types import Kind, Type

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID_BYTES = 16
_WORDS = {None: "null", True: "true", False: "false"}

Json = str | int | float | bool | Mapping[str, "Json"] | Sequence["Json"] | None


class Raw(str):
    """A text that is already JSON."""

    __slots__ = ()


def timestamp_text(ms: int) -> str:
    """Give milliseconds since the epoch as RFC 3339 in UTC, `2026-03-01T10:04:30.000Z`."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def decimal_text(value: int, scale: int) -> str:
    """Give a scaled integer as a decimal with exactly `scale` digits after the point: (1230, 2) is `12.30`."""
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).zfill(scale + 1)
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


def typed(value: object, kind: Type) -> Json:
    """Give a column's physical value as what stands for it in JSON."""
    if value is None:
        return None
    if kind.kind is Kind.TIMESTAMP and isinstance(value, int):
        return timestamp_text(value)
    if kind.kind is Kind.DECIMAL and isinstance(value, int):
        return Raw(decimal_text(value, kind.scale))
    return value  # type: ignore[return-value]  # what a column of any other type gives is JSON already


def encode(value: Json) -> str:
    """Give canonical JSON."""
    if isinstance(value, str):
        return str(value) if isinstance(value, Raw) else encode_basestring(value)
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{encode_basestring(name)}:{encode(value[name])}" for name in sorted(value)]) + "}"
    return "[" + ",".join([encode(item) for item in value]) + "]"


def fingerprint(row: Mapping[str, object], entity: Mapping[str, Type]) -> str:
    """Give the entity of a row as canonical JSON, `{"card":"p:…"}`."""
    return encode({name: typed(row[name], kind) for name, kind in entity.items()})


def alert_id(topology: str, rule: str, entity: str, *parts: str | int) -> str:
    """Give an alert's id, 32 hexadecimal digits (semantics 16, 19).

    `parts`: the time of the first step of the level that raised the episode; immediate: the level and the cell.
    """
    return blake2b(encode([topology, rule, entity, *parts]).encode(), digest_size=_ID_BYTES).hexdigest()
