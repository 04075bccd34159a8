"""Rows as people and other programs want them: real decimals, UTC timestamps, durations; no columns of ours."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.rows import TIME
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from tocsin.model.rows import Schema
    from tocsin.model.types import Type

_DIGITS = 38


def outside(rows: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Give the author's columns, and `time` first: the event time of the row."""
    time = pl.from_epoch(pl.col(TIME), "ms").dt.replace_time_zone("UTC").alias("time")
    columns = [_column(name, type_).alias(name) for name, type_ in schema.columns.items() if name != "time"]
    return rows.select(time, *columns)


def _column(name: str, type_: Type) -> pl.Expr:
    column = pl.col(name)
    match type_.kind:
        case Kind.TIMESTAMP:
            return pl.from_epoch(column, "ms").dt.replace_time_zone("UTC")
        case Kind.DURATION:
            return column.cast(pl.Duration("ms"))
        case Kind.DECIMAL:
            real = pl.Decimal(_DIGITS, type_.scale)
            return column.cast(real) * pl.lit(str(Decimal(1).scaleb(-type_.scale))).cast(real)
        case Kind.INT64 if type_.wide:
            return column.cast(pl.Decimal(_DIGITS, 0))
        case _:
            return column
