"""The events of the standard job: JSON objects of 98 bytes, the same bytes for the same seed.

Event time runs evenly; each event is up to two seconds behind it, so that a lateness of two seconds loses none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGIN = 1_700_000_000_000
DISORDER_MS = 2_000
JSON_BYTES = 98
_PIECE = 1_000_000


class Load(NamedTuple):
    """How many events, of how many keys, how many of them per second of event time."""

    events: int
    keys: int = 10_000
    per_second: int = 20_000
    disorder_ms: int = DISORDER_MS


def frames(load: Load, seed: int = 1) -> Iterator[pl.DataFrame]:
    """Give the events in pieces: `id` (which fills the JSON up to 98 bytes), `key`, `at` (ms), `amount`."""
    random = np.random.default_rng(seed)
    for first in range(0, load.events, _PIECE):
        yield _piece(load, first, min(_PIECE, load.events - first), random)


def _piece(load: Load, first: int, count: int, random: np.random.Generator) -> pl.DataFrame:
    number = np.arange(first, first + count)
    cents = np.minimum(random.gamma(1.2, 4_000.0, count).astype(np.int64) + 1, 9_999_999)
    plain = pl.DataFrame(
        {
            "number": number,
            "key": random.integers(0, load.keys, count),
            "at": BEGIN + number * 1_000 // load.per_second - random.integers(0, max(load.disorder_ms, 1), count),
            "amount": cents / 100,
        }
    )
    key = pl.lit("k") + pl.col("key").cast(pl.String).str.zfill(8)
    # {"id":"…","key":"k00000000","at":1700000000000,"amount":…} has 56 bytes without id and amount
    width = JSON_BYTES - 56 - pl.col("amount").cast(pl.String).str.len_bytes()
    digits = pl.col("number").cast(pl.String)
    padding = pl.lit("e" + "0" * JSON_BYTES).str.slice(0, width - digits.str.len_bytes())
    return plain.select((padding + digits).alias("id"), key.alias("key"), "at", "amount")


def write_parquet(load: Load, path: Path, seed: int = 1) -> None:
    """Write the events as one Parquet file."""
    pl.concat(frames(load, seed), rechunk=True).write_parquet(path, row_group_size=262_144)


def write_ndjson(load: Load, path: Path, seed: int = 1) -> None:
    """Write the events as lines of JSON."""
    with path.open("wb") as file:
        for frame in frames(load, seed):
            frame.write_ndjson(file)
