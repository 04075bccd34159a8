"""The types of fields and expressions, and how they lie in columns.

| type | physical column (Polars) | unit of the numbers |
|---|---|---|
| string, person, table reference | String | a person's identifier is its pseudonym |
| int64 | Int64 (Int128 when `wide`) | as declared |
| float64 | Float64, never NaN or infinite: those are null | as declared |
| boolean | Boolean | |
| timestamp | Int64 | milliseconds since the epoch, UTC |
| duration | Int64 | milliseconds |
| decimal(s) | Int64 (Int128 when `wide`), the value times 10^s | as declared |
| point | Struct(lat Float64, lon Float64) | degrees, WGS 84 |
| polygon | String, WKT `POLYGON ((lon lat, ...))` | degrees, WGS 84 |

`wide` columns come from sums: an Int64 would wrap in silence (semantics 9).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """What a value is."""

    STRING = "string"
    INT64 = "int64"
    FLOAT64 = "float64"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    DECIMAL = "decimal"
    POINT = "point"
    POLYGON = "polygon"
    LIST = "list"
    """A list of strings; only `top_k` gives one."""


POINT_DTYPE = pl.Struct({"lat": pl.Float64, "lon": pl.Float64})

_PHYSICAL: Mapping[Kind, pl.DataType] = {
    Kind.STRING: pl.String(),
    Kind.INT64: pl.Int64(),
    Kind.FLOAT64: pl.Float64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.TIMESTAMP: pl.Int64(),
    Kind.DURATION: pl.Int64(),
    Kind.DECIMAL: pl.Int64(),
    Kind.POINT: POINT_DTYPE,
    Kind.POLYGON: pl.String(),
    Kind.LIST: pl.List(pl.String()),
}


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a column or an expression.

    `scale`: digits after the point of a decimal. `unit`: text as declared ("kWh", "°C/min"), "" for none or a
    count. `person`: the identifier domain if the value is a pseudonym. `table`: the table whose key this is.
    `resolution`: the step in which a float64 is summed. `wide`: the integers need 128 bits.
    """

    kind: Kind
    scale: int = 0
    unit: str = ""
    person: str = ""
    table: str = ""
    resolution: float = 1e-6
    wide: bool = False

    @property
    def physical(self) -> pl.DataType:
        """The Polars type of the column."""
        return pl.Int128() if self.wide else _PHYSICAL[self.kind]

    @property
    def numeric(self) -> bool:
        """Whether arithmetic is allowed."""
        return self.kind in {Kind.INT64, Kind.FLOAT64, Kind.DECIMAL}

    def with_unit(self, unit: str) -> Type:
        """Give the same type in another unit."""
        return replace(self, unit=unit)

    def __str__(self) -> str:
        """Name the type as the language spells it."""
        if self.person:
            return f"person({self.person})"
        if self.table:
            return self.table
        name = f"decimal({self.scale})" if self.kind is Kind.DECIMAL else str(self.kind)
        return f"{name} in {self.unit}" if self.unit else name


STRING = Type(Kind.STRING)
INT64 = Type(Kind.INT64)
FLOAT64 = Type(Kind.FLOAT64)
BOOLEAN = Type(Kind.BOOLEAN)
TIMESTAMP = Type(Kind.TIMESTAMP)
DURATION = Type(Kind.DURATION)
POINT = Type(Kind.POINT)
POLYGON = Type(Kind.POLYGON)


def decimal(scale: int, unit: str = "") -> Type:
    """Give the type of a decimal with `scale` digits after the point."""
    return Type(Kind.DECIMAL, scale=scale, unit=unit)
