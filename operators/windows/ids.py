"""Ids of events in partials as numbers, where all of them are a prefix and digits: 4 or 8 bytes for 16 and the text.

Three ids per key and pane are most of what a count and a sum keep (`docs/decisions/0018-partials-are-small.md`). A
state has one form for all of its ids, chosen from the first one; where an id does not fit, all become texts again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from operators.windows import digits
from operators.windows.items import BACK, HAS, IDS

FORM = {"prefix": pl.String()}


@dataclass(frozen=True, slots=True)
class Texts:
    """Ids as they are."""

    @staticmethod
    def numbers(ids: pl.Series) -> pl.Series:
        """Give the ids."""
        return ids

    @staticmethod
    def texts(ids: pl.Series) -> pl.Series:
        """Give the ids."""
        return ids


@dataclass(frozen=True, slots=True)
class Numbers:
    """Ids that are `prefix` and some digits."""

    prefix: str

    def numbers(self, ids: pl.Series) -> pl.Series | None:
        """Give the numbers (`digits.codes`, Int64); None if an id is something else."""
        found = None if ids.null_count() else digits.codes(ids, self.prefix)
        return None if found is None else pl.Series(ids.name, found, dtype=pl.Int64)

    def texts(self, numbers: pl.Series) -> pl.Series:
        """Give the ids of numbers; of null, which counts nowhere, anything."""
        whole = numbers.fill_null(0) if numbers.null_count() else numbers
        return digits.texts(whole.cast(pl.Int64).to_numpy(), self.prefix).alias(numbers.name)


Form = Texts | Numbers
TEXTS = Texts()


def load(frame: pl.DataFrame) -> Form | None:
    """Read the form of the ids of a state; None: nothing has come yet."""
    if frame.is_empty():
        return None
    prefix = frame.item()
    return TEXTS if prefix is None else Numbers(prefix)


def dump(form: Form | None) -> pl.DataFrame:
    """Write it for a state."""
    rows = [] if form is None else [form.prefix if isinstance(form, Numbers) else None]
    return pl.DataFrame({"prefix": rows}, schema=FORM)


def form_of(run: pl.DataFrame) -> Form:
    """Guess the form of ids from the first one of a run."""
    first = run.get_column(IDS[-1]).drop_nulls().head(1).to_list()
    stem = first[0].rstrip("0123456789") if first else ""
    return Numbers(stem) if first and stem != first[0] else TEXTS


def coded(run: pl.DataFrame, form: Form) -> pl.DataFrame | None:
    """Give partials with ids in a form; None if one does not fit. Only ids that count are looked at."""
    if form is TEXTS:
        return run
    has = run.get_column(HAS).to_numpy()
    columns: list[pl.Series] = []
    for name, back in zip(IDS, BACK, strict=True):
        there = np.flatnonzero(has >= back)
        if not there.size:
            columns.append(pl.Series(name, [0], dtype=pl.Int8).new_from_index(0, has.size))
            continue
        column = run.get_column(name)
        numbers = form.numbers(column if there.size == has.size else column.gather(there))
        if numbers is None:
            return None
        spread = np.zeros(has.size, dtype=np.int64)
        spread[there] = numbers.to_numpy()
        columns.append(pl.Series(name, spread))
    return run.with_columns(columns)


def decoded(run: pl.DataFrame, form: Form) -> pl.DataFrame:
    """Give partials with ids as texts."""
    return run.with_columns(form.texts(run.get_column(name)).alias(name) for name in IDS)
