"""Transitions as lines of JSON: one object per transition, its keys in the order of the transition log.

`entity`, `values` and `labels` are JSON objects, digit for digit as the alert machine wrote them (a decimal keeps its
digits); so is `says` where it has several languages. `time` is RFC 3339 in UTC with milliseconds. Anything else is
text, number or Boolean as in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import polars as pl

from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.3fZ"

NESTED = ("entity", "values", "labels")
NULL = b"null"


class Written(msgspec.Struct, frozen=True):
    """What tells a line from others; msgspec skips the rest of it. ValidationError: not a line of ours."""

    alert_id: str
    sequence: int
    early: bool


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_written = msgspec.json.Decoder(Written)
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode(transitions: pl.DataFrame) -> bytes:
    """Give the lines of transitions (columns TRANSITIONS, others are left out), each with its newline."""
    time = pl.from_epoch("time", time_unit="ms").dt.to_string(TIME_FORMAT)
    shown = transitions.select(list(TRANSITIONS)).with_columns(time.alias("time"))
    columns = [_nest(shown[name]) for name in shown.columns]
    return b"".join(
        _encoder.encode(dict(zip(shown.columns, row, strict=True))) + b"\n" for row in zip(*columns, strict=True)
    )


def decode(lines: Iterable[bytes]) -> pl.DataFrame:
    """Give the transitions of lines; msgspec.DecodeError where a line is none."""
    records = [_record(line) for line in lines]
    time = pl.col("time").str.to_datetime(TIME_FORMAT, time_unit="ms").dt.epoch("ms")
    texts = {**TRANSITIONS, "time": pl.String()}
    return pl.DataFrame(records, schema=texts, orient="row").with_columns(time).select(list(TRANSITIONS))


def identify(line: bytes) -> Written:
    """Give the identity of a line; msgspec.DecodeError where it is not one of ours."""
    return _written.decode(line)


def _nest(column: pl.Series) -> list[object]:
    if column.name == "says":
        return [msgspec.Raw(text.encode()) if _by_language(text) else text for text in column]
    if column.name in NESTED:
        return [msgspec.Raw(text.encode() if text else NULL) for text in column]
    return column.to_list()


def _by_language(text: str | None) -> bool:
    """Whether a sentence is a JSON object of texts; a sentence that merely begins with a brace stays text."""
    if not text or not text.startswith("{"):
        return False
    try:
        found = _decoder.decode(text)
    except msgspec.DecodeError:
        return False
    return isinstance(found, dict) and all(isinstance(value, str) for value in found.values())


def _record(line: bytes) -> dict[str, object]:
    fields = _raw_fields.decode(line)
    return {name: _unnest(name, fields[name]) for name in TRANSITIONS if name in fields}


def _unnest(name: str, raw: msgspec.Raw) -> object:
    text = bytes(raw)
    nested = name in NESTED or (name == "says" and text.startswith(b"{"))
    return text.decode() if nested and text != NULL else _decoder.decode(text)
