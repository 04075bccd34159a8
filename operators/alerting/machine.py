"""The alert machine: rows with conditions become episodes, and these transitions (semantics 15-17).

What happens at one event time stands in `operators.alerting.latches`; this module brings state and rows to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from operators.alerting.episodes import DUE, Source, empty_episodes, load, save
from operators.alerting.latches import NEVER, Evaluator
from operators.alerting.quiet import carried_on, quiet_runs
from operators.alerting.steps import memory_columns, no_steps, numbered, steps
from operators.alerting.transitions import LOG, Said, Writer
from operators.contract import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from operators.alerting.latches import Emission
    from operators.alerting.rule import MachineSpec
    from operators.alerting.steps import Steps
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
    _writer: Writer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare what all calls share."""
        object.__setattr__(self, "_writer", Writer(self.spec))

    def initial(self) -> State:
        """Give the state before any row."""
        return {EPISODES: empty_episodes(self.spec)}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Take the rows up to the watermark; give what they and the ticks up to it say."""
        limit = instant.watermark if instant.until is None else instant.until
        known = state[EPISODES]
        taken = self._steps(rows, known)
        due = known.select((pl.col(DUE) <= limit).arg_true()).to_series().to_list()
        if not (due or taken.times.size):
            return Step(self.output.empty(), state, _least_due(known))
        quiet = quiet_runs(taken, known, self.spec, limit)
        evaluator = Evaluator(self.spec, taken, known, limit)
        loud = sorted({*taken.runs.number[~quiet].tolist(), *due})
        followed = load(known, loud, self.spec)
        evaluator.follow(dict(zip(loud, followed, strict=True)), ~quiet)
        source = Source(taken.rows, known, tuple(memory_columns(self.spec)))
        alive = [latches for latches in followed if latches.held | latches.waiting]
        moved = {*loud, *taken.runs.number[quiet].tolist()}
        parts = [
            _without(known, moved),
            carried_on(taken, quiet, known, self.spec),
            save(alive, [evaluator.due(latches) for latches in alive], source, self.spec),
        ]
        after = pl.concat(parts)
        return Step(self._write(evaluator.emissions, source), {EPISODES: after}, _least_due(after))

    def _steps(self, rows: pl.DataFrame, known: pl.DataFrame) -> Steps:
        found = numbered(rows, known, self.spec) if rows.height else rows
        if not found.height:
            return no_steps(self.spec)
        return steps(found, self.spec, min(self.spec.keep_ms or NEVER, self.spec.expires_ms))

    def _write(self, emissions: Sequence[Emission], source: Source) -> pl.DataFrame:
        if not emissions:
            return self.output.empty()
        *said, rows = zip(*emissions, strict=True)
        return self._writer.write(Said(*said), source.take(rows))


def _without(episodes: pl.DataFrame, numbers: Iterable[int]) -> pl.DataFrame:
    """Leave out rows; numbers behind the frame are those of new fingerprints."""
    gone = pl.Series([number for number in numbers if number < episodes.height], dtype=pl.UInt32)
    return episodes.with_row_index("__at").filter(~pl.col("__at").is_in(gone.implode())).drop("__at")


def _least_due(episodes: pl.DataFrame) -> int | None:
    least = episodes[DUE].min()
    return None if least is None else int(least)  # type: ignore[arg-type]  # Int64 column
