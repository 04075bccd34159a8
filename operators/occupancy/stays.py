"""From where people were seen to who came into which area and left it, at which tick.

A *visit* is the last place a person was seen at in the time before a tick: person (a number), tick, seen (ms), and
after sorting its number. It holds until the person's next visit, or expires at the first tick more than `forget` after
it was seen. A *part* is one area (ELEMENT) that a visit counts in: the place itself and all it is part of. Parts of
the same person and area in visits that follow each other without a gap are one stay, so that who goes from hall to
hall of a fair neither leaves the fair nor comes into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.grouping import taken
from operators.occupancy.hierarchy import ELEMENT
from operators.trailing.memory import stable_order

if TYPE_CHECKING:
    from operators.occupancy.ticks import Ticks
    from operators.trailing.keyring import Ints

PERSON = "__person"
TICK = "__tick"
SEEN = "__seen"
NUMBER = "__number"
SINCE = "__since"
LEAVES = "__leaves"
"""The tick at which a person is out of those areas of a visit that the next one does not share; null: not known yet."""
HOLDS = "__holds"
"""Whether the visit holds until the next one."""


class Stays(NamedTuple):
    """What changes: (TICK, ELEMENT, SINCE) per person and change; and the parts of last visits that go on."""

    entered: pl.DataFrame
    left: pl.DataFrame
    going_on: pl.DataFrame


def expires(ticks: Ticks, forget: int) -> pl.Expr:
    """Give the tick at which a visit expires."""
    return ticks.after(pl.col(SEEN) + forget)


def in_order(visits: pl.DataFrame, ticks: Ticks, forget: int, now: int) -> pl.DataFrame:
    """Sort visits by person, number those of each, and say how long each holds.

    They come in order of ticks. `now`: ticks up to this have come.
    """
    person = visits.get_column(PERSON).to_numpy()
    order = stable_order(person)
    person = person[order]
    last = np.append(person[1:] != person[:-1], np.ones(min(person.size, 1), dtype=np.bool_))
    first = np.flatnonzero(np.append(np.ones(min(person.size, 1), dtype=np.bool_), last[:-1]))
    number = np.arange(person.size) - np.repeat(first, np.diff(np.append(first, person.size)))
    following = pl.when(~pl.Series(last)).then(pl.col(TICK).shift(-1))
    sorted_ = taken(visits, order).with_columns(
        pl.Series(NUMBER, number, dtype=pl.Int64), following.alias("__next"), expires(ticks, forget).alias("__gone")
    )
    holds = (pl.col("__next") <= pl.col("__gone")).fill_null(value=False)
    known = pl.col("__next").is_not_null() | (pl.col("__gone") <= now)
    leaves = pl.when(holds).then(pl.col("__next")).when(known).then(pl.col("__gone"))
    return sorted_.with_columns(holds.alias(HOLDS), leaves.alias(LEAVES)).drop("__next", "__gone")


def stays(parts: pl.DataFrame) -> Stays:
    """Join parts, which come in order of NUMBER for each person and area, to stays.

    `parts`: PERSON, NUMBER, TICK, SEEN, HOLDS, LEAVES, ELEMENT; SINCE of those of stays that began earlier.
    """
    place = _places(parts)
    order = stable_order(place)
    same = pl.Series(np.append(np.zeros(min(place.size, 1), dtype=np.bool_), place[order[1:]] == place[order[:-1]]))
    next_to = (pl.col(NUMBER) == pl.col(NUMBER).shift(1) + 1) & pl.col(HOLDS).shift(1)
    on = (same & next_to).fill_null(value=False)
    parts = taken(parts, order).with_columns(on.alias("__on"), pl.col(SINCE).is_null().alias("__new"))
    begun = pl.when(~pl.col("__on")).then(pl.coalesce(SINCE, SEEN)).forward_fill()
    parts = parts.with_columns(begun.alias(SINCE), pl.col("__on").shift(-1, fill_value=False).alias("__goes_on"))
    entered = parts.filter(pl.col("__new") & ~pl.col("__on")).select(TICK, ELEMENT, SINCE)
    ended = ~pl.col("__goes_on")
    left = parts.filter(ended & pl.col(LEAVES).is_not_null()).select(pl.col(LEAVES).alias(TICK), ELEMENT, SINCE)
    return Stays(entered, left, parts.filter(ended & pl.col(LEAVES).is_null()).select(PERSON, ELEMENT, SINCE))


def _places(parts: pl.DataFrame) -> Ints:
    """Give each pair of person and area a number."""
    areas = parts.select(pl.col(ELEMENT).unique()).with_row_index("__area")
    area = parts.select(ELEMENT).join(areas, on=ELEMENT, how="left", maintain_order="left").get_column("__area")
    return np.asarray(parts.get_column(PERSON).to_numpy() * areas.height + area.cast(pl.Int64).to_numpy())
