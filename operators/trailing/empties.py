"""Empty rows: which windows run empty by now, and the rows that say so (semantics 13).

While a step is made, timers name keys by their index among the keys of the step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.trailing import keyring, timers
from operators.trailing.ranges import Edges
from operators.trailing.timers import Timers
from operators.windows.identity import key_text
from tocsin.model.rows import ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows
    from operators.trailing.pieces import Pieces
    from operators.trailing.ranges import Line
    from tocsin.model.windows import Trailing

EMPTY_ID = "\x00"
"""Before the key's text in the id of an empty row; no event's id begins with it."""


class Empties(NamedTuple):
    """Empty rows in order of (time, id).

    `time` and `key` of each, and `name`: its row in `names`, which has the id and the key columns of each key once.
    """

    time: Ints
    key: Ints
    name: Ints
    names: pl.DataFrame


def run_empty(  # what is known of the moment
    held: Rows, line: Line, windows: Sequence[Trailing], due: Timers, since: int, now: int
) -> tuple[Timers, Timers]:
    """Give which windows run empty in (since, now], and the timers of what may do so after that.

    `due`: the timers that waited for a time in it.
    """
    keys = np.flatnonzero(np.diff(held.end, prepend=0))
    last = held.time[held.end[keys] - 1]
    # A key without new rows and without a timer that fires has a timer that waits already.
    live = last > since
    place = np.searchsorted(keys, due.code)
    live[place[due.row == last[place]]] = True
    gaps = timers.of_gaps(held, windows, since)
    offsets = sorted({window.delayed + window.width for window in windows})
    silent, later = timers.of_last_rows(keys[live], last[live], offsets, since, now)
    certain = Timers.of(due.where(due.row == timers.CERTAIN), gaps)
    fired = Timers.of(silent, certain.where(certain.due <= now))
    later = Timers.of(later, gaps.where(gaps.due > now))
    if not any(window.delayed for window in windows):
        return fired, later  # a row of that time would be in the window
    seen = Edges(line, line.places(held.key, held.time), fired.code, fired.due).ranges(1, 0)
    return fired.where(seen.size == 0), later


def empties(fired: Timers, touched: Ints, known: Pieces, by: Sequence[str], names: Sequence[str]) -> Empties:
    """Give one row per time and key of timers, though several windows run empty at once.

    `touched`: the codes of the step's keys. `by`: the key columns. `names`: those of them that rows have.
    """
    if not fired.due.size:
        nothing = np.zeros(0, dtype=np.int64)
        return Empties(nothing, nothing, nothing, pl.DataFrame())
    keys = np.flatnonzero(np.bincount(fired.code, minlength=touched.size))
    ids = pl.concat_str(pl.lit(EMPTY_ID), key_text(names)).alias(ID)
    named = keyring.key_of(touched[keys], known, by).select(ids, *names)
    by_id = named.get_column(ID).arg_sort().to_numpy()
    rank = np.empty(touched.size, dtype=np.int64)
    rank[keys[by_id]] = np.arange(keys.size)
    first = int(fired.due.min())
    packed = (fired.due - first) * keys.size + rank[fired.code]  # it fits, as places on the line do
    packed.sort()
    packed = packed[np.append(packed[1:] != packed[:-1], [True])]
    time, rank_of = np.divmod(packed, keys.size)
    name = by_id[rank_of].astype(np.int64)
    return Empties(time + first, keys[name], name, named)
