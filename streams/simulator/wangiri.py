"""One-ring fraud: bursts of calls that are given up after a ring, so that people call an expensive range back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.simulator.calls import cells_of, conversation
from streams.simulator.population import foreign, phones
from streams.simulator.setting import MINUTE, SECOND
from streams.simulator.simulation import Label, Part, merge

if TYPE_CHECKING:
    from streams.simulator.dice import Dice, Wholes
    from streams.simulator.setting import Setting

RULE = "wangiri"
COUNTRIES = ("00225", "00232", "00371", "00678", "00960")


class Burst(NamedTuple):
    """Calls from one range.

    `rings` calls to `victims` numbers, in turn, over `minutes` from minute `begin` on; each rings between `low` and
    `high` seconds and is answered with the chance `answered`. `backs`: victims that call back soon after.
    """

    rings: int
    victims: int
    begin: float
    minutes: float
    low: float
    high: float
    answered: float
    backs: int
    level: str
    case: str


BURSTS = (
    Burst(160, 160, 25, 10, 0.8, 2.9, 0.0, 0, "yellow", "one ring to 160 people"),
    Burst(200, 180, 40, 12, 0.6, 2.8, 0.02, 14, "red", "one ring to 180 people, 14 call back"),
    Burst(120, 110, 60, 6, 1.0, 3.0, 0.0, 8, "red", "a short burst, eight call back"),
    Burst(300, 280, 10, 100, 12, 30, 0.35, 10, "", "a call centre that lets it ring"),
    Burst(42, 42, 30, 15, 1.0, 2.9, 0.0, 9, "", "42 people: below the bound"),
    Burst(150, 8, 50, 12, 1.0, 2.9, 0.0, 3, "", "a broken dialler rings the same eight numbers"),
    Burst(90, 85, 20, 25, 0.8, 2.9, 0.0, 2, "yellow", "slow, but still 85 people; two call back"),
    Burst(240, 240, 70, 4, 0.5, 1.9, 0.0, 25, "red", "a fast burst, 25 call back"),
    Burst(75, 75, 35, 9, 1.2, 3.0, 0.0, 4, "yellow", "75 people, four call back: not yet five"),
    Burst(150, 150, 2, 108, 1.0, 2.9, 0.0, 12, "", "spread so thinly that half an hour never holds fifty"),
    Burst(140, 140, 45, 10, 0.8, 2.9, 1.0, 6, "", "a school's announcement: picked up at once"),
    Burst(130, 130, 80, 9, 3.1, 5.0, 0.0, 6, "", "a callback service that rings three seconds and more"),
)


def incidents(setting: Setting, people: int, *, bursts: int = len(BURSTS)) -> Part:
    """Give the first so many bursts, on subscribers among the first `people`."""
    return merge(_burst(setting, people, index, burst) for index, burst in enumerate(BURSTS[:bursts]))


def _burst(setting: Setting, people: int, index: int, burst: Burst) -> Part:
    dice = setting.dice(f"{RULE} {index}")
    prefix = f"{COUNTRIES[index % len(COUNTRIES)]}{index + 11}"
    victims = dice.distinct(people, burst.victims)
    steps = (np.arange(burst.rings) + 0.8 * dice.unit(burst.rings)) / burst.rings
    times = setting.moment(burst.begin) + np.floor(steps * burst.minutes * MINUTE).astype(np.int64)
    rings = conversation(
        times, foreign(prefix, dice.whole(0, 900_000, burst.rings)),
        phones(pl.Series(victims[np.arange(burst.rings) % burst.victims])),
        dice.between(burst.low, burst.high - 0.05, burst.rings), dice.chance(burst.answered, burst.rings),
        cells_of(dice.whole(0, 192, burst.rings)),
    )  # fmt: skip
    backs = _backs(dice, prefix, victims[: burst.backs], times[: burst.backs])
    until = max(int(times[-1]), *(backs["time"].to_list() or [0]), 0)
    label = Label(RULE, {"range": prefix}, int(times[0]), until, burst.case, burst.level)
    return Part({"calls": pl.concat([rings, backs])}, labels=(label,))


def _backs(dice: Dice, prefix: str, victims: Wholes, rung: Wholes) -> pl.DataFrame:
    """Let the first victims call the range back, one to eight minutes after it rang."""
    size = len(victims)
    times = rung + np.floor(dice.between(MINUTE + SECOND, 8 * MINUTE, size)).astype(np.int64)
    return conversation(
        times, phones(pl.Series(victims, dtype=pl.Int64)), foreign(prefix, dice.whole(0, 900_000, size)),
        dice.between(3, 8, size), np.ones(size, dtype=np.bool_), cells_of(dice.whole(0, 192, size)),
    )  # fmt: skip
