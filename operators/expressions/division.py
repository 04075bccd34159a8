"""Division that gives the same for any number of rows.

Polars multiplies by 1/x where it knows the divisor to be one value for the whole batch: a literal, but also a column
that was joined from a table of one row, and only in batches of more than one row. Then 35 / 100 is 0.35000000000000003,
and 0.35 in another batch. A divisor made to depend on each value is always divided by. Everything that divides floats
goes through these two.
"""

from __future__ import annotations

import polars as pl

from operators.expressions.term import let


def ratio(value: pl.Expr, by: pl.Expr) -> pl.Expr:
    """Divide floats, correctly rounded; infinity gives NaN, which is null to whoever reads it."""
    return let(value, lambda x: x / (x * 0.0 + by))


def over(value: pl.Expr, by: float) -> pl.Expr:
    """Divide floats by a constant."""
    return value if by == 1.0 else ratio(value, pl.lit(by))
