"""Ordinary calls: mostly answered; who does not answer lets it ring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streams.simulator.places import OPEN_CELLS
from streams.simulator.population import devices, phones, sims
from streams.simulator.setting import CALLING
from streams.simulator.simulation import Part

if TYPE_CHECKING:
    from streams.simulator.dice import Floats, Truths, Wholes
    from streams.simulator.setting import Setting

CALLS = 160_000
"""Ordinary calls of two hours."""

ANSWERED, MISDIALLED = 0.72, 0.02
"""Shares of all calls, and of the unanswered ones (given up after a moment)."""


def conversation(
    times: Wholes, caller: pl.Series, callee: pl.Series, ring: Floats, answered: Truths, cell: pl.Series
) -> pl.DataFrame:
    """Give call records; `ring` in seconds, kept to tenths."""
    return pl.DataFrame(
        {
            "time": times, "caller": caller, "callee": callee, "device": devices(caller), "sim": sims(caller),
            "cell": cell, "ring": np.round(ring, 1), "answered": answered,
        }
    ).with_columns(direction=pl.lit("out"))  # fmt: skip


def cells_of(picks: Wholes) -> pl.Series:
    """Give the cells with these numbers, around the city."""
    return pl.Series(OPEN_CELLS).gather(pl.Series(picks % len(OPEN_CELLS)))


def ordinary(people: int, calls: int, setting: Setting) -> Part:
    """Give `calls` calls among the first `people` subscribers, and the bank's customers among them."""
    dice = setting.dice("ordinary calls")
    caller, callee = dice.whole(0, people, calls), dice.whole(0, people, calls)
    callee = np.where(callee == caller, (callee + 1) % people, callee)
    answered = dice.chance(ANSWERED, calls)
    heard = 2.0 + np.minimum(dice.waiting(7.0, calls), 40.0)
    waited = np.where(dice.chance(MISDIALLED, calls), dice.between(0.5, 3.0, calls), dice.between(10.0, 30.0, calls))
    events = conversation(
        setting.times(dice, calls, CALLING), phones(pl.Series(caller)), phones(pl.Series(callee)),
        np.where(answered, heard, waited), answered, cells_of(caller),
    )  # fmt: skip
    customers = phones(pl.int_range(0, people, 20, dtype=pl.Int64, eager=True))
    bank = pl.DataFrame({"phone": customers, "customer": "k" + customers.str.slice(-9)})
    return Part({"calls": events}, {"phones": bank})
