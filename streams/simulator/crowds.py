"""Crowds at a place: how it fills and empties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streams.simulator.journeys import visit
from streams.simulator.population import visitors
from streams.simulator.setting import MINUTE, SECOND

if TYPE_CHECKING:
    import polars as pl

    from streams.simulator.dice import Dice, Wholes
    from streams.simulator.setting import Setting

BASE = 0.25
"""How full a place is of people who are there all the time, as a share of its capacity."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """A crowd at one place.

    `block`: of the visitors' phone numbers, another one for each place. `cells`: of the place. `room`: people that
    count as full. `fill`: the greatest share of `room` reached; `lasts`: minutes at that share (an evening, or a
    moment). `comes`: minutes from the first to the last arrival. `begin`: minute of the run when the first one comes.
    """

    place: str
    block: int
    cells: tuple[str, ...]
    room: int
    fill: float
    begin: float
    comes: float
    lasts: float

    @property
    def goes(self) -> float:
        """Minutes from the first to the last departure."""
        return min(15.0, self.lasts / 2)

    def span(self, setting: Setting) -> tuple[int, int]:
        """Give when it begins and when the last one has left, ms."""
        return setting.moment(self.begin), setting.moment(self.begin + self.comes + self.lasts + self.goes)


def attend(crowd: Crowd, setting: Setting) -> pl.DataFrame:
    """Give the signaling events of the crowd and of those who are always there."""
    dice = setting.dice(f"crowd at {crowd.place}")
    base = round(BASE * crowd.room)
    guests = max(0, round(crowd.fill * crowd.room) - base)
    arrive = np.concatenate([np.full(base, setting.start), _spread(dice, guests, setting, crowd.begin, crowd.comes)])
    left = crowd.begin + crowd.comes + crowd.lasts
    leave = np.concatenate([np.full(base, setting.end), _spread(dice, guests, setting, left, crowd.goes)])
    phones = visitors(crowd.block, base + guests)
    return visit(phones, crowd.cells, (arrive, np.minimum(leave, setting.end)), setting, dice)


def _spread(dice: Dice, people: int, setting: Setting, begin: float, minutes: float) -> Wholes:
    """Draw times over so many minutes, evenly; the first and the last second of the span stay free."""
    span = minutes * MINUTE - 2 * SECOND
    drawn: Wholes = setting.moment(begin) + SECOND + np.floor(dice.unit(people) * span).astype(np.int64)
    return drawn
