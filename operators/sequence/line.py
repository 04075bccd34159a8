"""Rows of a batch by key and in order, and who comes before whom: by (time, id), an event never before itself.

An id names an event within its stream: events of two streams with one time and id are two, the one of the stream that
is named first before the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.trailing.memory import stable_order
from tocsin.model.rows import ID, TIME

if TYPE_CHECKING:
    import numpy.typing as npt

    from operators.trailing.keyring import Ints

    Flags = npt.NDArray[np.bool_]


class Line(NamedTuple):
    """Places 0, 1, ... of all rows, those of one key behind one another.

    `row`: where each stands in the batch. `key`: the index of its key. `first`: the first place of its key. `tie`: the
    first place of the rows of its key that are the same event, `end`: the place after the last one.
    """

    row: Ints
    key: Ints
    time: Ints
    first: Ints
    tie: Ints
    end: Ints

    @staticmethod
    def of(rows: pl.DataFrame, slots: Ints, origins: Ints) -> Line:
        """Put rows in line; `slots`: the index of each row's key; `origins`: the number of the stream it is from."""
        row = stable_order(slots)
        key, time = slots[row], rows.get_column(TIME).to_numpy()[row]
        ids = rows.get_column(ID).gather(pl.Series(row.astype(np.uint32)))
        other = np.ones(row.size, dtype=np.bool_)
        other[1:] = key[1:] != key[:-1]
        differs = other | ids.ne_missing(ids.shift()).to_numpy()
        differs[1:] |= time[1:] != time[:-1]
        changes = np.append(False, np.diff(origins[row]) != 0)
        if (changes & ~differs).any():
            row = row[np.lexsort((origins[row], np.cumsum(differs)))]
            differs[1:] |= np.diff(origins[row]) != 0
        ends = np.append(np.flatnonzero(differs), row.size)[1:]
        return Line(row, key, time, _latest(other), _latest(differs), np.repeat(ends, np.diff(ends, prepend=0)))

    @property
    def none(self) -> Flags:
        """A flag per place, all down."""
        return np.zeros(self.row.size, dtype=np.bool_)

    def before(self, flags: Flags) -> Ints:
        """Give for each place the last one with a flag that is before it, -1 if its key has none."""
        places = np.maximum.accumulate(np.where(flags, np.arange(flags.size), -1))
        found = np.append(-1, places)[self.tie]
        return np.where(found >= self.first, found, -1)

    def after(self, flags: Flags) -> Ints:
        """Give for each place the first one with a flag that is after it, -1 if its key has none."""
        places = np.minimum.accumulate(np.where(flags, np.arange(flags.size), flags.size)[::-1])[::-1]
        found = np.append(places, flags.size)[self.end]
        there = found < flags.size
        same = np.append(self.key, -1)[found] == self.key
        return np.where(there & same, found, -1)

    def last_of_each(self, flags: Flags) -> Ints:
        """Give the last place with a flag of each key that has one."""
        places = np.flatnonzero(flags)
        keys = self.key[places]
        last = np.append(keys[1:] != keys[:-1], np.ones(min(keys.size, 1), dtype=np.bool_))
        return np.asarray(places[last])

    def first_of_each(self, flags: Flags) -> Ints:
        """Give the first place with a flag of each key that has one."""
        places = np.flatnonzero(flags)
        keys = self.key[places]
        first = np.append(np.ones(min(keys.size, 1), dtype=np.bool_), keys[1:] != keys[:-1])
        return np.asarray(places[first])

    def in_order(self, flags: Flags) -> Ints:
        """Give the places with a flag, in the order of the batch."""
        places = np.flatnonzero(flags)
        return places[np.argsort(self.row[places])]


def _latest(flags: Flags) -> Ints:
    """Give for each place the last one up to it that has a flag."""
    return np.maximum.accumulate(np.where(flags, np.arange(flags.size), 0))
