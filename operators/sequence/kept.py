"""What is kept of chains between two calls: the latest of each key and number of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.grouping import taken
from operators.sequence.chains import SINCE, START
from operators.trailing.keyring import CODE
from operators.trailing.latest import BEGINNING
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.sequence.chains import Batch, Chains
    from operators.sequence.line import Flags
    from operators.sequence.steps import StepSpec
    from operators.trailing.keyring import Ints

ASKED = "__asked"
"""Which of the chains that were asked for it replaces: index of the key times levels, plus that of the level."""


def forbidden(batch: Batch, missing: Flags) -> pl.DataFrame:
    """Give the last rows that must not come before a first step, as chains of no step."""
    places = batch.line.last_of_each(missing)
    return _frame(batch, 0, places, batch.line.time[places], np.full(places.size, BEGINNING))


def newest(batch: Batch, level: int, chains: Chains, steps: Sequence[StepSpec], missing: Flags | None) -> pl.DataFrame:
    """Give the last chains of `level` steps; `missing`: rows that break the chains that they come after."""
    line = batch.line
    places = line.last_of_each(chains.flags)
    broken = _nothing()
    if missing is not None:
        places, broken = _unbroken(batch, places, line.last_of_each(missing))
        broken = broken[batch.start[line.key[broken] * len(batch.levels) + batch.levels.index(level)] > BEGINNING]
    columns = batch.picked(steps[:level], chains.refs[places])
    going_on = _frame(batch, level, places, chains.start[places], chains.since[places]).with_columns(columns)
    over = np.full(broken.size, BEGINNING)
    return pl.concat([going_on, _frame(batch, level, broken, over, over)], how="diagonal")


def piece(parts: Sequence[pl.DataFrame], asked: pl.DataFrame, codes: Ints, like: pl.DataFrame) -> pl.DataFrame:
    """Give the chains as a piece of `Latest`: sorted by code, with the columns of `like`."""
    found = [part for part in parts if part.height]
    if not found:
        return like.clear()
    whole: pl.DataFrame = pl.concat(found, how="diagonal")
    at = whole.get_column(ASKED).to_numpy()
    keyed = taken(asked.with_columns(pl.Series(CODE, codes, dtype=pl.Int64)), at).hstack(whole.drop(ASKED))
    missing = [pl.lit(None, dtype=like.schema[name]).alias(name) for name in like.columns if name not in keyed.columns]
    return keyed.with_columns(missing).select(like.columns).sort(CODE)


def _unbroken(batch: Batch, places: Ints, missing: Ints) -> tuple[Ints, Ints]:
    """Give the chains that no row breaks, and the rows that come after the last chain of their key."""
    line = batch.line
    last = np.full(line.key.max(initial=-1) + 1, -1)
    last[line.key[places]] = places
    after = missing[line.tie[missing] > last[line.key[missing]]]
    over = np.isin(line.key[places], line.key[after])
    return places[~over], after


def _frame(batch: Batch, level: int, places: Ints, start: Ints, since: Ints) -> pl.DataFrame:
    """Give the times of chains; that of the first row is also what their age is counted from."""
    at = batch.line.key[places] * len(batch.levels) + batch.levels.index(level)
    return pl.DataFrame({ASKED: at, TIME: start, START: start, SINCE: since})


def _nothing() -> Ints:
    return np.zeros(0, dtype=np.int64)
