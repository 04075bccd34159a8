"""How one point or polygon is read: the definition that the columnar forms must equal.

A point is `"39.90 116.40"` (latitude first, blank or comma between), `[lat, lon]` or `{"lat": …, "lon": …}`; a polygon
is WKT `POLYGON ((lon lat, …))`, a GeoJSON polygon, or a GeoJSON ring `[[lon, lat], …]`. Degrees, WGS 84.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from streams.codecs.numbers import read_float64
from streams.codecs.reasons import Bad, Reason, shown

LATITUDE_MOST = 90.0
LONGITUDE_MOST = 180.0
RING_LEAST = 4
"""Positions of a closed ring: three corners and the first one again."""

_BETWEEN = re.compile(r"\s*,\s*|\s+")
_POLYGON = re.compile(r"\s*POLYGON\s*\(\s*(\(.*\))\s*\)\s*", re.IGNORECASE | re.DOTALL)
_RING = re.compile(r"\(([^()]*)\)\s*(?:,\s*|$)")

Point = dict[str, float]
Ring = list[tuple[float, float]]


def read_point(value: object) -> Point:
    """Read a point as latitude and longitude."""
    if isinstance(value, str):
        pair: Sequence[object] = _BETWEEN.split(value.strip())
    elif isinstance(value, Mapping):
        pair = [value.get("lat"), value.get("lon")]
    elif isinstance(value, list | tuple):
        pair = value
    else:
        raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not a point: expected latitude and longitude")
    return _checked(pair, value)


def _checked(pair: Sequence[object], value: object) -> Point:
    if len(pair) != 2 or None in pair:  # noqa: PLR2004  # latitude and longitude
        raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not a point: expected latitude and longitude")
    lat, lon = read_float64(pair[0]), read_float64(pair[1])
    if abs(lat) > LATITUDE_MOST or abs(lon) > LONGITUDE_MOST:
        raise Bad(Reason.OUT_OF_RANGE, f"{shown(value)} is not on the globe: latitude first, then longitude")
    return {"lat": lat, "lon": lon}


def read_polygon(value: object) -> str:
    """Read a polygon as WKT in one spelling; its rings must be closed."""
    rings = _wkt_rings(value) if isinstance(value, str) else _geojson_rings(value)
    if not rings:
        raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not a polygon")
    for ring in rings:
        if len(ring) < RING_LEAST or ring[0] != ring[-1]:
            raise Bad(Reason.WRONG_TYPE, f"{shown(value)}: a ring has three corners or more and ends where it begins")
    return f"POLYGON ({', '.join(_spell(ring) for ring in rings)})"


def _spell(ring: Ring) -> str:
    return "(" + ", ".join(f"{lon:.12g} {lat:.12g}" for lon, lat in ring) + ")"


def _position(pair: object, value: object) -> tuple[float, float]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:  # noqa: PLR2004  # longitude and latitude
        raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not a polygon: expected pairs of longitude and latitude")
    place = _checked((pair[1], pair[0]), value)
    return place["lon"], place["lat"]


def _wkt_rings(text: str) -> list[Ring]:
    found = _POLYGON.fullmatch(text)
    if not found or _RING.sub("", found[1]).strip():
        raise Bad(Reason.WRONG_TYPE, f"{shown(text)} is not WKT: expected POLYGON ((lon lat, …))")
    return [[_position(pair.split(), text) for pair in ring.split(",")] for ring in _RING.findall(found[1])]


def _geojson_rings(value: object) -> list[Ring]:
    whole = isinstance(value, Mapping) and value.get("type") == "Polygon"
    rings = value.get("coordinates") if isinstance(value, Mapping) and whole else [value]
    if not isinstance(rings, list) or not all(isinstance(ring, list) for ring in rings):
        raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not a polygon")
    return [[_position(pair, value) for pair in ring] for ring in rings]
