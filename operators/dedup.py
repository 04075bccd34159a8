"""`dedup:` of a stream: copies of an event that come with a time of their own.

The head of a stage has left one row per key, id and time (`operators/reorder.py`). Of those of one key and id the first
stays; each later one is a copy as long as it is less than the horizon after the last one that stayed, and stays itself
otherwise. So an event that is said again and again counts once per horizon, and a copy does not make the horizon
longer.

Which rows stay goes from row to row of a key. It is found by doubling, in columns: every row knows the next one of its
key that would stay if it stayed itself; whoever is reached from the first one stays. State is the time of the last row
of each key and id that stayed, dropped once the horizon has passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from operators.contract import Step
from operators.trailing import keyring, latest
from operators.trailing.latest import BEGINNING, Latest
from tocsin.model.rows import ID, SYSTEM, TIME

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

    from operators.contract import Instant, State
    from operators.trailing.keyring import Grouped, Ints
    from tocsin.model.rows import Schema

    Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Dedup:
    """The operator. `key`: the columns of the stage's key; `horizon`: ms; rows keep all their columns."""

    name: str
    key: tuple[str, ...]
    horizon: int
    output: Schema

    def initial(self) -> State:
        """Give the state before any row."""
        key = {name: self.output.columns[name].physical for name in self.key}
        return latest.initial({**key, ID: SYSTEM[ID]}, {})

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Give the rows that are no copies; nothing is ever due in silence."""
        known, piece = Latest.load(state), state["latest"].clear()
        if rows.height:
            found = keyring.grouped(rows, (*self.key, ID))
            codes = keyring.find(found.keys, known.pieces).codes
            since = known.look(codes, (TIME,), state).get_column(TIME).fill_null(BEGINNING).to_numpy()
            stays = _stays(found, rows.get_column(TIME).to_numpy(), since, self.horizon)
            slots = found.slots
            if not stays.all():
                rows, slots = rows.filter(stays), slots[stays]
            piece = latest.last_of(rows, slots, codes).select(piece.columns)
        return Step(rows, known.plus(piece, instant.watermark, self.horizon).dump(state), None)


def _stays(found: Grouped, times: Ints, since: Ints, horizon: int) -> Flags:
    """Say which rows stay. `since`: of each key, when one stayed last.

    Nearly all ids come once: only rows of those that come again are looked at one after the other.
    """
    again = (found.counts > 1) | (since > BEGINNING)
    stays = np.ones(times.size, dtype=np.bool_)
    if again.any():
        slots = np.repeat(np.arange(found.counts.size), found.counts)
        few = again[slots]
        order = found.order[few]
        stays[order] = staying(slots[few], times[order], since, horizon)
    return stays


def staying(slots: Ints, times: Ints, since: Ints, horizon: int) -> Flags:
    """Say of rows in order of (slot, time), at least one, which ones stay."""
    moments, rank = np.unique(times, return_inverse=True)
    place = slots * (moments.size + 1) + rank  # no row of a slot lies at the last of its places
    begin = slots[np.append(True, slots[1:] != slots[:-1])]
    first = _from(begin, since[begin] + horizon, moments, place)
    following = np.append(_from(slots, times + horizon, moments, place), slots.size)
    owner = np.append(slots, -1)
    following[:-1][owner[following[:-1]] != slots] = slots.size
    return _reached(first[owner[first] == begin], following)


def _from(slots: Ints, times: Ints, moments: Ints, place: Ints) -> Ints:
    """Give where the first row of each slot at or after a time would stand."""
    return np.searchsorted(place, slots * (moments.size + 1) + np.searchsorted(moments, times))


def _reached(first: Ints, following: Ints) -> Flags:
    """Say which rows are reached from the first ones; `following` leads beyond the last row where nothing follows."""
    reached = np.zeros(following.size, dtype=np.bool_)
    reached[first] = True
    end = following.size - 1
    while (following < end).any():
        reached[following[reached]] = True
        following = following[following]
    return reached[:end]
