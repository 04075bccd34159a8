"""Where phones are, and what the network hears of it: every change of cell, and a word at least every 45 minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streams.simulator.places import CENTRE, OPEN_CELLS
from streams.simulator.setting import MINUTE, MOVING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.simulator.dice import Dice, Wholes
    from streams.simulator.setting import Setting

QUIET = 45.0
"""Minutes after which an idle phone reports at the latest (periodic tracking area update; below T3412's 54)."""

SETTLING = 8.0
"""Minutes within which a phone that is there from the start is first heard of."""

STEPS = 6
"""Most changes of cell of one person in a run."""

SIGNALING = {"time": pl.Int64, "subscriber": pl.String, "cell": pl.String}


@dataclass(frozen=True, slots=True)
class Stays:
    """Who is where from when until when: `person` and `cell` are indices; equally long arrays, times in ms."""

    person: Wholes
    cell: Wholes
    begin: Wholes
    end: Wholes


def reports(stays: Stays, phones: pl.Series, cells: Sequence[str], setting: Setting, dice: Dice) -> pl.DataFrame:
    """Give the signaling events of these stays (columns of SIGNALING)."""
    size = len(stays.person)
    first = np.where(stays.begin == setting.start, dice.between(0, SETTLING * MINUTE, size), 0.0)
    person, cell, end = stays.person, stays.cell, stays.end
    now = stays.begin + np.floor(first).astype(np.int64)
    parts = []
    while (there := now < end).any():
        person, cell, end, now = person[there], cell[there], end[there], now[there]
        parts.append((now, person, cell))
        gap = np.minimum(3.0 + dice.waiting(10.0, len(now)), QUIET) * MINUTE
        now = now + np.floor(gap).astype(np.int64)
    times, persons, places = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pl.DataFrame(
        {"time": times, "subscriber": phones.gather(persons), "cell": pl.Series(list(cells)).gather(places)},
        schema=SIGNALING,
    )


def ordinary(phones: pl.Series, setting: Setting) -> pl.DataFrame:
    """Let everybody go about the open city: up to STEPS changes of cell each, as the hour suggests."""
    dice = setting.dice("ordinary journeys")
    people = len(phones)
    moves = dice.weighted([30, 25, 20, 12, 8, 5], people)
    times = setting.times(dice, people * STEPS, MOVING).reshape(people, STEPS)
    times[np.arange(STEPS)[None, :] >= moves[:, None]] = setting.end
    times.sort(axis=1)
    begin = np.concatenate([np.full((people, 1), setting.start), times], axis=1)
    end = np.concatenate([times, np.full((people, 1), setting.end)], axis=1)
    step = dice.whole(1, 4, people * (STEPS + 1)) * np.where(dice.chance(0.5, people * (STEPS + 1)), 1, -1)
    path = step.reshape(people, STEPS + 1)
    path[:, 0] = dice.weighted(CENTRE, people)
    cell = np.cumsum(path, axis=1) % len(OPEN_CELLS)
    person = np.broadcast_to(np.arange(people)[:, None], begin.shape)
    there = begin < end
    stays = Stays(person[there], cell[there], begin[there], end[there])
    return reports(stays, phones, OPEN_CELLS, setting, dice)


def visit(
    phones: pl.Series, cells: Sequence[str], times: tuple[Wholes, Wholes], setting: Setting, dice: Dice
) -> pl.DataFrame:
    """Let each phone come from somewhere in the open city into one of `cells`, and go back there.

    `times`: when each arrives and leaves, ms; the start or the end of the run where it was there before or stays on.
    """
    people, (arrive, leave) = len(phones), times
    home = dice.whole(0, len(OPEN_CELLS), people)
    inside = dice.whole(0, len(cells), people) + len(OPEN_CELLS)
    who = np.arange(people)
    begin = np.concatenate([np.full(people, setting.start), arrive, leave])
    end = np.concatenate([arrive, leave, np.full(people, setting.end)])
    there = begin < end
    stays = Stays(np.tile(who, 3)[there], np.concatenate([home, inside, home])[there], begin[there], end[there])
    return reports(stays, phones, (*OPEN_CELLS, *cells), setting, dice)
