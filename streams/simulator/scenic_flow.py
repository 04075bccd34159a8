"""Scenic areas: crowds against the number of people they carry, and against their ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from streams.simulator.crowds import Crowd, attend
from streams.simulator.places import CELL_COLUMNS, grid
from streams.simulator.simulation import Label, Part, merge

if TYPE_CHECKING:
    from streams.simulator.setting import Setting

RULE = "scenic-flow"
CELLS = 4
AREA_COLUMNS = {"area": pl.String, "name": pl.String, "capacity": pl.Int64, "ground": pl.Float64}
ROOM = 8.0
"""Ground of an ordinary area per person of its capacity, m²."""
DENSE = 0.43
"""Persons per m² that count as full, as the shipped rule has it."""


class Area(NamedTuple):
    """A scenic area and what happens there; `tight`: its ground, not its capacity, is what gets full."""

    name: str
    capacity: int
    fill: float
    begin: float
    comes: float
    lasts: float
    level: str
    case: str
    tight: bool = False


AREAS = (
    Area("west lake", 400, 0.86, 30, 15, 25, "yellow", "blossom at the lake"),
    Area("old street", 300, 1.10, 35, 15, 20, "red", "lanterns in the old street"),
    Area("temple hill", 400, 0.64, 30, 20, 30, "", "a fine day fills the hill to 64 %"),
    Area("city wall", 250, 0.60, 50, 0.5, 12, "", "two coaches arrive together"),
    Area("night market", 300, 0.92, 40, 0.3, 1.1, "", "a parade passes in two minutes"),
    Area("glass bridge", 900, 0.95, 30, 15, 25, "orange", "few people, but hardly any ground", tight=True),
    Area("bamboo park", 300, 0.75, 25, 20, 30, "blue", "a popular afternoon"),
    Area("river front", 300, 0.85, 50, 5, 25, "yellow", "the fireworks begin"),
    Area("tea garden", 250, 0.66, 45, 3, 40, "", "a wedding party"),
    Area("bell tower", 800, 0.66, 35, 10, 30, "", "a small platform that is two thirds full", tight=True),
)


def incidents(setting: Setting, *, areas: int = len(AREAS)) -> Part:
    """Give the first so many scenic areas, each with its cells, its crowd and its label."""
    return merge(_area(setting, index, area) for index, area in enumerate(AREAS[:areas]))


def _area(setting: Setting, index: int, area: Area) -> Part:
    key = area.name.replace(" ", "-")
    cells = tuple(f"a{index + 1:02d}{letter}" for letter in "abcd"[:CELLS])
    room = area.capacity // 4 if area.tight else area.capacity
    ground = room / DENSE if area.tight else area.capacity * ROOM
    crowd = Crowd(key, 500 + index, cells, room, area.fill, area.begin, area.comes, area.lasts)
    begin, end = crowd.span(setting)
    unit = grid(index * 4 + 1)
    rows = [(cell, "city", False, None, unit, key) for cell in cells]
    return Part(
        {"signaling": attend(crowd, setting)},
        {
            "cells": pl.DataFrame(rows, schema=CELL_COLUMNS, orient="row"),
            "areas": pl.DataFrame([(key, area.name, area.capacity, ground)], schema=AREA_COLUMNS, orient="row"),
        },
        (Label(RULE, {"area": key}, begin, end, area.case, area.level),),
    )
