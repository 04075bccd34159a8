"""Whole columns at once, where that surely gives what `scalars.read_value` gives for each value.

Every conversion gives two expressions: the physical column, and *doubt*: true where the value must be judged alone.
A conversion may doubt too much (that costs time), never too little (that would make two decoders of one). Columns whose
least and greatest value show that none can be in doubt are taken as they are, without a query (`_SURE`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.codecs.numbers import DURATION_MOST, EXACT_FLOAT, INT64_MOST, unit_ms
from streams.codecs.places import LATITUDE_MOST, LONGITUDE_MOST
from streams.codecs.time_texts import timestamps_of_texts
from streams.codecs.times import TIME_LEAST, TIME_MOST
from tocsin.model import few
from tocsin.model.types import Kind, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXACT_WHOLE = 2**53
"""Up to here every whole number is a float64 of its own."""
SHORT_TEXT = 15
"""A number spelled in so few characters survives the way through a float64."""


_READ, _DOUBT = "__read:", "__doubt"
_NO_DOUBT = pl.Series([False])


class Conversion(NamedTuple):
    """A physical column, and where it is not to be trusted."""

    physical: pl.Expr
    doubt: pl.Expr


def carriers(frame: pl.DataFrame) -> pl.DataFrame:
    """Bring columns of rare types to the ones that conversions know; no value changes its meaning.

    Times become milliseconds, cut off below; a float32 counts by its own shortest decimal text.
    """
    changed = [_carrier(pl.col(name), dtype) for name, dtype in frame.schema.items()]
    return frame.with_columns(expression for expression in changed if expression is not None)


def _carrier(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    if isinstance(dtype, pl.Datetime):
        per_ms = {"ns": 1_000_000, "us": 1_000, "ms": 1}[dtype.time_unit]
        return column.to_physical() // per_ms
    if isinstance(dtype, pl.Date):
        return column.to_physical().cast(pl.Int64) * 86_400_000
    if isinstance(dtype, pl.Float32):
        return column.cast(pl.String).cast(pl.Float64)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if isinstance(dtype, pl.Array):
        return column.arr.to_list()
    return None


class Converter:
    """Decodes carrier columns into those of `fields`; expressions are made once for all frames of one schema."""

    def __init__(self, fields: Mapping[str, Type]) -> None:
        self._fields = fields
        self._schema: pl.Schema | None = None
        self._columns: list[pl.Expr] = []

    def convert(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """Decode carrier columns; missing ones are null.

        Gives the physical columns of all fields, and per row whether any value of it must be judged alone.
        """
        schema = frame.schema
        if not frame.height:
            return pl.DataFrame(schema={name: type_.physical for name, type_ in self._fields.items()}), pl.Series(
                dtype=pl.Boolean
            )
        read = self._read(frame, schema)
        sure = self._sure(frame, schema, read)
        if sure is not None:
            return pl.DataFrame(sure), _NO_DOUBT.new_from_index(0, frame.height)
        if schema != self._schema:
            self._schema, self._columns = schema, _conversions(schema, self._fields)
        whole = frame.hstack([column.alias(_READ + name) for name, column in read.items()])
        done = few.select(whole, self._columns)
        return done, done.drop_in_place(_DOUBT)

    def _read(self, frame: pl.DataFrame, schema: pl.Schema) -> dict[str, pl.Series]:
        """Give what functions of ours read: times of texts, texts of bytes, decimals of floats (numpy, quicker).

        Not as a call back from an expression: that would need the interpreter's lock on a thread of Polars' pool, for
        which another thread may be waiting with the lock in hand.
        """
        return {
            name: reader(frame.get_column(name), type_)
            for name, type_ in self._fields.items()
            if name in schema and (reader := _READERS.get((type_.kind, type(schema[name])))) is not None
        }

    def _sure(self, frame: pl.DataFrame, schema: pl.Schema, read: Mapping[str, pl.Series]) -> list[pl.Series] | None:
        """Give the physical columns if no value of any can be in doubt; None if one might be, or is not there."""
        columns = []
        for name, type_ in self._fields.items():
            if name not in schema:
                return None
            column = frame.get_column(name)
            if name in read:
                if read[name].null_count() > column.null_count():
                    return None
                column = read[name]
            elif (is_sure := _SURE.get((type_.kind, type(schema[name])))) is None or not is_sure(column):
                return None
            columns.append(column)
        return columns


def _conversions(schema: pl.Schema, fields: Mapping[str, Type]) -> list[pl.Expr]:
    """Give the physical columns, and last the doubt."""
    found = {name: conversion(pl.col(name), schema[name], type_) for name, type_ in fields.items() if name in schema}
    columns = [
        (found[name].physical if name in found else pl.lit(None)).cast(type_.physical).alias(name)
        for name, type_ in fields.items()
    ]
    doubts = [doubt.fill_null(value=False) for _, doubt in found.values()]
    return [*columns, pl.any_horizontal(pl.lit(value=False), *doubts).alias(_DOUBT)]


def _read_before(column: pl.Expr) -> pl.Expr:
    return pl.col(_READ + column.meta.output_name())


def conversion(column: pl.Expr, dtype: pl.DataType, type_: Type) -> Conversion:
    """Choose how a column of `dtype` becomes the physical column of `type_`."""
    if isinstance(dtype, pl.Null):
        return Conversion(column, pl.lit(value=False))
    found = _CONVERSIONS[type_.kind](column, dtype, type_)
    if found is None:
        return Conversion(pl.lit(None), column.is_not_null())
    return found


def _where(sure: pl.Expr, physical: pl.Expr, column: pl.Expr) -> Conversion:
    """Trust the values for which `sure` is true."""
    trusted = sure.fill_null(value=False)
    return Conversion(pl.when(trusted).then(physical), trusted.not_() & column.is_not_null())


def _unless_null(physical: pl.Expr, column: pl.Expr) -> Conversion:
    """Trust what could be converted at all."""
    return Conversion(physical, physical.is_null() & column.is_not_null())


def _string(column: pl.Expr, dtype: pl.DataType, _: Type) -> Conversion | None:
    if dtype.is_integer() or isinstance(dtype, pl.String | pl.Boolean):
        return Conversion(column.cast(pl.String), pl.lit(value=False))
    if isinstance(dtype, pl.Float64):
        whole = column.cast(pl.Int64, strict=False)
        sure = (whole.cast(pl.Float64) == column) & (column.abs() < EXACT_FLOAT) & (whole != 0)
        return _where(sure, whole.cast(pl.String), column)
    if isinstance(dtype, pl.Binary):
        return _unless_null(_read_before(column), column)
    return None


def _times_of_texts(column: pl.Series, _: Type) -> pl.Series:
    return timestamps_of_texts(column)


def _texts_of_bytes(column: pl.Series, _: Type) -> pl.Series:
    """Read UTF-8; null where it is none (a cast, strict or not, refuses the whole column)."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series(column.name, [_text_of_bytes(raw) for raw in column], dtype=pl.String)


