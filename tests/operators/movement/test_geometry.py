"""Distances and polygons."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from operators.expressions.geodesy import haversine
from operators.geometry import inside, inside_each

TRIANGLE = "POLYGON ((0 0, 10 0, 0 10))"
degrees = st.floats(-90, 90)


def one(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    return float(pl.select(haversine(*map(pl.lit, (lat, lon, other_lat, other_lon)))).item())


class TestDistance:
    """Distance."""

    def test_a_quarter_of_the_globe(self) -> None:
        assert math.isclose(one(0, 0, 90, 0), math.pi / 2 * 6_371_008.8)

    def test_across_the_date_line_is_short(self) -> None:
        assert math.isclose(one(0, 179.5, 0, -179.5), one(0, 0, 0, 1), rel_tol=1e-9)

    @given(degrees, degrees, degrees, degrees)
    def test_is_the_same_both_ways_and_never_more_than_half_way_round(
        self, lat: float, lon: float, other_lat: float, other_lon: float
    ) -> None:
        there = one(lat, lon, other_lat, other_lon)
        assert math.isclose(there, one(other_lat, other_lon, lat, lon), rel_tol=1e-9, abs_tol=1e-6)
        assert 0 <= there <= math.pi * 6_371_008.8 + 1e-6


class TestAPolygon:
    """A polygon."""

    @given(st.floats(0.01, 9.9), st.floats(0.01, 9.9))
    def test_holds_what_is_below_its_slope(self, lat: float, lon: float) -> None:
        found = inside(TRIANGLE, np.array([lat]), np.array([lon]))
        assert found is not None
        if abs(lat + lon - 10) > 1e-9:
            assert found[0] == (lat + lon < 10)

    def test_gives_each_point_of_a_shared_border_to_one(self) -> None:
        left, right = "POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))", "POLYGON ((1 0, 2 0, 2 1, 1 1, 1 0))"
        lat, lon = np.array([0.0, 0.5, 0.99]), np.array([1.0, 1.0, 1.0])
        both = [inside(polygon, lat, lon) for polygon in (left, right)]
        assert [list(found) for found in both if found is not None] == [[False] * 3, [True] * 3]

    def test_that_cannot_be_read_is_null(self) -> None:
        polygons = pl.Series(["POINT (1 1)", None, "POLYGON ((0 0, 1 x, 1 1))", "POLYGON ((0 0, 1 1))", TRIANGLE])
        five = np.ones(5)
        assert inside_each(polygons, five, five).to_list() == [None, None, None, None, True]
