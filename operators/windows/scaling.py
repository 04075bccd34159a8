"""Values as integers: sums of integers do not depend on the order of the rows (semantics 9).

A decimal or an integer counts as it is; a float as the number of its `resolution` steps, rounded half to even. Floats
beyond 2^96 steps have no such number: the result that needs them is null rather than wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.division import over
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from tocsin.model.types import Type

_MOST_STEPS = 2.0**96


def integer(value: pl.Expr, type_: Type) -> pl.Expr:
    """Give the value as Int128 steps; null stays null, and so does a float too great to count."""
    if type_.kind is not Kind.FLOAT64:
        return value.cast(pl.Int128)
    whole = whole_steps(value, type_)
    return pl.when(whole.abs() < _MOST_STEPS).then(whole).cast(pl.Int128)


def whole_steps(value: pl.Expr, type_: Type) -> pl.Expr:
    """Give a float in steps, as a whole float of any size."""
    per_unit = _steps_per_unit(type_)
    real = value * per_unit if per_unit == int(per_unit) else over(value, type_.resolution)
    return real.round(mode="half_to_even")


def steps(type_: Type) -> float:
    """Give how many integer steps make one unit of the value: 100.0 for decimal(2), 1e6 for a plain float64."""
    if type_.kind is Kind.FLOAT64:
        return _steps_per_unit(type_)
    return 10.0**type_.scale if type_.kind is Kind.DECIMAL else 1.0


def from_real(value: pl.Expr, type_: Type) -> pl.Expr:
    """Give a real number in the physical form of a type: as it is, or rounded to its integers (decimal, duration)."""
    if type_.kind is Kind.FLOAT64:
        return value
    return (value * steps(type_)).round(mode="half_to_even").cast(type_.physical, strict=False)


def _steps_per_unit(type_: Type) -> float:
    """Give 1 / resolution, exactly whole where the resolution is a fraction like 1e-6 that a float only comes near."""
    per_unit = 1 / type_.resolution
    whole = round(per_unit)
    return float(whole) if whole and abs(per_unit - whole) <= 1e-9 * per_unit else per_unit
