"""What stands before a detector whose rows take time to fill: it does not get to see them until they have.

A trailing window of an hour holds ten minutes of events ten minutes after the first one, an occupancy that forgets
after an hour misses everybody who has not been heard of yet. Such counts climb though nothing happens, and a detector
that learns from the climb, or draws it on, alarms. So the watched column goes to the detector under another name, and
is null there until the key's first row is `fills` ago: the time that the rows take to fill, which the compiler knows
from the windows and occupancies that they are made of. The detector's own history begins after that.

Where it is weak. Only rows tell that time goes by: a key whose first event comes while the stream has been read for
long is full at once, and waits all the same. A key without a row for longer than `silence` is forgotten, and waits anew
when it comes back. A session that began before the stream did counts as whole.

All of it depends on the key's own rows: neither batches nor other keys play a part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.contract import Step
from operators.trailing import keyring, latest
from operators.trailing.keyring import CODE
from operators.trailing.latest import BEGINNING, Latest
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from operators.contract import Instant, State
    from operators.trailing.keyring import Grouped, Ints
    from tocsin.model.rows import Schema

SINCE = "__since"
_ALL = "#all"

DAY = 86_400_000
LEAST_SILENCE = 7 * DAY
"""What happens once a week is not new every week."""
_MEMORIES = 3
"""As with entities (semantics 17): forgotten after three times the memory."""


def silence_after(memory: int) -> int:
    """Give how long a key may be silent before it is new. `memory`: ms, of the rows and the detector's history."""
    return max(LEAST_SILENCE, _MEMORIES * memory)


@dataclass(frozen=True, slots=True)
class Filling:
    """The operator. `by`: the key; `column`: what is watched; `shown`: what the detector sees of it; times in ms."""

    name: str
    by: tuple[str, ...]
    column: str
    shown: str
    fills: int
    silence: int
    output: Schema

    def initial(self) -> State:
        """Give the state before any row: when each key was first and last seen."""
        keys = {name: self.output.columns[name].physical for name in self.by} or {_ALL: pl.Int8()}
        return latest.initial(keys, {SINCE: pl.Int64()})

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Add the column that the detector sees."""
        known, piece = Latest.load(state), state["latest"].clear()
        keyed = rows if self.by else rows.with_columns(pl.lit(0, dtype=pl.Int8).alias(_ALL))
        given = self.output.empty()
        if rows.height:
            found = keyring.grouped(keyed, self.by or (_ALL,))
            codes = keyring.find(found.keys, known.pieces).codes
            before = known.look(codes, (TIME, SINCE), state).select(pl.col(TIME, SINCE).fill_null(BEGINNING))
            since = _since(found, rows.get_column(TIME).to_numpy(), before, self.silence)
            keyed = keyed.with_columns(pl.Series(SINCE, since))
            full = pl.col(TIME) - pl.col(SINCE) >= self.fills
            given = self.output.conform(keyed.with_columns(pl.when(full).then(self.column).alias(self.shown)))
            last = found.order[np.cumsum(found.counts) - 1]
            piece = keyed[last].with_columns(pl.Series(CODE, codes)).sort(CODE).select(piece.columns)
        return Step(given, known.plus(piece, instant.watermark, self.silence).dump(state), None)


def _since(found: Grouped, times: Ints, before: pl.DataFrame, silence: int) -> Ints:
    """Give for each row, in order of time, since when its key has been seen without a silence that is too long.

    `before`: of each key, the time of its last row and since when it was seen then.
    """
    key, time = np.repeat(np.arange(found.counts.size), found.counts), times[found.order]
    last, since = (before.get_column(name).to_numpy() for name in (TIME, SINCE))
    first = np.append(True, key[1:] != key[:-1])
    previous = np.where(first, last[key], np.append(0, time[:-1]))
    anew = time - previous > silence
    begun = np.maximum.accumulate(np.where(first | anew, np.arange(key.size), 0))
    given = np.empty_like(time)
    given[found.order] = np.where(anew[begun], time[begun], since[key[begun]])
    return given
