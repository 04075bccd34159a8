"""The canonical form of a run: what must be equal for two runs to be equal (semantics 27)."""

from __future__ import annotations

import polars as pl

CANONICAL = ("alert_id", "sequence", "kind", "level", "time", "rule_version", "values", "evidence")
"""The columns of the canonical form; of evidence only the ids."""


def canonical(transitions: pl.DataFrame) -> pl.DataFrame:
    """Give the canonical form: the columns above, early copies left out, sorted by all but the evidence."""
    ids = pl.col("evidence").list.eval(pl.element().struct.field("id"))
    confirmed = transitions.filter(~pl.col("early"))
    return confirmed.with_columns(ids).select(CANONICAL).sort(CANONICAL[:-1])