def _text_of_bytes(raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return None


def _int64(column: pl.Expr, dtype: pl.DataType, _: Type) -> Conversion | None:
    if dtype.is_integer() or isinstance(dtype, pl.Boolean | pl.String):
        return _unless_null(column.cast(pl.Int64, strict=False), column)
    if isinstance(dtype, pl.Float64):
        whole = column.cast(pl.Int64, strict=False)
        return _where((whole.cast(pl.Float64) == column) & (column.abs() < EXACT_WHOLE), whole, column)
    return None


def _float64(column: pl.Expr, dtype: pl.DataType, _: Type) -> Conversion | None:
    if isinstance(dtype, pl.Float64) or dtype.is_integer():
        number = column.cast(pl.Float64)
    elif isinstance(dtype, pl.String):
        number = column.cast(pl.Float64, strict=False)
    else:
        return None
    return _where(number.is_finite(), number, column)


def _decimal(column: pl.Expr, dtype: pl.DataType, type_: Type) -> Conversion | None:
    if dtype.is_integer():
        most = INT64_MOST // 10**type_.scale
        whole = column.cast(pl.Int64, strict=False)
        inside = (whole <= most) & (whole >= -most)
        return _where(inside, whole * 10**type_.scale, column)
    if isinstance(dtype, pl.Float64 | pl.String):
        return _unless_null(_read_before(column), column)
    if isinstance(dtype, pl.Decimal) and dtype.scale <= type_.scale:
        units = column.to_physical() * 10 ** (type_.scale - dtype.scale)
        fits = column.to_physical().abs() <= INT64_MOST // 10 ** (type_.scale - dtype.scale)
        return _where(fits, units, column)
    return None


def _decimals_of_texts(column: pl.Series, type_: Type) -> pl.Series:
    short = column.to_frame().select(pl.when(pl.first().str.len_bytes() <= SHORT_TEXT).then(pl.first()))
    return _decimals_of_floats(short.to_series().cast(pl.Float64, strict=False), type_)


def _decimals_of_floats(column: pl.Series, type_: Type) -> pl.Series:
    """Take the nearest whole number of units if dividing it gives back the same float; else null.

    Below 10^15 units no two decimals share a float, so that is the float's shortest decimal text.
    """
    number = column.to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        units = np.rint(number * 10**type_.scale)
        sure = units / 10**type_.scale == number
        sure &= np.abs(units) < EXACT_FLOAT
    if sure.all():
        return pl.Series(column.name, units.astype(np.int64))
    units[~sure] = 0
    return pl.Series(column.name, units.astype(np.int64)).set(pl.Series(~sure), None)


def _boolean(column: pl.Expr, dtype: pl.DataType, _: Type) -> Conversion | None:
    if isinstance(dtype, pl.Boolean):
        return Conversion(column, pl.lit(value=False))
    if dtype.is_integer() or isinstance(dtype, pl.Float64):
        known = pl.when(column == 1).then(statement=True).when(column == 0).then(statement=False)
        return _unless_null(known, column)
    if isinstance(dtype, pl.String):
        low = column.str.to_lowercase()
        known = (
            pl.when(low.is_in(["true", "1"])).then(statement=True).when(low.is_in(["false", "0"])).then(statement=False)
        )
        return _unless_null(known, column)
    return None


def _timestamp(column: pl.Expr, dtype: pl.DataType, type_: Type) -> Conversion | None:
    if isinstance(dtype, pl.String):
        return _unless_null(_read_before(column), column)
    whole = _int64(column, dtype, type_) if not isinstance(dtype, pl.Boolean) else None
    if whole is None:
        return None
    return _where(whole.physical.is_between(TIME_LEAST, TIME_MOST) & whole.doubt.not_(), whole.physical, column)


def _duration(column: pl.Expr, dtype: pl.DataType, type_: Type) -> Conversion | None:
    if isinstance(dtype, pl.Duration):
        return Conversion(column.dt.total_milliseconds(), pl.lit(value=False))
    number = _float64(column, dtype, type_)
    if number is None:
        return None
    length = number.physical * unit_ms(type_.unit)
    fits = (length.abs() <= DURATION_MOST) & number.doubt.not_()
    return _where(fits, length.round(mode="half_to_even").cast(pl.Int64, strict=False), column)


def _point(column: pl.Expr, dtype: pl.DataType, _: Type) -> Conversion | None:
    if isinstance(dtype, pl.String):
        parts = column.str.extract_groups(r"^(-?[0-9.]+)(?: |, ?)(-?[0-9.]+)$")
        return _place(column, parts.struct.field("1"), parts.struct.field("2"), column.is_not_null())
    if isinstance(dtype, pl.List) and dtype.inner.is_numeric():
        exact = column.list.len() == 2  # noqa: PLR2004  # latitude and longitude
        return _place(column, column.list.get(0, null_on_oob=True), column.list.get(1, null_on_oob=True), exact)
    if isinstance(dtype, pl.Struct) and {"lat", "lon"} <= {field.name for field in dtype.fields}:
        if not all(isinstance(f.dtype, pl.Float64) for f in dtype.fields if f.name in {"lat", "lon"}):
            return None
        return _place(column, column.struct.field("lat"), column.struct.field("lon"), column.is_not_null())
    return None


def _place(column: pl.Expr, lat: pl.Expr, lon: pl.Expr, sure: pl.Expr) -> Conversion:
    degrees = [part.cast(pl.Float64, strict=False) for part in (lat, lon)]
    inside = (degrees[0].abs() <= LATITUDE_MOST) & (degrees[1].abs() <= LONGITUDE_MOST) & sure
    return _where(inside, pl.struct(degrees[0].alias("lat"), degrees[1].alias("lon")), column)


def _polygon(column: pl.Expr, dtype: pl.DataType, _: Type) -> Conversion | None:  # noqa: ARG001  # one signature for all
    return None


_CONVERSIONS: Mapping[Kind, Callable[[pl.Expr, pl.DataType, Type], Conversion | None]] = {
    Kind.STRING: _string,
    Kind.INT64: _int64,
    Kind.FLOAT64: _float64,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: _timestamp,
    Kind.DURATION: _duration,
    Kind.POINT: _point,
    Kind.POLYGON: _polygon,
}


def _of_times(column: pl.Series) -> bool:
    least, most = column.min(), column.max()
    return not (isinstance(least, int) and isinstance(most, int)) or (least >= TIME_LEAST and most <= TIME_MOST)


def _of_numbers(column: pl.Series) -> bool:
    return not column.null_count() and bool(np.isfinite(column.to_numpy()).all())


def _of_any(_: pl.Series) -> bool:
    return True


_SURE: Mapping[tuple[Kind, type[pl.DataType]], Callable[[pl.Series], bool]] = {
    (Kind.STRING, pl.String): _of_any,
    (Kind.BOOLEAN, pl.Boolean): _of_any,
    (Kind.INT64, pl.Int64): _of_any,
    (Kind.FLOAT64, pl.Float64): _of_numbers,
    (Kind.TIMESTAMP, pl.Int64): _of_times,
}
"""Carrier columns that are physical ones already, and whether no value of one is in doubt."""

_READERS: Mapping[tuple[Kind, type[pl.DataType]], Callable[[pl.Series, Type], pl.Series]] = {
    (Kind.DECIMAL, pl.Float64): _decimals_of_floats,
    (Kind.DECIMAL, pl.String): _decimals_of_texts,
    (Kind.TIMESTAMP, pl.String): _times_of_texts,
    (Kind.STRING, pl.Binary): _texts_of_bytes,
}
