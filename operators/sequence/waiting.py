"""Chains that are complete but for a last step that must not come: they wait until it is certain that it did not.

Each waits as the row that it will give, whose time is when it gives it. The first row of the missing step that comes
after a chain and in time ends the waiting; of a key's chains kept from before it ends all that were not due yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.rows import ID, TIME, least_time

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER = "__answer"


def unanswered(waiting: pl.DataFrame, answers: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Leave out what was answered; `answers`: the ANSWER time of each key that has one, its first."""
    if waiting.is_empty() or answers.is_empty():
        return waiting
    if not by:
        return waiting.filter(pl.col(TIME) < answers.get_column(ANSWER).item())
    asked = waiting.join(answers, on=list(by), how="left", maintain_order="left")
    in_vain = pl.col(ANSWER).is_null() | (pl.col(ANSWER) > pl.col(TIME))
    return asked.filter(in_vain).drop(ANSWER)


def split(waiting: pl.DataFrame, fresh: pl.DataFrame, now: int) -> tuple[pl.DataFrame, pl.DataFrame, int | None]:
    """Give the rows that are due by now, in order, those that go on waiting, and when the first of these is due."""
    whole = waiting if fresh.is_empty() else pl.concat([waiting, fresh]).sort(TIME, ID, maintain_order=True)
    count = int(whole.get_column(TIME).search_sorted(now, side="right"))
    rest = whole.slice(count)
    return whole.head(count), rest, least_time(rest)
