"""The one hash that spreads keys over buckets, and content hashes.

`HASH_VERSION` stands in every state header: Polars keeps its hash stable within a version only. No result depends on
the bucket (semantics 14), so another version only re-buckets the state, which holds the keys themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

HASH_VERSION = f"polars-{pl.__version__}"


def bucket_of(key: Sequence[str], buckets: int) -> pl.Expr:
    """Give the bucket (UInt64, 0 <= bucket < buckets) of each row by its key columns; no key columns: bucket 0."""
    if not key or buckets == 1:
        return pl.lit(0, dtype=pl.UInt64)
    return pl.struct(pl.col(name) for name in key).hash() % buckets


def split(rows: pl.DataFrame, key: Sequence[str], buckets: int) -> dict[int, pl.DataFrame]:
    """Cut a batch into its buckets, keeping the order of rows; only buckets that have rows are in the result."""
    if buckets == 1 or not key:
        return {0: rows} if rows.height else {}
    marked = rows.with_columns(bucket_of(key, buckets).alias("__bucket"))
    parts = marked.partition_by("__bucket", as_dict=True, include_key=False, maintain_order=True)
    return {int(bucket): part for (bucket,), part in parts.items()}
