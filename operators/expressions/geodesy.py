"""Distance on the earth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

EARTH_RADIUS = 6_371_008.8
"""Metres: the mean radius R1 of the GRS 80 ellipsoid (Moritz, Geodetic Reference System 1980, J. Geodesy 74, 2000)."""


def haversine(lat: pl.Expr, lon: pl.Expr, other_lat: pl.Expr, other_lon: pl.Expr) -> pl.Expr:
    """Give the great-circle distance in metres of points in degrees; null if a coordinate is.

    Haversine formula: R. W. Sinnott, Virtues of the Haversine, Sky and Telescope 68 (1984) 159. On a sphere of the mean
    radius; up to 0.6 % off the ellipsoid.
    """
    half_lat = (other_lat - lat).radians() / 2
    half_lon = (other_lon - lon).radians() / 2
    chord = half_lat.sin() ** 2 + lat.radians().cos() * other_lat.radians().cos() * half_lon.sin() ** 2
    return chord.sqrt().clip(upper_bound=1.0).arcsin() * (2 * EARTH_RADIUS)
