"""Polygons on the globe, over whole columns. Points are degrees, WGS 84."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PAIR = re.compile(rf"^\s*({_NUMBER})\s+({_NUMBER})\s*$")
_POLYGON = re.compile(r"^\s*POLYGON\s*\((.*)\)\s*$", re.IGNORECASE | re.DOTALL)
_RING = re.compile(r"\(([^()]*)\)")
CORNERS_LEAST = 3


@lru_cache(maxsize=4096)
def edges(wkt: str) -> Floats | None:
    """Give the edges of a polygon and its holes, (n, 4): lon, lat, next lon, next lat; None if it cannot be read.

    `wkt`: `POLYGON ((lon lat, lon lat, ...), (hole), ...)`; a ring may be left open.
    """
    body = _POLYGON.match(wkt)
    rings = [_ring(text) for text in _RING.findall(body.group(1))] if body else []
    if not rings or any(ring is None for ring in rings):
        return None
    return np.concatenate([np.hstack((ring, np.roll(ring, -1, axis=0))) for ring in rings if ring is not None])


def _ring(text: str) -> Floats | None:
    pairs = [_PAIR.match(pair) for pair in text.split(",")]
    if len(pairs) < CORNERS_LEAST or not all(pairs):
        return None
    return np.array([(float(pair[1]), float(pair[2])) for pair in pairs if pair])


def inside(wkt: str, lat: Floats, lon: Floats) -> Booleans | None:
    """Say which points lie inside a polygon and outside of its holes; None if the polygon cannot be read.

    Casts a ray to the east and counts the edges that it crosses (Shimrat, Algorithm 112, 1962). A lower or western
    border belongs to the polygon, an upper or eastern does not: of polygons that share a border each point is in one.
    Polygons across the date line must be cut in two.
    """
    found = edges(wkt)
    if found is None:
        return None
    crossings = np.zeros(lat.size, dtype=np.int64)
    for x, y, next_x, next_y in found.tolist():
        # An edge is few numbers, the points are many: so the loop is over edges.
        spans = (y > lat) != (next_y > lat)
        if y != next_y:
            crossings += spans & (lon < (next_x - x) * (lat - y) / (next_y - y) + x)
    return np.asarray(crossings % 2 == 1)


def inside_each(polygons: pl.Series, lat: Floats, lon: Floats) -> pl.Series:
    """Say of each point whether it lies inside its row's polygon (WKT); null without a polygon that can be read."""
    result = np.zeros(len(polygons), dtype=np.bool_)
    known = np.zeros(len(polygons), dtype=np.bool_)
    rows = pl.DataFrame({"wkt": polygons, "row": np.arange(len(polygons))}).drop_nulls("wkt")
    for wkt, places in rows.group_by("wkt").agg("row").iter_rows():
        at = np.asarray(places)
        found = inside(wkt, lat[at], lon[at])
        if found is not None:
            result[at], known[at] = found, True
    return pl.Series(result).set(pl.Series(~known), None)
