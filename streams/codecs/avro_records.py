"""Avro records to carrier columns.

Times are read as the integers they are, because a date of the year 292277 would end the reading of a whole block; then
their unit is put back. A column whose values are of several types becomes texts, which `scalars.py` reads as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import fastavro
import polars as pl

from streams.codecs.reasons import Bad, Reason

if TYPE_CHECKING:
    import io
    from collections.abc import Collection, Mapping, Sequence

    Schema = dict[str, object]

_UNITS = {"timestamp-millis": "ms", "timestamp-micros": "us", "timestamp-nanos": "ns"}
_PLAIN = {*_UNITS, *(f"local-{unit}" for unit in _UNITS), "date", "time-millis", "time-micros", "uuid"}


def without_times(schema: object) -> object:
    """Give an Avro schema whose times, dates and ids are the plain values that they lie as."""
    if isinstance(schema, list):
        return [without_times(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: without_times(value) for name, value in schema.items() if name != "doc"}
    if kept.get("logicalType") in _PLAIN:
        del kept["logicalType"]
    return kept


def time_dtypes(schema: object) -> Mapping[str, pl.DataType]:
    """Give the Polars type of each field of a record schema that is a point in time."""
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    found = {field["name"]: _time_dtype(field["type"]) for field in fields}
    return {name: dtype for name, dtype in found.items() if dtype is not None}


def _time_dtype(type_: object) -> pl.DataType | None:
    options = type_ if isinstance(type_, list) else [type_]
    for option in options:
        logical = str(option.get("logicalType", "")).removeprefix("local-") if isinstance(option, dict) else ""
        if logical == "date":
            return pl.Date()
        if logical in _UNITS:
            return pl.Datetime(_UNITS[logical])  # type: ignore[arg-type]  # one of Polars' units
    return None


def read_binary(raw: io.BytesIO, schema: Schema, count: int) -> list[dict[str, object]]:
    """Read records that follow one another without a container, as a Kafka payload or a block holds them."""
    try:
        records = [fastavro.schemaless_reader(raw, schema, None) for _ in range(count)]
    except Exception as error:  # noqa: BLE001  # fastavro raises whatever comes of bytes that are none of the schema's
        raise Bad(Reason.BAD_AVRO, f"not a record of the schema: {type(error).__name__} {error}") from None
    return cast("list[dict[str, object]]", records)


def carrier_frame(
    records: Sequence[Mapping[str, object]], names: Collection[str], times: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """Put records side by side: one column per name."""
    columns = [_column(name, [record.get(name) for record in records], times.get(name)) for name in names]
    return pl.DataFrame(columns)


def _column(name: str, values: list[object], time: pl.DataType | None) -> pl.Series:
    try:
        column = pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        column = pl.Series(dtype=pl.Object)
    if isinstance(column.dtype, pl.Object):
        return pl.Series(name, [None if value is None else _text(value) for value in values], dtype=pl.String)
    if time is not None and column.dtype.is_integer():
        return column.cast(pl.Int32 if isinstance(time, pl.Date) else pl.Int64).cast(time)
    return column


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
