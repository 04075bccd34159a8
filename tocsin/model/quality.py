"""The built-in stream `quality`: what ingest counts, per stream, field and minute of the clock.

| column | is |
|---|---|
| `stream` | the stream's name, the key of the built-in table `streams`: `stream.owner`, `stream.topic` |
| `field` | one of its fields, or "" for the record as a whole |
| `at` | when the minute begins, by the clock of the host that read the records |
| `records` | records of the stream that were read in that minute, good or bad; the same for all its fields |
| `missing` | those in which the field is missing or null |
| `failed` | those in which it could not be read, or that failed a check which reads it; for "": all that are dead |
| `late` | those of the stream that came too late; the same for all its fields |

A row has the time of its minute's last millisecond, as the row of a window has: it is known then, not before. A minute
in which nothing was read has no rows; `for_all: streams` tells of those.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.rows import HASH, ID, SOURCE_SYSTEM, TIME, Schema
from tocsin.model.types import INT64, STRING, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.model.types import Type

QUALITY = "quality"
STREAMS = "streams"
"""The table of all declared streams."""
MINUTE = 60_000

COUNTED = ("records", "missing", "failed", "late")
KEY = ("stream", "field", "at")
FIELDS: Mapping[str, Type] = {
    "stream": replace(STRING, table=STREAMS),
    "field": STRING,
    "at": TIMESTAMP,
    **dict.fromkeys(COUNTED, INT64),
}
ROWS = Schema(FIELDS, SOURCE_SYSTEM)


def summed(counts: pl.DataFrame) -> pl.DataFrame:
    """Give one row per stream, field and minute. `counts`: columns FIELDS, times within the minute allowed."""
    begin = pl.col("at") // MINUTE * MINUTE
    return counts.with_columns(begin).group_by(KEY).agg(pl.col(COUNTED).sum()).sort("at", "stream", "field")


def quality_rows(counts: pl.DataFrame) -> pl.DataFrame:
    """Give counts as rows of the stream, by ROWS."""
    rows = summed(counts)
    identity = pl.concat_str("stream", "field", "at", separator="/")
    last = pl.col("at") + (MINUTE - 1)
    hashed = rows.select(KEY).hash_rows().alias(HASH)
    return ROWS.conform(rows.with_columns(last.alias(TIME), identity.alias(ID), hashed))
