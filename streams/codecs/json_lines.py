"""Many JSON records at once: Polars' parser where it takes them all, each record alone where it does not.

The parser refuses a whole block for one bad record, without saying which. A block that is refused is sifted by msgspec
(quick, and only a guess), what passed is tried again and halved as long as it is refused; what is left over is read
record by record. So a good record costs little even among bad ones, and whether it is good is judged by itself alone.

Few records that are all spelled alike, with no field missing and none unknown, are read by msgspec on the thread that
asks: Polars' parser works on threads of its own, and handing ten records over takes longer than reading a hundred.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import polars as pl

from streams.codecs.json_record import parse_object
from streams.codecs.parsed import Parsed
from streams.codecs.reasons import Bad
from tocsin.model.few import FEW
from tocsin.model.types import Kind, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from streams.sources.contract import Records

    Rows = npt.NDArray[np.int64]

HALVED_LEAST = 64
"""Records in a refused block from which on halving costs more than reading them one by one."""
GUESSED_FROM = 8
"""Records looked at to see how times, decimals and places are spelled."""

_HALF_SURROGATE = re.compile(rb"\\u[dD][89abAB]")
"""Escaped surrogates: the columnar parser makes a NUL of half a pair."""


class Shape(NamedTuple):
    """How the fields are spelled in JSON: a guess that decides about speed only.

    `whole`: reads records that have all fields and no null, None where a field is no plain value; `quotes`: how many
    quotation marks stand in such a record if it has no other member and no escaped character.
    """

    schema: Mapping[str, pl.DataType]
    sieve: msgspec.json.Decoder[object]
    whole: msgspec.json.Decoder[msgspec.Struct] | None = None
    quotes: int = 0


_PLAIN: Mapping[Kind, tuple[pl.DataType, object]] = {
    Kind.STRING: (pl.String(), str | int | float | bool | None),
    Kind.INT64: (pl.Int64(), int | None),
    Kind.FLOAT64: (pl.Float64(), float | None),
    Kind.BOOLEAN: (pl.Boolean(), bool | None),
    Kind.TIMESTAMP: (pl.Int64(), int | None),
    Kind.DURATION: (pl.Float64(), float | None),
    Kind.DECIMAL: (pl.Float64(), float | None),
    Kind.POINT: (pl.String(), str | None),
    Kind.POLYGON: (pl.String(), str | None),
}
_STRICT: Mapping[type[pl.DataType], type] = {pl.String: str, pl.Int64: int, pl.Float64: float, pl.Boolean: bool}
_TEXT: tuple[pl.DataType, object] = (pl.String(), str | None)
_PAIR: tuple[pl.DataType, object] = (pl.List(pl.Float64), list[float] | None)
_PLACE: tuple[pl.DataType, object] = (
    pl.Struct({"lat": pl.Float64, "lon": pl.Float64}),
    msgspec.defstruct("Place", [("lat", float | None, None), ("lon", float | None, None)]) | None,
)


def guess_shape(records: Records, fields: Mapping[str, Type]) -> Shape:
    """Look at the first records to see how the fields are spelled."""
    seen: dict[str, object] = {}
    for row in range(min(records.count, GUESSED_FROM)):
        try:
            values = parse_object(records.at(row))
        except Bad:
            continue
        seen = {**{name: value for name, value in values.items() if value is not None}, **seen}
    spelled = {name: _spelling(seen.get(name), type_) for name, type_ in fields.items()}
    # msgspec renames nothing: field names that are no Python names are given through `rename`
    names = [f"f{number}" for number in range(len(spelled))]
    struct = msgspec.defstruct(
        "Sieve",
        [(name, type_, None) for name, (_, type_) in zip(names, spelled.values(), strict=True)],
        rename=dict(zip(names, spelled, strict=True)),
        gc=False,
    )
    schema = {name: dtype for name, (dtype, _) in spelled.items()}
    return Shape(schema, msgspec.json.Decoder(struct), *_whole(schema))


def _whole(schema: Mapping[str, pl.DataType]) -> tuple[msgspec.json.Decoder[msgspec.Struct] | None, int]:
    plain = [_STRICT.get(type(dtype)) for dtype in schema.values()]
    if None in plain or not plain:
        return None, 0
    names = [f"f{number}" for number in range(len(schema))]
    fields = list(zip(names, plain, strict=True))
    struct = msgspec.defstruct("Whole", fields, rename=dict(zip(names, schema, strict=True)), gc=False)
    return msgspec.json.Decoder(struct), 2 * (len(schema) + plain.count(str))


def _spelling(value: object, type_: Type) -> tuple[pl.DataType, object]:
    if isinstance(value, str):
        return _TEXT
    if type_.kind is Kind.POINT and isinstance(value, list):
        return _PAIR
    if type_.kind is Kind.POINT and isinstance(value, dict):
        return _PLACE
    return _PLAIN[type_.kind]


def parse_lines(records: Records, shape: Shape) -> Parsed:
    """Parse what the columnar parser surely reads right; carrier columns as `shape` says."""
    rows = np.arange(records.count, dtype=np.int64)
    if 0 < records.count <= FEW and (few := _parse_few(records, shape)) is not None:
        return Parsed(few, rows)
    apart = _halves_of_surrogates(records)
    if apart is None:
        frame = _parse(records.blob, records.count, shape)
        if frame is not None:
            parsed = Parsed(frame, rows)
            return parsed if _all_flat(records) else _without_objects(parsed)
    else:
        rows = np.setdiff1d(rows, apart)
    return _without_objects(_sifted(records, rows, shape))


def _parse_few(records: Records, shape: Shape) -> pl.DataFrame | None:
    """Read records that have each field once and nothing else; None where one may be otherwise.

    Without escapes, quotation marks enclose names and texts only: where there are no more of them than the fields need,
    no name stands twice (the first would count, msgspec takes the last) and no other one is there.
    """
    blob, count = records.blob, records.count
    if shape.whole is None or b"\\" in blob or blob.count(b'"') != shape.quotes * count or not _all_flat(records):
        return None
    try:
        read = shape.whole.decode_lines(blob)
        columns = zip(*map(msgspec.structs.astuple, read), strict=True)
        named = zip(shape.schema.items(), columns, strict=True)
        return pl.DataFrame([pl.Series(name, column, dtype) for (name, dtype), column in named])
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, OverflowError):  # the last two: a large whole number
        return None


def _halves_of_surrogates(records: Records) -> Rows | None:
    blob = records.blob
    if b"\\" not in blob or not (b"\\ud" in blob or b"\\uD" in blob):
        return None
    places = np.fromiter((found.start() for found in _HALF_SURROGATE.finditer(blob)), dtype=np.int64)
    return np.unique(np.searchsorted(records.bounds, places, side="right") - 1) if len(places) else None


def _parse(blob: bytes, count: int, shape: Shape) -> pl.DataFrame | None:
    try:
        frame = pl.read_ndjson(blob, schema=dict(shape.schema))
    except (pl.exceptions.PolarsError, ValueError):
        return None
    return frame if frame.height == count else None


def _sifted(records: Records, rows: Rows, shape: Shape) -> Parsed:
    kept = [row for row in rows.tolist() if _passes(records.at(row), shape)]
    parts = _halved(records, np.array(kept, dtype=np.int64), shape)
    if not parts:
        return Parsed(pl.DataFrame(schema=dict(shape.schema)), np.zeros(0, dtype=np.int64))
    return Parsed(pl.concat(part.frame for part in parts), np.concatenate([part.taken for part in parts]))


def _passes(raw: bytes, shape: Shape) -> bool:
    try:
        shape.sieve.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    except RecursionError:
        return True  # the columnar parser judges how deep is too deep
    return True


def _halved(records: Records, rows: Rows, shape: Shape) -> list[Parsed]:
    if not len(rows):
        return []
    blob = b"\n".join(records.at(row) for row in rows.tolist())
    frame = _parse(blob, len(rows), shape)
    if frame is not None:
        return [Parsed(frame, rows)]
    if len(rows) <= HALVED_LEAST:
        return []
    middle = len(rows) // 2
    return _halved(records, rows[:middle], shape) + _halved(records, rows[middle:], shape)


def _all_flat(records: Records) -> bool:
    """Whether no record can hold an object or a list: all begin with one, and nothing else begins any."""
    blob, count = records.blob, records.count
    return b"[" not in blob and blob.count(b"{") == count and blob.startswith(b"{") and blob.count(b"\n{") == count - 1


def _without_objects(parsed: Parsed) -> Parsed:
    """Leave out rows with a text that may have been an object or a list: the parser spells those as texts."""
    texts = [name for name, dtype in parsed.frame.schema.items() if isinstance(dtype, pl.String)]
    nested = pl.any_horizontal(
        pl.lit(value=False), *(pl.col(name).str.starts_with(mark) for name in texts for mark in ("{", "["))
    )
    apart = parsed.frame.select(nested.fill_null(value=False).alias("apart"))["apart"]
    if not apart.any():
        return parsed
    return Parsed(parsed.frame.filter(~apart), parsed.taken[~apart.to_numpy()])
