"""The city: districts, streets and grids in one hierarchy of units, and the cells that cover them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from streams.simulator.simulation import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

DISTRICTS, STREETS, GRIDS, MASTS = 4, 4, 3, 4
"""So many per city, district, street, grid."""

OPEN_CELLS = tuple(f"c{number:03d}" for number in range(1, DISTRICTS * STREETS * GRIDS * MASTS + 1))
"""The cells of the open city, as one walks through it: neighbours stand next to each other."""

_THIRD = len(OPEN_CELLS) // 3
CENTRE = tuple(3.0 if number // _THIRD == 1 else 1.0 for number in range(len(OPEN_CELLS)))
"""Where people are: the middle of the city holds three times as many."""

UNIT_COLUMNS = {"unit": pl.String, "parent": pl.String, "name": pl.String, "capacity": pl.Int64}
CELL_COLUMNS = {
    "cell": pl.String, "city": pl.String, "listed": pl.Boolean, "community": pl.String, "unit": pl.String,
    "area": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Indoor:
    """A unit with cells of its own (`cells`), in `grid` or in another indoor unit; or none: only a parent."""

    unit: str
    parent: str
    name: str
    capacity: int
    cells: tuple[str, ...]


def grid(index: int) -> str:
    """Name the grid with this number, counted from 0, around the city."""
    return f"g{index % (DISTRICTS * STREETS * GRIDS) + 1:02d}"


def open_city(scale: float) -> Part:
    """Give the outdoor units, cells and communities; capacities grow with the population."""
    roomy = max(1.0, scale)
    units: list[tuple[str, str | None, str, int]] = [("city", None, "the city", round(600_000 * roomy))]
    communities: list[tuple[str, str, str]] = []
    cells: list[tuple[str, str, bool, str, str, None]] = []
    for street in range(DISTRICTS * STREETS):
        district, name = f"d{street // STREETS + 1}", f"st{street + 1:02d}"
        if street % STREETS == 0:
            units.append((district, "city", f"district {district[1:]}", round(180_000 * roomy)))
        units.append((name, district, f"street {street + 1}", round(48_000 * roomy)))
        communities.append((f"m{street + 1:02d}", f"community {street + 1}", f"office-{street + 1:02d}"))
        units.extend((grid(g), name, f"grid {g + 1}", round(18_000 * roomy)) for g in _of(street, GRIDS))
        cells.extend(
            (OPEN_CELLS[c], "city", False, f"m{street + 1:02d}", grid(c // MASTS), None)
            for c in _of(street, GRIDS * MASTS)
        )
    community_columns = {"community": pl.String, "name": pl.String, "office": pl.String}
    return Part(
        tables={
            "units": pl.DataFrame(units, schema=UNIT_COLUMNS, orient="row"),
            "communities": pl.DataFrame(communities, schema=community_columns, orient="row"),
            "cells": pl.DataFrame(cells, schema=CELL_COLUMNS, orient="row"),
        }
    )


def indoors(places: Sequence[Indoor]) -> Part:
    """Give the units and cells of buildings."""
    units = [(place.unit, place.parent, place.name, place.capacity) for place in places]
    cells = [(cell, "city", False, None, place.unit, None) for place in places for cell in place.cells]
    return Part(
        tables={
            "units": pl.DataFrame(units, schema=UNIT_COLUMNS, orient="row"),
            "cells": pl.DataFrame(cells, schema=CELL_COLUMNS, orient="row"),
        }
    )


def _of(parent: int, children: int) -> range:
    return range(parent * children, (parent + 1) * children)
