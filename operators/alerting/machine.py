"""The alert machine: rows with conditions become episodes, and these transitions (semantics 15-17).

What happens at one event time stands in `operators.alerting.latches`; this module brings state and rows to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.alerting.latches import NEVER, Evaluator, Latches
from operators.alerting.steps import CONTENT, Steps, memory_columns, numbered, steps
from operators.alerting.transitions import LOG, write
from operators.contract import Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.alerting.rule import MachineSpec
    from operators.alerting.transitions import Emission
    from operators.contract import Instant, State
    from tocsin.model.rows import Schema

EPISODES = "episodes"
_DUE = "__due"

_LATCHES: Mapping[str, pl.DataType] = {
    "held": pl.Int64(),
    "waiting": pl.Int64(),
    "started": pl.Int64(),
    "sequence": pl.Int64(),
    "changed": pl.Int64(),
    "told": pl.UInt64(),
    "seen": pl.Int64(),
}
"""What is kept of `Latches`, each in a column `__<name>`; its last row lies beside it in the row's own columns."""

_PER_LEVEL = ("pending", "support")
"""As above, a column `__<name>_<level>` for each level."""


@dataclass(frozen=True, slots=True)
class AlertMachine:
    """The operator of a rule on features.

    Rows need: the entity's columns, `__time`, `__id`, `__evidence` (made from the row itself if it is missing), the
    Boolean columns that the spec names, and `spec.read`. Gives rows of `transitions.LOG`, sorted by (time, id).

    State: `episodes`, one row per fingerprint with a held or pending level: so it ends with `expires` at the latest.
    """

    spec: MachineSpec
    name: str = "alerts"
    output: Schema = LOG

    def initial(self) -> State:
        """Give the state before any row."""
        return {EPISODES: pl.DataFrame(schema=memory_columns(self.spec) | self._latch_columns())}

    def _latch_columns(self) -> dict[str, pl.DataType]:
        once = {f"__{name}": dtype for name, dtype in _LATCHES.items()}
        names = [f"__{name}_{one.level.name.lower()}" for name in _PER_LEVEL for one in self.spec.levels]
        return once | dict.fromkeys(names, pl.Int64()) | {_DUE: pl.Int64()}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Take the rows up to the watermark; give what they and the ticks up to it say."""
        limit = instant.watermark if instant.until is None else instant.until
        known = state[EPISODES]
        taken = self._steps(rows, known)
        numbers = sorted({run.number for run in taken.runs} | set(_due_rows(known, limit)))
        if not numbers:
            return Step(self.output.empty(), state, _least_due(known))
        evaluator = Evaluator(self.spec, taken, known[CONTENT], limit)
        followed = dict(zip(numbers, self._load(known, numbers), strict=True))
        for run in taken.runs:
            evaluator.run(followed[run.number], run.first, run.last)
        for latches in followed.values():
            evaluator.ticks(latches, limit)
        source = _Source(taken.rows, known, tuple(memory_columns(self.spec)))
        log = self._write(evaluator.emissions, source)
        after = self._save(followed, evaluator, source)
        return Step(log, {EPISODES: after}, _least_due(after))

    def _steps(self, rows: pl.DataFrame, known: pl.DataFrame) -> Steps:
        found = numbered(rows, known, self.spec) if rows.height else rows
        if not found.height:
            return Steps(found, (), (), (), (), ())
        return steps(found, self.spec, min(self.spec.keep_ms or NEVER, self.spec.expires_ms))

    def _load(self, known: pl.DataFrame, numbers: Sequence[int]) -> list[Latches]:
        """Give the latches of the numbers, which ascend: from the state, and new ones for numbers behind it."""
        levels, old = len(self.spec.levels), [number for number in numbers if number < known.height]
        loaded = [Latches(levels) for _ in numbers]
        rows = known[old].select(list(self._latch_columns())).iter_rows()
        pending, support = len(_LATCHES), len(_LATCHES) + levels
        for latches, number, row in zip(loaded, old, rows, strict=False):
            latches.last = -1 - number
            for name, value in zip(_LATCHES, row, strict=False):
                setattr(latches, name, value)
            latches.pending, latches.support = list(row[pending:support]), list(row[support:-1])
        return loaded

    def _write(self, emissions: Sequence[Emission], source: _Source) -> pl.DataFrame:
        if not emissions:
            return self.output.empty()
        rows = source.take([emission.row for emission in emissions]).iter_rows(named=True)
        return write(self.spec, zip(emissions, rows, strict=True))

    def _save(self, followed: Mapping[int, Latches], evaluator: Evaluator, source: _Source) -> pl.DataFrame:
        """Give the episodes that were not followed in this call as they are, and the followed ones that go on."""
        untouched = np.ones(source.known.height, dtype=bool)
        untouched[[number for number in followed if number < source.known.height]] = False
        alive = [latches for latches in followed.values() if latches.held | latches.waiting]
        values = [[getattr(one, name) for one in alive] for name in _LATCHES]
        levels = range(len(self.spec.levels))
        values += [[getattr(one, name)[level] for one in alive] for name in _PER_LEVEL for level in levels]
        values.append([evaluator.due(one) for one in alive])
        columns = zip(self._latch_columns().items(), values, strict=True)
        latched = pl.DataFrame([pl.Series(name, column, dtype) for (name, dtype), column in columns])
        rows = source.take([latches.last for latches in alive])
        return pl.concat([source.known.filter(untouched), pl.concat([rows, latched], how="horizontal")])


@dataclass(frozen=True, slots=True)
class _Source:
    """Where rows that explain something are: steps of this call from 0, rows of the state as -1 - number."""

    rows: pl.DataFrame
    known: pl.DataFrame
    columns: tuple[str, ...]

    def take(self, numbers: Sequence[int]) -> pl.DataFrame:
        """Give the rows in the order asked for, duplicates too."""
        asked = pl.Series(numbers, dtype=pl.Int64)
        new, old = asked.filter(asked >= 0), -1 - asked.filter(asked < 0)
        parts = [frame.select(self.columns)[at] for frame, at in ((self.known, old), (self.rows, new)) if at.len()]
        if not parts:
            return self.known.select(self.columns).clear()
        # the old ones come first: put both back where they were asked for
        places = pl.concat([(asked < 0).arg_true(), (asked >= 0).arg_true()]).arg_sort()
        return pl.concat(parts)[places]


def _due_rows(known: pl.DataFrame, limit: int) -> list[int]:
    return known.select((pl.col(_DUE) <= limit).arg_true()).to_series().to_list()


def _least_due(episodes: pl.DataFrame) -> int | None:
    least = episodes[_DUE].min()
    return None if least is None else int(least)  # type: ignore[arg-type]  # Int64 column
