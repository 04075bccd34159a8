"""Halls and towers that fill: too full, nearly full, a train that arrives, a rush that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.simulator.crowds import Crowd, attend
from streams.simulator.places import Indoor, grid, indoors
from streams.simulator.simulation import Label, Part, merge

if TYPE_CHECKING:
    from streams.simulator.setting import Setting

RULE = "city-units"
FLOORS = 3
TIGHT = 0.75
"""A tower's own capacity as a share of its floors': the stairs are narrow."""


class Hall(NamedTuple):
    """A hall and what happens in it; `level` is empty if nothing may be raised."""

    capacity: int
    fill: float
    begin: float
    comes: float
    lasts: float
    level: str
    case: str


HALLS = (
    Hall(300, 0.85, 30, 15, 25, "yellow", "the concert is nearly sold out"),
    Hall(300, 1.08, 35, 12, 20, "red", "more people than there is room for"),
    Hall(400, 0.65, 30, 20, 30, "", "a hall that fills to 65 %"),
    Hall(200, 0.62, 50, 0.5, 12, "", "a train arrives with a crowd at once"),
    Hall(300, 0.90, 40, 0.3, 1.1, "", "a rush through the foyer that is over in two minutes"),
    Hall(250, 0.75, 25, 20, 30, "blue", "a popular exhibition"),
    Hall(250, 0.95, 40, 10, 25, "orange", "a match with standing room"),
    Hall(300, 0.86, 55, 3, 25, "yellow", "everybody comes within three minutes"),
    Hall(300, 0.66, 45, 2, 40, "", "a lecture room that fills in two minutes to 66 %"),
    Hall(400, 0.80, 60, 0.3, 1.2, "", "a school class crosses the hall"),
)
TOWER = Hall(200, 0.65, 35, 15, 30, "yellow", "every floor has room, but the stairs of the tower do not")


def incidents(setting: Setting, *, halls: int = len(HALLS), towers: int = 2) -> Part:
    """Give the first so many halls and so many towers, each with its crowd and its label."""
    parts = [_hall(setting, index, hall) for index, hall in enumerate(HALLS[:halls])]
    return merge([*parts, *(_tower(setting, index) for index in range(towers))])


def _hall(setting: Setting, index: int, hall: Hall) -> Part:
    unit, cells = f"hall-{index + 1:02d}", (f"h{index + 1:02d}a", f"h{index + 1:02d}b")
    place = Indoor(unit, grid(index * 5), f"hall {index + 1}", hall.capacity, cells)
    return merge([indoors([place]), _crowd(setting, unit, index, cells, hall)])


def _tower(setting: Setting, index: int) -> Part:
    tower = f"tower-{index + 1}"
    floors = [
        Indoor(
            f"{tower}-{floor}", tower, f"tower {index + 1}, floor {floor}", TOWER.capacity, (f"t{index + 1}{floor}",)
        )
        for floor in range(1, FLOORS + 1)
    ]
    room = round(TIGHT * FLOORS * TOWER.capacity)
    whole = Indoor(tower, grid(index * 5 + 3), f"tower {index + 1}", room, ())
    quiet = TOWER._replace(
        level="", case="one floor of a tower that is too full as a whole", begin=TOWER.begin + 5 * index
    )
    crowds = [
        _crowd(setting, floor.unit, 100 + index * FLOORS + number, floor.cells, quiet)
        for number, floor in enumerate(floors)
    ]
    begin = min(label.begin for crowd in crowds for label in crowd.labels)
    end = max(label.end for crowd in crowds for label in crowd.labels)
    label = Label(RULE, {"unit": tower}, begin, end, TOWER.case, TOWER.level)
    return merge([indoors([whole, *floors]), *crowds, Part(labels=(label,))])


def _crowd(setting: Setting, unit: str, block: int, cells: tuple[str, ...], hall: Hall) -> Part:
    crowd = Crowd(unit, block, cells, hall.capacity, hall.fill, hall.begin, hall.comes, hall.lasts)
    begin, end = crowd.span(setting)
    return Part(
        {"signaling": attend(crowd, setting)}, labels=(Label(RULE, {"unit": unit}, begin, end, hall.case, hall.level),)
    )
