"""The id of a window row: its key as canonical text, a JSON array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.rows import ID

if TYPE_CHECKING:
    from collections.abc import Sequence


def key_text(by: Sequence[str]) -> pl.Expr:
    """Give `["a",3]` for the key columns, strings escaped as JSON; `[]` without a key."""
    if not by:
        return pl.lit("[]").alias(ID)
    values = pl.concat_str([_json(name) for name in by], separator=",")
    return pl.concat_str([pl.lit("["), values, pl.lit("]")]).alias(ID)


def _json(name: str) -> pl.Expr:
    """Let Polars write `{"k":value}` and keep the value."""
    written = pl.struct(pl.col(name).alias("k")).struct.json_encode()
    return written.str.slice(5).str.head(-1)
