"""Early copies of immediate rules: raised when an event arrives, not when the watermark has passed it (semantics 19).

They bypass outbox and commits, may be lost or doubled, and are replaced by the truth in every sink. A copy is
*confirmed* when the truth raises the same id; one whose cell the watermark has passed without that is counted as
unconfirmed: the event was one of differing copies, and another one stayed.

Tables are asked as they are when the event arrives. All of them are read to their ends before the first event is
(`assembly.load_tables`), so that no copy goes out against a table that has not caught up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import polars as pl

from operators.alerting.immediate import ImmediateMachine
from operators.contract import Instant
from tocsin.model.alerts import TRANSITIONS
from tocsin.model.rows import HASH, ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from operators.alerting.immediate import Cells
    from operators.stage import Stage
    from tocsin.compiler import Plan

PENDING: Mapping[str, pl.DataType] = {"alert_id": pl.String(), "rule": pl.String(), "until": pl.Int64()}
"""Copies that went out: their id, rule, and the last moment (ms) of their cell."""


_NO_COPIES = pl.DataFrame(schema=TRANSITIONS)


@dataclass(slots=True)
class _Early:
    """One rule: its stage, that which looks up its entity before (if it needs a table), the cells that were given."""

    stages: tuple[Stage, ...]
    machine: ImmediateMachine
    seen: Cells = field(default_factory=dict)

    @property
    def stream(self) -> str:
        """The stream that the rule reads."""
        return self.stages[0].inputs[0].upstream

    def copies(self, rows: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Give the early copies of rows as they arrived."""
        for stage in self.stages:
            rows = _row_by_row(stage, rows, tables)
        return self.machine.early_copies(rows, self.seen)


@dataclass(slots=True)
class EarlyCopies:
    """The early copies of a plan's immediate rules, and which of them the truth still owes.

    Copies of one stream are asked for on one thread, which may be another than that which decides.
    """

    plan: Plan
    pending: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(PENDING)))
    _rules: Mapping[str, Sequence[_Early]] = field(init=False)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        """Find the immediate rules."""
        found = list(_immediate(self.plan))
        self._rules = {name: [early for early in found if early.stream == name] for name in self.plan.streams}

    def arrived(self, stream: str, rows: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Give the early copies, columns TRANSITIONS, of rows that a stream has just given."""
        parts = []
        for early in self._rules[stream]:
            copies = early.copies(rows, tables)
            if not copies.height:
                continue
            parts.append(copies[list(TRANSITIONS)])
            until = pl.Series("until", early.machine.last_moments(copies.get_column("time").to_numpy()))
            with self._lock:
                out = copies[["alert_id", "rule"]].hstack([until])
                self.pending = out if self.pending.is_empty() else self.pending.vstack(out)
        if len(parts) > 1:
            return pl.concat(parts)
        return parts[0] if parts else _NO_COPIES

    def decided(self, transitions: pl.DataFrame, watermark: int) -> dict[str, int]:
        """Take the truth up to a watermark; give how many copies it did not confirm, by rule."""
        with self._lock:
            if self.pending.is_empty():
                return {}
            owed = self.pending
            if transitions.height:
                owed = owed.filter(~owed.get_column("alert_id").is_in(transitions.get_column("alert_id")))
            passed = owed.get_column("until") <= watermark
            self.pending = owed.filter(~passed) if passed.any() else owed
        return dict(Counter(owed.get_column("rule").filter(passed)))


def _immediate(plan: Plan) -> Iterator[_Early]:
    stages = {stage.name: stage for stage in plan.stages}
    for stage in plan.stages:
        machine = stage.chain[-1] if stage.chain else None
        if isinstance(machine, ImmediateMachine):
            before = stages.get(stage.inputs[0].upstream)
            yield _Early((stage,) if before is None else (before, stage), machine)


def _row_by_row(stage: Stage, rows: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Send rows through a stage, but neither through its head, which waits, nor through its machine."""
    item = stage.inputs[0]
    rows, _ = item.prepare(rows)
    if item.reorder.numbered:
        rows = rows.with_columns(pl.concat_str(HASH, pl.lit("#0")).alias(ID))
    instant = Instant(0, tables={name: tables[name] for name in stage.tables})
    for operator in stage.chain:
        if not isinstance(operator, ImmediateMachine):
            rows = operator.step(rows, operator.initial(), instant).rows
    return rows
