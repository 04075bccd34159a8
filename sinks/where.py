"""`where` of a sink: which transitions it gets.

Once one transition of an alert passed, all its later ones do: a receiver that saw an alert raised must see it cleared,
although "level = red" is no longer true by then.

The memory of this is one frame of alert ids, bounded by clearing: a `cleared` transition takes its alert out, and
alerts of immediate rules, closed at birth, never enter. It belongs to a position of the log, so a host keeps it with
the sink's delivered position (`Progress`): transitions that are offered again then meet the memory that they met the
first time, and what a sink gets is a function of the log alone.

Early copies pass by the condition alone and leave no trace: they may be lost or doubled, and must not decide what else
a sink gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tocsin.model.alerts import CLOSED_AT_BIRTH, Transition

if TYPE_CHECKING:
    from collections.abc import Callable

PASSED_SCHEMA = {"alert_id": pl.String()}

_ROW = "__row"
_FIRST = "__first"
_HOLDS = "__holds"


class Passage(NamedTuple):
    """What a batch gives: the transitions that pass, and the open alerts that have passed so far (PASSED_SCHEMA)."""

    rows: pl.DataFrame
    passed: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Where:
    """A filter of one sink; `condition` gives a Boolean per transition of a batch of the log, null does not pass."""

    condition: pl.Expr | Callable[[pl.DataFrame], pl.Series]

    @staticmethod
    def nothing_passed() -> pl.DataFrame:
        """Give the memory before any transition."""
        return pl.DataFrame(schema=PASSED_SCHEMA)

    def through(self, batch: pl.DataFrame, passed: pl.DataFrame) -> Passage:
        """Let a batch through, its order kept."""
        truth = ~pl.col("early")
        known = pl.col("alert_id").is_in(passed["alert_id"].implode())
        holds = pl.col(_HOLDS).fill_null(value=False)
        first = pl.when(truth & (holds | known)).then(pl.col(_ROW)).min().over("alert_id")
        marked = batch.with_row_index(_ROW).with_columns(self._judged(batch)).with_columns(first.alias(_FIRST))
        rows = marked.filter((~truth & holds) | (truth & (pl.col(_ROW) >= pl.col(_FIRST))))
        return Passage(rows.drop(_ROW, _FIRST, _HOLDS), _remember(rows.filter(truth), passed))

    def _judged(self, batch: pl.DataFrame) -> pl.Series:
        by = self.condition
        judged = batch.select(holds=by).to_series() if isinstance(by, pl.Expr) else by(batch)
        return judged.alias(_HOLDS)


def _remember(rows: pl.DataFrame, passed: pl.DataFrame) -> pl.DataFrame:
    if rows.is_empty():
        return passed
    last = rows.unique("alert_id", keep="last", maintain_order=True)
    stays_open = (pl.col("kind") != Transition.CLEARED) & (pl.col("reason") != CLOSED_AT_BIRTH)
    kept = passed.join(last, on="alert_id", how="anti", maintain_order="left")
    return pl.concat([kept, last.filter(stays_open).select("alert_id")])
