"""Transitions as lines of JSON: one object per transition, its keys in the order of the transition log.

`entity`, `values` and `labels` are JSON objects, digit for digit as the alert machine wrote them (a decimal keeps its
digits); so is `says` where it has several languages. `time` is RFC 3339 in UTC with milliseconds. Anything else is
text, number or Boolean as in the log.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.3fZ"
TIME_TEXT = pl.from_epoch("time", time_unit="ms").dt.to_string(TIME_FORMAT).alias("time")

NESTED = ("entity", "values", "labels")
NULL = b"null"
_BY_LANGUAGE = "__by_language"


class Written(msgspec.Struct, frozen=True):
    """What tells a line from others; msgspec skips the rest of it. ValidationError: not a line of ours."""

    alert_id: str
    sequence: int
    early: bool


_texts = msgspec.json.Decoder(dict[str, str])
_decoder = msgspec.json.Decoder()
_written = msgspec.json.Decoder(Written)
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode(transitions: pl.DataFrame) -> bytes:
    """Give the lines of transitions (columns TRANSITIONS, others are left out), each with its newline.

    Columnar: 2.6 µs per transition, where a Python object per row took 12 µs.
    """
    if transitions.is_empty():
        return b""
    return bytes((objects(transitions) + "\n").str.join("").cast(pl.Binary).item())


def objects(transitions: pl.DataFrame) -> pl.Series:
    """Give the JSON object of each transition, as `encode` writes it into a line."""
    says = transitions.get_column("says").to_list()
    by_language = {text for text in set(says) if text is not None and _is_object_of_texts(text)}
    marked = pl.Series(_BY_LANGUAGE, [text in by_language for text in says], dtype=pl.Boolean)
    return transitions.hstack([marked]).select(_line()).to_series()


def decode(lines: Iterable[bytes]) -> pl.DataFrame:
    """Give the transitions of lines; msgspec.DecodeError where a line is none."""
    records = [_record(line) for line in lines]
    time = pl.col("time").str.to_datetime(TIME_FORMAT, time_unit="ms").dt.epoch("ms")
    texts = {**TRANSITIONS, "time": pl.String()}
    return pl.DataFrame(records, schema=texts, orient="row").with_columns(time).select(list(TRANSITIONS))


def identify(line: bytes) -> Written:
    """Give the identity of a line; msgspec.DecodeError where it is not one of ours."""
    return _written.decode(line)


@cache
def _line() -> pl.Expr:
    """Give the object of a transition; `_BY_LANGUAGE` says whether what it says is an object of texts."""
    says = pl.when(_BY_LANGUAGE).then(_object("says")).otherwise(_values("says"))
    first, *others = _members({name: _object(name) for name in NESTED} | {"says": says})
    members = [part for member in others for part in (pl.lit(","), member)]
    return pl.concat_str(pl.lit("{"), first, *members, pl.lit("}")).alias("object")


def _members(objects: Mapping[str, pl.Expr]) -> Iterator[pl.Expr]:
    """Give the members of a line in order; neighbours that need no care are encoded together."""
    for special, names in groupby(TRANSITIONS, key=lambda name: objects.keys() & {name}):
        if special:
            yield from (objects[name] for name in names)
        else:
            yield _values(*names)


def _values(*names: str) -> pl.Expr:
    """Give `"name":value,"name":value` of columns."""
    return (
        pl.struct(TIME_TEXT if name == "time" else name for name in names)
        .struct.json_encode()
        .str.strip_prefix("{")
        .str.strip_suffix("}")
    )


def _object(name: str) -> pl.Expr:
    """Give `"name":{...}` of a column that holds JSON."""
    text = pl.when(pl.col(name) != "").then(pl.col(name)).otherwise(pl.lit("null"))
    return pl.concat_str(pl.lit(f'"{name}":'), text)


def _is_object_of_texts(text: str) -> bool:
    """Whether a sentence is there in several languages; one that merely begins with a brace stays text."""
    if not text.startswith("{"):
        return False
    try:
        _texts.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def _record(line: bytes) -> dict[str, object]:
    fields = _raw_fields.decode(line)
    return {name: _unnest(name, fields[name]) for name in TRANSITIONS if name in fields}


def _unnest(name: str, raw: msgspec.Raw) -> object:
    text = bytes(raw)
    nested = name in NESTED or (name == "says" and text.startswith(b"{"))
    return text.decode() if nested and text != NULL else _decoder.decode(text)
