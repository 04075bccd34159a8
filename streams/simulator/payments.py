"""Tills, and ordinary payments at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streams.simulator.setting import PAYING
from streams.simulator.simulation import Part

if TYPE_CHECKING:
    from streams.simulator.dice import Dice, Floats, Wholes
    from streams.simulator.setting import Setting

PAYMENTS, CARDS, TILLS = 120_000, 18_000, 2_000
"""Ordinary payments of two hours, cards, and terminals in the city."""

CENTRE = (31.23, 121.47)
SPREAD = 0.12
"""Half the side of the square that holds all tills of the city, degrees: no two are 40 km apart."""

FAR_PLACES = {
    "urumqi": (43.83, 87.62),
    "beijing": (39.90, 116.40),
    "guangzhou": (23.13, 113.26),
    "chengdu": (30.57, 104.07),
    "hangzhou": (30.27, 120.16),
    "suburb": (31.23, 121.92),
}
"""Terminals elsewhere; `suburb` is registered at its merchant's office, 43 km from the centre."""

PAYMENT = {"time": pl.Int64, "card": pl.String, "terminal": pl.String, "amount": pl.Float64}


def till(index: int) -> str:
    """Name the till with this number, counted from 0."""
    return f"t{index + 1:04d}"


def payments(times: Wholes, cards: pl.Series, tills: pl.Series, amounts: Floats) -> pl.DataFrame:
    """Give payment records; amounts to the cent, at least one."""
    cents = np.maximum(np.round(amounts * 100.0), 1.0) / 100.0
    return pl.DataFrame({"time": times, "card": cards, "terminal": tills, "amount": cents}, schema=PAYMENT)


def prices(dice: Dice, size: int) -> Floats:
    """Draw what people pay: mostly small, sometimes large (log-normal around 32)."""
    return np.asarray(np.exp(3.5 + 0.9 * dice.normal(size)), dtype=np.float64)


def terminals(setting: Setting) -> Part:
    """Give the table of terminals; the first one stands in the centre."""
    dice = setting.dice("terminals")
    lat = np.round(CENTRE[0] + dice.between(-SPREAD, SPREAD, TILLS), 4)
    lon = np.round(CENTRE[1] + dice.between(-SPREAD, SPREAD, TILLS), 4)
    lat[0], lon[0] = CENTRE
    city = [(till(n), f"{a:.4f} {o:.4f}") for n, (a, o) in enumerate(zip(lat.tolist(), lon.tolist(), strict=True))]
    far = [(name, f"{a:.4f} {o:.4f}") for name, (a, o) in FAR_PLACES.items()]
    return Part(tables={"terminals": pl.DataFrame(city + far, schema=["terminal", "place"], orient="row")})


def ordinary(cards: int, size: int, setting: Setting) -> Part:
    """Give `size` payments of `cards` cards at the tills of the city."""
    dice = setting.dice("ordinary payments")
    card = (6_222_020_000_000_000 + pl.Series(dice.whole(0, cards, size))).cast(pl.String)
    tills = pl.Series([till(n) for n in range(TILLS)]).gather(pl.Series(dice.whole(0, TILLS, size)))
    return Part({"payments": payments(setting.times(dice, size, PAYING), card, tills, prices(dice, size))})
