"""Canonical JSON: the same values give the same bytes, on every host.

Keys are sorted, no blanks. Integers and decimals are exact (a decimal has all digits of its scale), floats are the
shortest text that reads back the same, timestamps are RFC 3339 in UTC with milliseconds, durations are integers in ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from hashlib import blake2b
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.model.types import Type

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_MS = 60_000
_ID_BYTES = 16

NOTHING = "null"
_WORDS = {None: NOTHING, True: "true", False: "false"}

Json = str | int | float | bool | Mapping[str, "Json"] | Sequence["Json"] | None


def timestamp_text(ms: int) -> str:
    """Give milliseconds since the epoch as RFC 3339 in UTC, `2026-03-01T10:04:30.000Z`.

    It knows the years 1 to 9999. What is computed may lie beyond, a day after an expiry of 9999-12-31 say: then it is
    the number, as `tocsin.model.display` writes it.
    """
    minute, rest = divmod(ms, _MINUTE_MS)
    try:
        text = _minute_text(minute)
    except OverflowError:
        return f"{ms} ms since 1970"
    return f"{text}:{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    """Alerts of a call lie close together: a third of the time of a `strftime` each."""
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M")


def decimal_text(value: int, scale: int) -> str:
    """Give a scaled integer as a decimal with exactly `scale` digits after the point: (1230, 2) is `12.30`."""
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).zfill(scale + 1)
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


def encode(value: Json) -> str:
    """Give canonical JSON."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{encode_basestring(name)}:{encode(value[name])}" for name in sorted(value)]) + "}"
    return "[" + ",".join([encode(item) for item in value]) + "]"


def encoder(kind: Type) -> Callable[..., str]:
    """Give what makes canonical JSON of a column's physical values but null."""
    if kind.kind is Kind.DECIMAL:
        return partial(decimal_text, scale=kind.scale)
    return _WRITERS.get(kind.kind, encode)


def alert_id(about: str) -> str:
    """Give an alert's id, 32 hexadecimal digits (semantics 16, 19).

    `about`: canonical JSON of topology, rule, the fingerprint as JSON, and the time of the first step of the level that
    raised the episode; immediate: the level and the cell.
    """
    return blake2b(about.encode(), digest_size=_ID_BYTES).hexdigest()


def _timestamp(ms: int) -> str:
    return f'"{timestamp_text(ms)}"'


_WRITERS: Mapping[Kind, Callable[..., str]] = {
    Kind.STRING: encode_basestring,
    Kind.POLYGON: encode_basestring,
    Kind.INT64: repr,
    Kind.DURATION: repr,
    Kind.FLOAT64: repr,
    Kind.TIMESTAMP: _timestamp,
}
