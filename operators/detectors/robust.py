"""Median and MAD, and the score that they give (Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.division import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

MEDIAN, SPREAD, SEEN = "#median", "#spread", "#seen"

NORMAL = 1.4826
"""MAD times this is the standard deviation of normal values: 1 / Φ⁻¹(3/4)."""

RELATIVE_FLOOR = 0.01
"""The spread is taken as at least this share of the median: a meter that hardly moves would else cry at every digit."""


def spreads(rows: pl.DataFrame, groups: Sequence[str], value: str, floor: float) -> pl.DataFrame:
    """Give MEDIAN, SPREAD (1.4826 MAD, but not below the floors) and SEEN of `value` per group."""
    medians = rows.group_by(groups).agg(pl.col(value).median().alias(MEDIAN), pl.len().cast(pl.Int64).alias(SEEN))
    away = rows.join(medians, on=groups, how="left").select(*groups, (pl.col(value) - pl.col(MEDIAN)).abs())
    mads = away.group_by(groups).agg((pl.col(value).median() * NORMAL).alias(SPREAD))
    least = pl.max_horizontal(pl.col(MEDIAN).abs() * RELATIVE_FLOOR, pl.lit(floor))
    return medians.join(mads, on=groups).with_columns(pl.max_horizontal(SPREAD, least))


def score(value: pl.Expr) -> pl.Expr:
    """Give (value - median) / spread; 0 on the median; null where there is no spread to measure by."""
    away = value - pl.col(MEDIAN)
    return pl.when(away == 0).then(pl.lit(0.0)).when(pl.col(SPREAD) > 0).then(ratio(away, pl.col(SPREAD)))


def judgement(name: str, value: pl.Expr, width: float, counted: str) -> list[pl.Expr]:
    """Give the columns of the detector `name` over MEDIAN, SPREAD and SEEN of each row.

    `width`: half that of low..high, in spreads. `counted`: what SEEN counts, as the column's suffix.
    """
    reach = width * pl.col(SPREAD)
    columns = {
        "value": pl.col(MEDIAN),
        "score": score(value),
        "low": pl.col(MEDIAN) - reach,
        "high": pl.col(MEDIAN) + reach,
        counted: pl.col(SEEN),
    }
    return [column.alias(f"{name}.{suffix}") for suffix, column in columns.items()]
