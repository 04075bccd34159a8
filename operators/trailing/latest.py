"""The latest row of every key, found and replaced at a cost of the rows that come, not of all that is kept.

Pieces hold key columns, code and values, sorted by code, each key once; where a key is in several pieces the latest one
counts. Merges drop what is outdated, and sweeps what is older than its time to live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.grouping import taken
from operators.trailing import keyring
from operators.trailing.keyring import CODE, HASH
from operators.trailing.memory import stable_order
from operators.trailing.pieces import LENGTHS, Pieces, cut, joined, lengths, pushed
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.contract import State
    from operators.trailing.keyring import Ints

BEGINNING = -(2**62)
SWEEPS = 4
"""What is too old is dropped so often per time to live."""
CLOCK = {"watermark": pl.Int64(), "swept": pl.Int64(), "hash": pl.String()}


class Latest(NamedTuple):
    """The pieces, and how far time has come. Frames in a state: `latest`, `lengths`, `clock`."""

    pieces: Pieces
    watermark: int
    swept: int

    @staticmethod
    def load(state: State) -> Latest:
        """Take it out of a state."""
        watermark, swept, hashed = state["clock"].row(0)
        pieces = cut(state["latest"], state["lengths"], "latest")
        if hashed != HASH and pieces:
            whole = merge(pieces)
            keys = whole.drop(CODE).select(state["latest"].columns[: state["latest"].columns.index(CODE)])
            codes = pl.Series(CODE, keyring.find(keys, ()).codes, dtype=pl.Int64)
            pieces = (whole.with_columns(codes).sort(CODE),)
        return Latest(pieces, watermark, swept)

    def dump(self, empty: State) -> dict[str, pl.DataFrame]:
        """Put it into the frames of a state."""
        return {
            "latest": joined(self.pieces, empty["latest"].clear()),
            "lengths": lengths(latest=self.pieces),
            "clock": pl.DataFrame([(self.watermark, self.swept, HASH)], schema=CLOCK, orient="row"),
        }

    def look(self, codes: Ints, columns: Sequence[str], empty: State) -> pl.DataFrame:
        """Give the latest values of each code, null for one that is not known."""
        place = np.full(codes.size, -1, dtype=np.int64)
        start = 0
        for piece in self.pieces:
            known = piece.get_column(CODE).to_numpy()
            at = np.minimum(np.searchsorted(known, codes), known.size - 1)
            found = known[at] == codes
            place[found] = start + at[found]
            start += known.size
        whole = joined([piece.select(columns) for piece in self.pieces], empty["latest"].select(columns).clear())
        places = pl.Series(place).cast(pl.UInt32, strict=False)
        if not start:
            return whole.clear(codes.size)
        return whole.select(pl.all().gather(places))

    def plus(self, piece: pl.DataFrame, watermark: int, forget: int) -> Latest:
        """Give this with later rows, sorted by code, each key once; rows with `TIME` <= watermark - forget may go."""
        if watermark - self.swept < max(1, forget // SWEEPS):
            return Latest(pushed(self.pieces, piece, merge), watermark, self.swept)
        whole = merge((*self.pieces, piece)).filter(pl.col(TIME) > watermark - forget)
        return Latest((whole,) if whole.height else (), watermark, watermark)


def initial(keys: Mapping[str, pl.DataType], values: Mapping[str, pl.DataType]) -> dict[str, pl.DataFrame]:
    """Give the frames before any row; `values` without the row's TIME."""
    return {
        "latest": pl.DataFrame(schema={**keys, CODE: pl.Int64(), TIME: pl.Int64(), **values}),
        "lengths": pl.DataFrame(schema=LENGTHS),
        "clock": pl.DataFrame([(BEGINNING, BEGINNING, HASH)], schema=CLOCK, orient="row"),
    }


def merge(pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merge pieces, oldest first, into one."""
    whole: pl.DataFrame = pl.concat(pieces).sort(CODE, maintain_order=True)
    return whole.unique(CODE, keep="last", maintain_order=True)


def last_of(rows: pl.DataFrame, slots: Ints, codes: Ints) -> pl.DataFrame:
    """Give the last row of each key as a piece. `slots`: each row's key, as index in `codes`."""
    order = stable_order(slots)
    sorted_ = slots[order]
    last = order[np.append(sorted_[1:] != sorted_[:-1], np.ones(min(1, order.size), dtype=np.bool_))]
    return taken(rows, last).with_columns(pl.Series(CODE, codes[slots[last]], dtype=pl.Int64)).sort(CODE)


def predecessors(slots: Ints) -> Ints:
    """Give for each row the place of the row of its key before it, -1 for the first."""
    order = stable_order(slots)
    before = np.full(slots.size, -1, dtype=np.int64)
    same = slots[order[1:]] == slots[order[:-1]]
    before[order[1:][same]] = order[:-1][same]
    return before
