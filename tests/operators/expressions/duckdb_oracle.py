"""The same awkward rows for Tocsin and for DuckDB, and DuckDB's answer for each of them."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from operators.expressions import Scope
from tocsin.model.types import BOOLEAN, DURATION, FLOAT64, INT64, POINT, STRING, TIMESTAMP, Kind, Type, decimal

INT64_MOST = 2**63 - 1

INTEGERS = (0, 1, -1, 7, -7, 3, -3, 2**31, 2**53 + 1, INT64_MOST, -INT64_MOST - 1, None)
FLOATS = (
    *(0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.1, 57.16),
    *(1e-300, 1e300, -1e300, 5e-324, 1.7976931348623157e308, None),
)
CENTS = (
    *("0.00", "0.01", "-0.01", "57.16", "-57.16", "0.05", "2.50", "-2.50"),
    *("9999999999999999.99", "-9999999999999999.99", None),
)
MILLS = ("0.000", "0.001", "0.005", "-0.005", "57.160", "57.161", "999999999999999.999", None)
TEXTS = (
    *("", " ", "a", "A", "abc", " abc ", "a%b_c", "100%", "o'clock", 'say "x"', "back\\slash", "line\nbreak"),
    *("größe", "GRÖSSE", "éa", "e\u0301a", "日本語のテキスト", "\U0001f469\u200d\U0001f467", "ǅ", "x" * 5000),
    *("12", "-3", "+4 ", "1.5", "true", "F", "2024-02-29 12:30:00", None),
)


def _ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]  # year to millisecond


TIMES = (
    0,
    -1,
    _ms(1986, 5, 3, 18, 30),  # Shanghai goes to summer time, 1986 to 1991
    _ms(1991, 9, 14, 16, 30),
    _ms(2000, 2, 29, 23, 59, 59),
    _ms(2024, 2, 29, 22, 59, 59),
    _ms(2023, 12, 31, 22, 59, 59) + 999,
    _ms(2023, 12, 31, 23, 0),
    _ms(2024, 12, 31, 12, 0),
    _ms(2024, 3, 31, 0, 59, 59),  # Berlin springs forward at 01:00 UTC
    _ms(2024, 3, 31, 1, 0),
    _ms(2024, 10, 27, 0, 30),  # and back: 02:30 twice
    _ms(2024, 10, 27, 1, 30),
    _ms(2050, 7, 1, 22, 30),
    _ms(2099, 12, 31, 23, 30),
    None,
)
DURATIONS = (0, 1, -1, 1500, -1500, 86_400_000, None)
FLAGS = (True, False, None)

COLUMNS: dict[str, tuple[Type, str, tuple[Any, ...]]] = {
    "a": (INT64, "BIGINT", INTEGERS),
    "b": (INT64, "BIGINT", INTEGERS),
    "f": (FLOAT64, "DOUBLE", FLOATS),
    "g": (FLOAT64, "DOUBLE", FLOATS),
    "d": (decimal(2), "DECIMAL(18,2)", CENTS),
    "e": (decimal(3), "DECIMAL(18,3)", MILLS),
    "s": (STRING, "VARCHAR", TEXTS),
    "u": (STRING, "VARCHAR", ("", "a", "A", "größe", "%", "本語", "x" * 5000, None)),
    "t": (TIMESTAMP, "BIGINT", TIMES),
    "w": (TIMESTAMP, "BIGINT", TIMES),
    "r": (DURATION, "BIGINT", DURATIONS),
    "k": (DURATION, "BIGINT", DURATIONS),
    "p": (BOOLEAN, "BOOLEAN", FLAGS),
    "q": (BOOLEAN, "BOOLEAN", FLAGS),
    "lat": (FLOAT64, "DOUBLE", (39.9, -33.9, 0.0, 90.0, None)),
    "lon": (FLOAT64, "DOUBLE", (116.4, 151.2, -180.0, 180.0, None)),
}
PAIRS = (("a", "b"), ("f", "g"), ("d", "e"), ("s", "u"), ("t", "w"), ("r", "k"), ("p", "q"), ("lat", "lon"))


def _crossed(one: tuple[Any, ...], other: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    return list(itertools.product(one, other))


def _columns() -> dict[str, list[Any]]:
    """Every pair of awkward values of two columns meets in some row; shorter pairs repeat."""
    crossed = {pair: _crossed(COLUMNS[pair[0]][2], COLUMNS[pair[1]][2]) for pair in PAIRS}
    height = max(len(values) for values in crossed.values())
    filled: dict[str, list[Any]] = {}
    for pair, values in crossed.items():
        rows = list(itertools.islice(itertools.cycle(values), height))
        filled[pair[0]], filled[pair[1]] = [row[0] for row in rows], [row[1] for row in rows]
    return filled


VALUES = _columns()
HEIGHT = len(VALUES["a"])


def scope(zone: str) -> Scope:
    """Give a scope of all columns, in a zone."""
    columns = {name: column[0] for name, column in COLUMNS.items()}
    return Scope({**columns, "place": POINT}, zone=zone)


def _physical(name: str) -> pl.Series:
    type_ = COLUMNS[name][0]
    values = VALUES[name]
    if type_.kind is Kind.DECIMAL:
        values = [None if v is None else int(Decimal(v).scaleb(type_.scale)) for v in values]
    return pl.Series(name, values, dtype=type_.physical)


def frame() -> pl.DataFrame:
    """Give the rows as operators see them."""
    rows = pl.DataFrame([_physical(name) for name in COLUMNS])
    return rows.with_columns(place=pl.struct("lat", "lon"))


def connect() -> duckdb.DuckDBPyConnection:
    """Give the rows as a DuckDB table `rows`, numbered by `i`."""
    connection = duckdb.connect()
    types = ", ".join(f"{name} {column[1]}" for name, column in COLUMNS.items())
    connection.execute(f"create table rows (i integer, {types})")
    marks = ", ".join("?" for _ in range(len(COLUMNS) + 1))
    data = [[i, *(VALUES[name][i] for name in COLUMNS)] for i in range(HEIGHT)]
    connection.executemany(f"insert into rows values ({marks})", data)  # noqa: S608  # our own names
    for macro, zone in (("berlin", "Europe/Berlin"), ("shanghai", "Asia/Shanghai")):
        connection.execute(f"create macro {macro}(t) as timezone('{zone}', timezone('UTC', make_timestamp(t * 1000)))")
    return connection


def answers(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    """DuckDB's value of an expression in every row; null where it overflows, or gives NaN or infinity."""
    found = connection.execute(f"select try({sql}) from rows order by i").fetchall()  # noqa: S608  # our own SQL
    return [None if isinstance(value, float) and not math.isfinite(value) else value for (value,) in found]


def same(ours: Any, theirs: Any, type_: Type) -> bool:  # noqa: ANN401  # any SQL value
    """Whether a physical value of ours is DuckDB's; a decimal beyond 64 bits is null on purpose."""
    if type_.kind in {Kind.DECIMAL, Kind.INT64, Kind.TIMESTAMP, Kind.DURATION} and theirs is not None:
        scaled = Decimal(str(theirs)).scaleb(type_.scale)
        return abs(scaled) > INT64_MOST if ours is None else ours == scaled
    if type_.kind is Kind.FLOAT64 and ours is not None and theirs is not None:
        return math.isclose(ours, float(theirs), rel_tol=1e-12, abs_tol=1e-300)
    return bool(ours == theirs)
