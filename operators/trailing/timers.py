"""When a window of a key runs empty.

A row at r, after which the key has no other until r + width, leaves its window empty at r + delayed + width. Of a
key's last row that is not known yet: one timer per key and slice stands for its next such time, and is dropped when
the key turns out to have had a later row. Of any other row it is known when the next one comes; where the window is
delayed that can be before it runs empty, and then a timer that nothing can undo waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.trailing import memory
from operators.trailing.keyring import CODE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.trailing.keyring import Ints
    from operators.trailing.memory import Rows
    from operators.trailing.pieces import Pieces
    from tocsin.model.windows import Trailing

DUE = "__due"
ROW = "__row"
CERTAIN = np.iinfo(np.int64).min
"""In place of the row's time: whatever comes, the window runs empty then."""
HEAD = 256


class Timers(NamedTuple):
    """Times that are due, the codes of their keys, and the time of the row that set them."""

    due: Ints
    code: Ints
    row: Ints

    @staticmethod
    def of(*parts: Timers) -> Timers:
        """Put timers behind each other."""
        nothing = np.zeros(0, dtype=np.int64)
        columns = zip(*parts, strict=True) if parts else ((), (), ())
        return Timers(*(np.concatenate([nothing, *column]) for column in columns))

    def where(self, chosen: np.typing.NDArray[np.bool_]) -> Timers:
        """Choose some."""
        return Timers(self.due[chosen], self.code[chosen], self.row[chosen])

    def renamed(self, keys: Ints) -> Timers:
        """Give them with `keys[code]` in place of each code."""
        return self._replace(code=keys[self.code])

    def piece(self) -> pl.DataFrame:
        """Give them as a piece of state, sorted by when they are due."""
        return frame(*self).sort(DUE)


def frame(due: Ints, code: Ints, row: Ints) -> pl.DataFrame:
    """Give timers as a frame."""
    return pl.DataFrame({DUE: due, CODE: code, ROW: row}, schema={DUE: pl.Int64, CODE: pl.Int64, ROW: pl.Int64})


def merge(pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merge pieces into one."""
    return pl.concat(pieces).sort(DUE)


def popped(pieces: Pieces, now: int) -> tuple[Timers, Pieces]:
    """Take what is due by now; give it and the rest."""
    taken: list[Timers] = []
    rest: list[pl.DataFrame] = []
    for piece in pieces:
        count = int(np.searchsorted(piece.get_column(DUE).to_numpy(), now, side="right"))
        taken.append(_timers(piece.head(count)))
        if count < piece.height:
            rest.append(piece.slice(count))
    return Timers.of(*taken), tuple(rest)


def of_last_rows(codes: Ints, last: Ints, dues: Sequence[int], since: int, now: int) -> tuple[Timers, Timers]:
    """Give what the last rows of keys leave due in (since, now], and their next timers after that.

    `dues`: the distinct delayed + width of the windows, ascending.
    """
    times = last[:, None] + np.asarray(dues, dtype=np.int64)[None, :]
    key, which = np.nonzero((times > since) & (times <= now))
    fired = Timers(times[key, which], codes[key], last[key])
    waiting = times > now
    chosen = np.flatnonzero(waiting.any(axis=1))
    following = times[chosen, waiting[chosen].argmax(axis=1)]
    return fired, Timers(following, codes[chosen], last[chosen])


def of_gaps(rows: Rows, windows: Sequence[Trailing], since: int) -> Timers:
    """Give what is certain to run empty after `since`, from the gaps before the newest rows.

    Codes are indices of keys, as in `rows`.
    """
    least = min(window.width for window in windows)
    key, before, after = rows.key.take(rows.own), rows.time[rows.own - 1], rows.time.take(rows.own)
    follows = (rows.own > 0) & (key == rows.key[rows.own - 1]) & (after - before > least)
    key, before, after = key[follows], before[follows], after[follows]
    parts: list[Timers] = []
    for window in windows:
        due = before + window.delayed + window.width
        empty = (after - before > window.width) & (due > since)
        certain = np.full(int(empty.sum()), CERTAIN)
        parts.append(Timers(due[empty], key[empty], certain))
    return Timers.of(*parts)


def next_due(pieces: Pieces, last_times: Callable[[Ints], Ints]) -> tuple[int | None, Pieces]:
    """Give the least time at which a timer does fire, and the timers without those before it that will not.

    `last_times`: gives the time of the latest row of each code.
    """
    most = HEAD
    while pieces:
        heads = Timers.of(*(_timers(piece.head(most)) for piece in pieces))
        # Beyond the head of a piece that goes on nothing is known.
        known = min((int(p.get_column(DUE)[most - 1]) for p in pieces if p.height > most), default=None)
        real = heads.where((heads.row == CERTAIN) | (last_times(heads.code) == heads.row))
        least = int(real.due.min()) if real.due.size else None
        if least is not None and (known is None or least <= known):
            return least, popped(pieces, least - 1)[1]
        if known is None:
            return None, ()
        pieces = popped(pieces, known - 1)[1]
        most *= 2
    return None, ()


def alive(pieces: Pieces, retained: Pieces) -> pl.DataFrame:
    """Give the timers that may still fire, as one piece."""
    timers = Timers.of(*(_timers(piece) for piece in pieces))
    real = (timers.row == CERTAIN) | (memory.last_times(timers.code, retained) == timers.row)
    return timers.where(real).piece()


def _timers(piece: pl.DataFrame) -> Timers:
    return Timers(*(piece.get_column(name).to_numpy() for name in (DUE, CODE, ROW)))
