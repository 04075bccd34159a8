"""Stolen cards that are tried out and cards in two far places; and families, markets, couriers and travellers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.simulator.payments import payments, prices, till
from streams.simulator.setting import MINUTE
from streams.simulator.simulation import Label, Part, merge

if TYPE_CHECKING:
    from streams.simulator.setting import Setting

RULE = "card-velocity"
PERSONS = {"card": "card"}


class Round(NamedTuple):
    """Payments of one card: `times` over `minutes` from minute `begin` on, at `tills` in turn.

    `tills`: terminals by name, or so many of the city.
    """

    times: int
    tills: int | tuple[str, ...]
    begin: float
    minutes: float
    level: str
    case: str
    trusted: bool = False


ROUNDS = (
    Round(16, 6, 30, 8, "orange", "a stolen card is tried at six shops"),
    Round(2, ("t0001", "beijing"), 45, 40, "red", "in Shanghai, forty minutes later in Beijing"),
    Round(12, 5, 80, 5, "orange", "twelve payments in five minutes"),
    Round(14, 1, 40, 9, "", "a family at one till of the fair"),
    Round(9, 6, 50, 9, "", "a stroll over the market: nine payments at six stalls"),
    Round(12, 5, 30, 30, "", "a courier: twelve payments in half an hour"),
    Round(18, 7, 60, 8, "", "a delivery firm's card, trusted", trusted=True),
    Round(2, ("t0001", "hangzhou"), 20, 50, "", "by train to Hangzhou"),
    Round(2, ("t0001", "suburb"), 35, 0.5, "", "a till registered at the merchant's office, 43 km away"),
    Round(2, ("urumqi", "t0001"), 40, 60, "red", "in Urumqi, an hour later in Shanghai"),
    Round(3, ("t0001", "guangzhou", "t0001"), 25, 55, "red", "to Guangzhou and back within an hour"),
    Round(25, 12, 70, 9, "orange", "a bot tries a card at twelve shops"),
    Round(11, 4, 55, 9, "orange", "eleven payments at four shops"),
    Round(2, ("t0001", "beijing"), 10, 105, "", "by the first plane to Beijing"),
    Round(12, 3, 65, 8, "", "three tills of one department store"),
)


def incidents(setting: Setting, *, rounds: int = len(ROUNDS), times: int = 1) -> Part:
    """Give the first so many rounds, each `times` times with other cards, and the table of trusted cards."""
    numbered = enumerate(round_ for _ in range(times) for round_ in ROUNDS[:rounds])
    return merge(_round(setting, index, round_) for index, round_ in numbered)


def _round(setting: Setting, index: int, round_: Round) -> Part:
    dice = setting.dice(f"{RULE} {index}")
    card = str(6_228_480_000_000_000 + 7 * index)
    if isinstance(round_.tills, int):
        tills = [till(1 + int(n)) for n in dice.distinct(1_900, round_.tills)]
    else:
        tills = list(round_.tills)
    gap = round_.minutes / (round_.times - 1)
    times = setting.moment(round_.begin) + np.floor(np.arange(round_.times) * gap * MINUTE).astype(np.int64)
    spent = payments(
        times, pl.Series([card] * round_.times), pl.Series([tills[n % len(tills)] for n in range(round_.times)]),
        prices(dice, round_.times),
    )  # fmt: skip
    label = Label(RULE, {"card": card}, int(times[0]), int(times[-1]), round_.case, round_.level, PERSONS)
    trusted = pl.DataFrame({"card": [card] if round_.trusted else []}, schema={"card": pl.String})
    return Part({"payments": spent}, {"trusted": trusted}, (label,))
