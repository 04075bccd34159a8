"""Early copies of immediate rules: raised when an event arrives, not when the watermark has passed it (semantics 19).

They bypass outbox and commits, may be lost or doubled, and are replaced by the truth in every sink. A copy is
*confirmed* when the truth raises the same id; one whose cell the watermark has passed without that is counted as
unconfirmed: the event was one of differing copies, and another one stayed.

Only rules that read a stream as it comes have early copies; one whose entity is looked up in a table waits for the
truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from operators.alerting.immediate import ImmediateMachine, early_copies, no_cells
from operators.contract import Instant
from tocsin.model.alerts import TRANSITIONS
from tocsin.model.rows import HASH, ID, TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from operators.stage import Input, Stage
    from tocsin.compiler import Plan

PENDING: Mapping[str, pl.DataType] = {"alert_id": pl.String(), "rule": pl.String(), "until": pl.Int64()}
"""Copies that went out: their id, rule, and the last moment (ms) of their cell."""


@dataclass(slots=True)
class _Early:
    """One rule: the row-wise steps before its machine, the machine, the cells that were given."""

    stage: Stage
    item: Input
    machine: ImmediateMachine
    seen: pl.DataFrame

    def copies(self, rows: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Give the early copies of rows as they arrived."""
        rows, _ = self.item.prepare(rows)
        if self.item.reorder.numbered:
            rows = rows.with_columns(pl.format("{}#0", HASH).alias(ID))
        rows = rows.sort(TIME, ID)
        instant = Instant(0, tables={name: tables[name] for name in self.stage.tables})
        for operator in self.stage.chain[:-1]:
            rows = operator.step(rows, operator.initial(), instant).rows
        copies, self.seen = early_copies(rows, self.machine.spec, self.seen)
        return copies


@dataclass(slots=True)
class EarlyCopies:
    """The early copies of a plan's immediate rules, and which of them the truth still owes."""

    plan: Plan
    pending: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(PENDING)))
    _rules: Mapping[str, Sequence[_Early]] = field(init=False)

    def __post_init__(self) -> None:
        """Find the rules that read a stream directly."""
        found = list(_immediate(self.plan))
        self._rules = {name: [e for e in found if e.item.upstream == name] for name in self.plan.streams}

    def arrived(self, stream: str, rows: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Give the early copies, columns TRANSITIONS, of rows that a stream has just given."""
        parts = [pl.DataFrame(schema=TRANSITIONS)]
        for early in self._rules[stream]:
            copies = early.copies(rows, tables)
            parts.append(copies.select(list(TRANSITIONS)))
            cell = early.machine.spec.keep_ms or 1
            end = (pl.col("time") // cell + 1) * cell - 1
            self.pending = pl.concat([self.pending, copies.select("alert_id", "rule", end.alias("until"))])
        return pl.concat(parts)

    def decided(self, transitions: pl.DataFrame, watermark: int) -> dict[str, int]:
        """Take the truth up to a watermark; give how many copies it did not confirm, by rule."""
        if self.pending.is_empty():
            return {}
        owed = self.pending.join(transitions, on="alert_id", how="anti")
        passed = owed["until"] <= watermark
        self.pending = owed.filter(~passed)
        counted = owed.filter(passed).group_by("rule").len()
        return dict(counted.iter_rows())


def _immediate(plan: Plan) -> Iterator[_Early]:
    for stage in plan.stages:
        machine = stage.chain[-1] if stage.chain else None
        if isinstance(machine, ImmediateMachine) and stage.inputs[0].upstream in plan.streams:
            yield _Early(stage, stage.inputs[0], machine, no_cells(machine.spec))
