"""From what happened to what arrives: ids, delay, duplicates, malformed records, and times as producers write them.

Every record reaches the reader at most 0.8 of its stream's lateness after its event time, its copy at most 0.9: however
the records lie, none is late (semantics 2). Only the `late` share is, when asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from streams.simulator.setting import MINUTE, OFFSET, SECOND

if TYPE_CHECKING:
    from streams.simulator.dice import Dice, Floats
    from streams.simulator.setting import Setting

COPIED = 0.001
"""Share of records that a producer sends twice."""

BAD_OF = 20_000
"""One malformed record in so many, of each kind; at least one."""

Fault = Mapping[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class Form:
    """How one stream looks outside.

    `id`: its id column; `prefix` stands before the number (None: the id is a number). `lateness`: ms, as the shipped
    topology declares it. `time`: Shanghai or UTC text (RFC 3339), or ms since the epoch. `faults`: what a malformed
    record has in place of good values; the column `at` as in the outer form.
    """

    id: str
    prefix: str | None
    lateness: int
    time: Literal["shanghai", "utc", "epoch"]
    faults: tuple[Fault, ...] = field(default=())


FORMS: Mapping[str, Form] = {
    "calls": Form("call_id", "call-", 10 * SECOND, "shanghai", ({"at": "yesterday"}, {"ring": -5.0})),
    "signaling": Form("event_id", "s", MINUTE, "epoch", ({"at": None}, {"at": -62_135_596_800_000})),
    "payments": Form(
        "payment_id", None, 5 * SECOND, "utc", ({"at": "31/02/2026 25:61"}, {"amount": -1.0}, {"amount": 10.005})
    ),
    "meters": Form("reading_id", "m", 5 * MINUTE, "shanghai", ({"at": "soon"}, {"used": -0.5})),
}


ARRIVAL = "__arrival"


def arriving(name: str, events: pl.DataFrame, setting: Setting, late: float = 0.0) -> pl.DataFrame:
    """Give the records of stream `name` in the order of ARRIVAL (Int64, ms since the epoch), a column of its own.

    `late`: share that comes beyond the lateness.
    """
    form = FORMS[name]
    dice = setting.dice(f"arrival of {name}")
    rows = _numbered(events, form)
    delay = _delays(dice, rows.height, form.lateness, late)
    rows = rows.with_columns(__arrival=pl.col("time") + pl.Series(np.floor(delay).astype(np.int64)))
    rows = _outside(rows, form)
    rows = pl.concat([rows, _copies(rows, form, dice), *_faulty(rows, form, dice)])
    return rows.with_row_index("__row").sort(ARRIVAL, "__row").drop("__row")


def _numbered(events: pl.DataFrame, form: Form) -> pl.DataFrame:
    """Sort by event time and number the events from 1; equal times keep the order of generation."""
    rows = events.with_row_index("__row").sort("time", "__row").drop("__row")
    number = pl.int_range(1, rows.height + 1, dtype=pl.Int64)
    made = number if form.prefix is None else pl.lit(form.prefix) + number.cast(pl.String)
    return rows.select(made.alias(form.id), pl.all())


def _delays(dice: Dice, size: int, lateness: int, late: float) -> Floats:
    usual = np.minimum(dice.waiting(0.1, size), 0.8) * lateness
    beyond = dice.between(2.0, 4.0, size) * lateness
    return np.where(dice.chance(late, size), beyond, usual)


def _outside(rows: pl.DataFrame, form: Form) -> pl.DataFrame:
    if form.time == "epoch":
        return rows.rename({"time": "at"})
    shift, mark = (OFFSET, "+08:00") if form.time == "shanghai" else (0, "Z")
    text = pl.from_epoch(pl.col("time") + shift, time_unit="ms").dt.strftime(f"%Y-%m-%dT%H:%M:%S%.3f{mark}")
    return rows.with_columns(time=text).rename({"time": "at"})


def _copies(rows: pl.DataFrame, form: Form, dice: Dice) -> pl.DataFrame:
    again = rows.filter(pl.Series(dice.chance(COPIED, rows.height)))
    more = np.floor(dice.between(0.0, 0.1, again.height) * form.lateness).astype(np.int64)
    return again.with_columns(__arrival=pl.col("__arrival") + pl.Series(more, dtype=pl.Int64))


def _faulty(rows: pl.DataFrame, form: Form, dice: Dice) -> list[pl.DataFrame]:
    """Give malformed records: copies of good ones under ids of their own, each with one fault."""
    each = max(1, rows.height // BAD_OF)
    parts = []
    for index, fault in enumerate(form.faults, start=1):
        first = rows.height + index * 1_000_000
        number = pl.int_range(first, first + each, dtype=pl.Int64)
        made = number if form.prefix is None else pl.lit(form.prefix) + number.cast(pl.String)
        spoilt = [pl.lit(value, dtype=rows.schema[column]).alias(column) for column, value in fault.items()]
        picked = rows[dice.whole(0, rows.height, each)] if rows.height else rows
        parts.append(picked.with_columns(made.alias(form.id), *spoilt) if rows.height else picked)
    return parts
