"""Mean, deviation and slope, computed once from integer sums (semantics 9).

Sums of squares and products are centred in integers before anything becomes a float, so nothing cancels: with the whole
mean m = s // n and the rest r = s - m n, the sum of squares about the true mean is q - m s - m r - r r / n.
"""

from __future__ import annotations

import polars as pl

from operators.expressions.division import over, ratio

_SAFE = 8.0e37
"""Half of what an Int128 holds: n · reach² below it means that no sum of squares has wrapped."""

_EXACT = 1 << 80


def total(count: pl.Expr, sum_: pl.Expr, counted: pl.Expr) -> pl.Expr:
    """Give the sum, null if there is nothing to sum or a value could not be counted."""
    return pl.when((count > 0) & (count == counted)).then(sum_)


def mean(count: pl.Expr, sum_: pl.Expr, steps: float) -> pl.Expr:
    """Give the mean in units; null of nothing."""
    return pl.when(count > 0).then(ratio(sum_.cast(pl.Float64), count.cast(pl.Float64) * steps))


def deviation(count: pl.Expr, sum_: pl.Expr, squares: pl.Expr, reach: pl.Expr, steps: float, *, less: int) -> pl.Expr:
    """Give the standard deviation in units, over n - `less`: 0 for the population, 1 for a sample.

    `reach` is the greatest absolute value; null where n - less is not positive or the squares do not fit in 128 bits.
    """
    n = count.cast(pl.Int128)
    about = centred(n, sum_, sum_, squares)
    real = n.cast(pl.Float64)
    enough = (count > less) & (real * reach.cast(pl.Float64).pow(2) < _SAFE)
    return pl.when(enough).then(over(ratio(about, real - less).sqrt(), steps))


def slope(sums: dict[str, pl.Expr], steps: float, per_ms: int) -> pl.Expr:
    """Give the slope of the least-squares line of x over t, in units per `per_ms` milliseconds.

    `sums`: n, t, x, tt, tx and reach (greatest |x|). Null where all t are the same or the sums do not fit in 128 bits.
    """
    n = sums["n"].cast(pl.Int128)
    over_time = centred(n, sums["t"], sums["t"], sums["tt"])
    together = centred(n, sums["t"], sums["x"], sums["tx"])
    fits = n.cast(pl.Float64) * sums["reach"].cast(pl.Float64) * float(1 << 43) < _SAFE
    return pl.when((over_time > 0) & fits).then(ratio(together, over_time) * (per_ms / steps))


def centred(n: pl.Expr, a: pl.Expr, b: pl.Expr, products: pl.Expr) -> pl.Expr:
    """Give the sum of (a - mean a)(b - mean b) from the sums of a, b and ab; exact before the last division."""
    whole_a, whole_b = a // n, b // n
    rest_a, rest_b = a - whole_a * n, b - whole_b * n
    about = products - whole_a * b - whole_b * rest_a
    real = n.cast(pl.Float64)
    small = ratio((about * n - rest_a * rest_b).cast(pl.Float64), real)
    great = about.cast(pl.Float64) - ratio((rest_a * rest_b).cast(pl.Float64), real)
    return pl.when(about.abs() < _EXACT).then(small).otherwise(great)
