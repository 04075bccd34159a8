"""What a trailing operator keeps between two steps, as pieces, and as the frames of its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from operators.trailing import keyring, memory, timers
from operators.trailing.evidence import ITEM
from operators.trailing.keyring import CODE, HASH
from operators.trailing.pieces import LENGTHS, Pieces, cut, joined, lengths, pushed
from tocsin.model.rows import EVIDENCE_ITEM, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.contract import State
    from operators.trailing.timers import Timers

BEGINNING = -(2**62)
COMPACTIONS = 4
"""Everything kept is compacted so often per longest memory: about a quarter more than needed is kept."""
CLOCK = {"watermark": pl.Int64(), "compacted": pl.Int64(), "hash": pl.String()}


class Kept(NamedTuple):
    """The retained rows, their keys, timers of empty rows, and how far time has come."""

    rows: Pieces
    keys: Pieces
    timers: Pieces
    watermark: int
    compacted: int

    @staticmethod
    def load(state: State) -> Kept:
        """Take the pieces out of the frames of a state."""
        ends = state["lengths"]
        watermark, compacted, hashed = state["clock"].row(0)
        rows, keys, waiting = (cut(state[name], ends, name) for name in ("rows", "keys", "timers"))
        kept = Kept(rows, keys, waiting, watermark, compacted)
        return kept if hashed == HASH else kept.hashed_anew()

    def dump(self, empty: State) -> State:
        """Put the pieces into frames; `empty` gives those of a kind that has none."""
        clock = pl.DataFrame([(self.watermark, self.compacted, HASH)], schema=CLOCK, orient="row")
        return {
            "rows": joined(self.rows, empty["rows"].clear()),
            "keys": joined(self.keys, empty["keys"].clear()),
            "timers": joined(self.timers, empty["timers"].clear()),
            "lengths": lengths(rows=self.rows, keys=self.keys, timers=self.timers),
            "clock": clock,
        }

    def plus(  # one of each kind
        self, rows: pl.DataFrame, keys: pl.DataFrame, waiting: tuple[Pieces, Timers], watermark: int, horizon: int
    ) -> Kept:
        """Give this with a piece more of each; drop what no window can see, if that has not been done for a while."""
        rest, later = waiting
        if watermark - self.compacted < max(1, horizon // COMPACTIONS):
            return Kept(
                pushed(self.rows, rows, memory.merge),
                pushed(self.keys, keys, keyring.merge),
                pushed(rest, later.piece(), timers.merge),
                watermark,
                self.compacted,
            )
        left = memory.merge((*self.rows, rows), watermark - horizon)
        known = keyring.known_in(keyring.merge((*self.keys, keys)), left.get_column(CODE).to_numpy())
        alive = timers.alive((*rest, later.piece()), (left,))
        return Kept(_some(left), _some(known), _some(alive), watermark, watermark)

    def hashed_anew(self) -> Kept:
        """Give every key a code of this version's hash; keys are kept themselves, so nothing is lost."""
        if not self.keys:
            return self
        old = keyring.merge(self.keys)
        found = keyring.find(old.drop(CODE), ())
        known = old.get_column(CODE).to_numpy()
        rows = memory.merge(self.rows) if self.rows else None
        return self._replace(
            keys=(found.added,),
            rows=() if rows is None else (memory.recoded(rows, known, found.codes),),
            timers=tuple(_recoded(piece, known, found.codes) for piece in self.timers),
        )


def _some(piece: pl.DataFrame) -> Pieces:
    return (piece,) if piece.height else ()


def _recoded(piece: pl.DataFrame, known: keyring.Ints, codes: keyring.Ints) -> pl.DataFrame:
    at = np.searchsorted(known, piece.get_column(CODE).to_numpy())
    return piece.with_columns(pl.Series(CODE, codes[at], dtype=pl.Int64))


def initial(keys: Mapping[str, pl.DataType], stored: Mapping[str, pl.DataType]) -> State:
    """Give the state before any row, for key columns and kept columns of these types."""
    index = dict.fromkeys(memory.INDEX, pl.Int64())
    return {
        "rows": pl.DataFrame(schema={TIME: pl.Int64(), ITEM: EVIDENCE_ITEM, **stored, **index}),
        "keys": pl.DataFrame(schema={**keys, CODE: pl.Int64()}),
        "timers": timers.Timers.of().piece(),
        "lengths": pl.DataFrame(schema=LENGTHS),
        "clock": pl.DataFrame([(BEGINNING, BEGINNING, HASH)], schema=CLOCK, orient="row"),
    }
