"""The alert machine: rows with conditions become episodes, and these transitions (semantics 15-17).

What happens at one event time stands in `operators.alerting.latches`; this module brings state and rows to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.alerting.episodes import DUE, Source, empty_episodes, load, save
from operators.alerting.latches import Evaluator
from operators.alerting.quiet import carried_on, quiet_runs
from operators.alerting.steps import Reader, memory_columns, no_steps
from operators.alerting.transitions import LOG, Said, Writer, nothing_said
from operators.contract import Step

if TYPE_CHECKING:
    from operators.alerting.rule import MachineSpec
    from operators.alerting.steps import Array, Steps
    from operators.contract import Instant, State
    from tocsin.model.rows import Schema

EPISODES = "episodes"


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
    _reader: Reader = field(init=False, repr=False, compare=False)
    _writer: Writer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare what all calls share."""
        object.__setattr__(self, "_reader", Reader(self.spec))
        object.__setattr__(self, "_writer", Writer(self.spec))

    def initial(self) -> State:
        """Give the state before any row."""
        return {EPISODES: empty_episodes(self.spec)}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Take the rows up to the watermark; give what they and the ticks up to it say."""
        limit = instant.watermark if instant.until is None else instant.until
        known = state[EPISODES]
        due = np.flatnonzero(known.get_column(DUE).to_numpy() <= limit)
        taken = self._reader.read(rows, known)
        if taken is None and not due.size:
            return Step(nothing_said(), state, _least_due(known))
        said, after = self._take(taken or no_steps(known), known, due, limit)
        return Step(said, {EPISODES: after}, _least_due(after))

    def _take(self, taken: Steps, known: pl.DataFrame, due: Array, limit: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Give the transitions, and the episodes after the steps and the ticks."""
        quiet = quiet_runs(taken, known, self.spec, limit)
        loud = np.unique(np.concatenate([taken.runs.number[~quiet], due]))
        parts = [_without(known, loud, taken.runs.number[quiet])]
        said = nothing_said()
        if quiet.any():
            parts.append(carried_on(taken, quiet, known, self.spec))
        if loud.size:
            evaluator = Evaluator(self.spec, taken, known, limit)
            followed = load(known, loud.tolist(), self.spec)
            evaluator.follow(dict(zip(loud.tolist(), followed, strict=True)), ~quiet)
            source = Source(taken.rows, known, list(memory_columns(self.spec)))
            alive = [latches for latches in followed if latches.held | latches.waiting]
            if alive:
                parts.append(save(alive, [evaluator.due(latches) for latches in alive], source, self.spec))
            if evaluator.emissions:
                *columns, numbers = zip(*evaluator.emissions, strict=True)
                said = self._writer.write(Said(*columns), source.take(numbers))
        return said, pl.concat(parts) if len(parts) > 1 else parts[0]


def _without(episodes: pl.DataFrame, *gone: Array) -> pl.DataFrame:
    """Leave out rows; numbers behind the frame are those of new fingerprints."""
    stay = np.ones(episodes.height, dtype=np.bool_)
    for numbers in gone:
        stay[numbers[numbers < episodes.height]] = False
    return episodes if stay.all() else episodes[np.flatnonzero(stay)]


def _least_due(episodes: pl.DataFrame) -> int | None:
    least = episodes.get_column(DUE).min()
    return None if least is None else int(least)  # type: ignore[arg-type]  # Int64 column
