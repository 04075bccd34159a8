"""The canonical form as three sinks have it, each read as its documentation tells its readers to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from examples.consumer import Alerts, headers_of
from operators.alerting.canonical import CANONICAL, canonical
from sinks import ndjson
from sinks.clickhouse_read import ClickHouseReader
from tests.sinks.alert_topic import messages, value

if TYPE_CHECKING:
    from pathlib import Path


def of_topic(servers: str, topic: str) -> tuple[pl.DataFrame, int]:
    """Give what a consumer takes from the alert topic, and how many copies it dropped."""
    consumer, found = Alerts(), messages(servers, topic)
    taken = [value(message) for message in found if consumer.take(headers_of(message), value(message)) is not None]
    return canonical(ndjson.decode(taken)), len(found) - len(taken)


def of_clickhouse(uri: str) -> tuple[pl.DataFrame, int]:
    """Give the view `history`, and how many transitions the view of counts knows."""
    with ClickHouseReader(uri) as reader:
        rows = reader._transitions(f"SELECT {reader._columns('t')} FROM {reader._database}.history AS t", {})  # noqa: S608  # names of ours
        return canonical(rows), int(reader.counts()["transitions"].sum())


def of_file(path: Path) -> pl.DataFrame:
    """Give the lines of a file."""
    return canonical(ndjson.decode(path.read_bytes().splitlines()))


def difference(got: pl.DataFrame, wanted: pl.DataFrame) -> str:
    """Say in which transitions two canonical forms differ; empty if in none."""
    if got.equals(wanted):
        return ""
    first, second = (rows.with_columns(pl.col("evidence").cast(pl.List(pl.String))) for rows in (got, wanted))
    more = first.join(second, on=CANONICAL, how="anti", nulls_equal=True)
    less = second.join(first, on=CANONICAL, how="anti", nulls_equal=True)
    shown = [f"{mark} {row}" for mark, rows in (("+", more), ("-", less)) for row in rows.head(5).iter_rows()]
    return "\n".join([f"{got.height} of {wanted.height}: {more.height} more, {less.height} missing", *shown])
