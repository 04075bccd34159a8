"""From rows to the steps of the machine, in columns: most rows end here, before any Python looks at them.

A row matters only if one of its conditions holds, or if the machine already follows its fingerprint. Rows of one
fingerprint and time are folded into one **step**; equal steps in sequence make a **run**, in which only the first, the
last and those that a timer or an `updated` meets have to be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from tocsin.model.rows import EVIDENCE, EVIDENCE_DTYPE, ID, POSITION, TIME

if TYPE_CHECKING:
    from operators.alerting.rule import MachineSpec

NUMBER = "__number"
CONTENT = "__content"

LEVEL_BITS = 0b1111
FALSE_SHIFT, RESET_SHIFT = 4, 8
TRUSTED, FILLED = 1 << 12, 1 << 13

_MASK = "__mask"
_AT = "__at"
_ALL = "__all"  # key of a rule without entity: one fingerprint for everything
_WEIGHT = "__weight"


Array = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Runs(NamedTuple):
    """Equal steps of one fingerprint in sequence: its number, the first and the last step."""

    number: Array
    first: Array
    last: Array


class Steps(NamedTuple):
    """Steps sorted by (fingerprint's number, time), and what their rows say.

    Per step: `times`; `masks`: bits of the levels whose `when` is true (0-3), false and at no row true (4-7), that may
    fall (8-11), a row with `unless` true (12), a row that is not empty (13); `contents`: a hash of what is explained.
    `rows`: the row that speaks for each step: the one with the highest level true; of equals the last one.
    `changes`: the steps whose content is not that of the step
    before; ends with a number behind all steps.
    """

    rows: pl.DataFrame
    times: Array
    masks: Array
    contents: npt.NDArray[np.uint64]
    runs: Runs
    changes: Array


def no_steps(known: pl.DataFrame) -> Steps:
    """Give the steps of a call without rows that matter; `known`: the episodes, for the columns."""
    none = np.empty(0, dtype=np.int64)
    return Steps(known.clear(), none, none, none.astype(np.uint64), Runs(none, none, none), none)


def memory_columns(spec: MachineSpec) -> dict[str, pl.DataType]:
    """Give the columns, with Polars types, of rows that the machine keeps to explain later transitions."""
    system = {TIME: pl.Int64(), ID: pl.String(), EVIDENCE: EVIDENCE_DTYPE, CONTENT: pl.UInt64()}
    return {**system, **{name: kind.physical for name, kind in spec.read.items()}}


class Reader:
    """Finds the rows of a rule that matter, and folds them into steps; what all calls share is made once, here."""

    def __init__(self, spec: MachineSpec) -> None:
        """Prepare the expressions."""
        self._whens = tuple(level.when for level in spec.levels)
        self._keys = list(spec.entity) or [_ALL]
        self._holds = pl.any_horizontal(self._whens) & ~_trusted(spec)
        self._marks = (_content(spec), _mask(spec))
        keep = spec.expires_ms if spec.keep_ms is None else spec.keep_ms
        self._widest_gap = min(keep, spec.expires_ms)

    def read(self, rows: pl.DataFrame, known: pl.DataFrame) -> Steps | None:
        """Give the steps of the rows that matter, None if there are none.

        Args:
            rows: the batch, sorted by (time, id).
            known: the fingerprints that are followed already, one per row; they are numbered so, new ones follow.

        """
        if not rows.height or not (known.height or any(rows.get_column(when).any() for when in self._whens)):
            return None
        found = self._numbered(rows, known)
        return self._steps(found) if found.height else None

    def _numbered(self, rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
        """Give the rows that matter with the NUMBER of their fingerprint, sorted by it and then as before."""
        keys = self._keys
        if keys == [_ALL]:
            rows, known = (frame.with_columns(pl.lit(0, pl.Int8).alias(_ALL)) for frame in (rows, known))
        fresh = rows.filter(self._holds)[keys]
        active = pl.concat([known[keys], fresh]).unique(maintain_order=True) if fresh.height else known[keys]
        found = (
            rows[keys]
            .with_row_index(_AT)
            .join(active.with_row_index(NUMBER), on=keys, how="inner", nulls_equal=True)
            .sort(NUMBER, _AT)
        )
        return rows[found[_AT]].hstack([found[NUMBER]])

    def _steps(self, rows: pl.DataFrame) -> Steps:
        """Fold numbered rows into steps and runs; no two steps of a run lie further apart than the shortest timer."""
        rows = with_evidence(rows).with_columns(self._marks)
        folded = _fold(rows[[NUMBER, TIME, ID, _MASK, CONTENT]])
        number, times, masks = (folded[name].cast(pl.Int64).to_numpy() for name in (NUMBER, TIME, _MASK))
        masks = _settled(masks)
        contents = folded[CONTENT].to_numpy()
        other = _differs(number)
        begins = other | _differs(masks) | np.concatenate([[True], np.diff(times) > self._widest_gap])
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(times)) - 1
        changes = np.append(np.flatnonzero(other | _differs(contents)), len(times))
        speaking = rows[folded[_AT]] if _AT in folded.columns else rows
        return Steps(speaking, times, masks, contents, Runs(number[first], first, last), changes)


def _trusted(spec: MachineSpec) -> pl.Expr:
    return pl.col(spec.unless).fill_null(value=False) if spec.unless else pl.lit(value=False)


def _differs(values: npt.NDArray[np.generic]) -> Mask:
    return np.concatenate([[True], values[1:] != values[:-1]])


def with_evidence(rows: pl.DataFrame) -> pl.DataFrame:
    """Give rows of a stream their evidence, which is themselves."""
    if EVIDENCE in rows.columns:
        return rows
    return rows.with_columns(_PLACED if POSITION in rows.columns else _UNPLACED)


def _themselves(position: pl.Expr) -> pl.Expr:
    item = pl.struct(pl.col(ID).alias("id"), position.alias("position"))
    return pl.concat_list(item).cast(EVIDENCE_DTYPE).alias(EVIDENCE)


_PLACED, _UNPLACED = _themselves(pl.col(POSITION)), _themselves(pl.lit(None, pl.Int64))


def _content(spec: MachineSpec) -> pl.Expr:
    return pl.struct(*spec.watched, EVIDENCE).hash().alias(CONTENT)


def _mask(spec: MachineSpec) -> pl.Expr:
    trusted = _trusted(spec)
    total = pl.when(trusted).then(TRUSTED).otherwise(0).cast(pl.Int32)
    filled = pl.col(spec.empty).not_().fill_null(value=True) if spec.empty else pl.lit(value=True)
    total += filled.cast(pl.Int32) * FILLED
    for bit, level in enumerate(spec.levels):
        when = pl.col(level.when)
        false = ~when.fill_null(value=True) | trusted
        reset = false if level.reset is None else pl.col(level.reset).fill_null(value=False) | trusted
        total += (when.fill_null(value=False) & ~trusted).cast(pl.Int32) * (1 << bit)
        total += false.cast(pl.Int32) * (1 << bit + FALSE_SHIFT) + reset.cast(pl.Int32) * (1 << bit + RESET_SHIFT)
    return total.alias(_MASK)


def _fold(rows: pl.DataFrame) -> pl.DataFrame:
    """Make one row of those of one fingerprint and time; _AT: the row that speaks, if it is not each for itself."""
    number, times = rows[NUMBER].to_numpy(), rows[TIME].to_numpy()
    if not ((number[1:] == number[:-1]) & (times[1:] == times[:-1])).any():
        return rows
    true, false = pl.col(_MASK) & LEVEL_BITS, pl.col(_MASK) & LEVEL_BITS << FALSE_SHIFT
    return (
        rows.lazy()
        .with_row_index(_AT)
        .with_columns((true * (1 << RESET_SHIFT) + false).alias(_WEIGHT))
        .sort(NUMBER, TIME, _WEIGHT, ID, CONTENT, maintain_order=True)
        .group_by(NUMBER, TIME, maintain_order=True)
        .agg(pl.col(_AT, CONTENT).last(), pl.col(_MASK).bitwise_or())
        .collect()
    )


def _settled(masks: Array) -> Array:
    """Leave no level both true and false, or falling: one that holds at one row is neither."""
    return masks & ~((masks & LEVEL_BITS) * ((1 << FALSE_SHIFT) + (1 << RESET_SHIFT)))
