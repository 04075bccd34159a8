"""A keyed stage: what a host runs. Inputs are put in order, combined, and sent through a chain of operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.contract import State, earliest
from tocsin.model.rows import ID, TIME, Schema, least_time

if TYPE_CHECKING:
    from operators.align import Align
    from operators.contract import Instant, Operator
    from operators.dedup import Dedup
    from operators.expressions.bound import Bound
    from operators.reorder import Reorder

StageState = Mapping[str, State]
"""The state of each operator by its name, those of inputs too; the rows that wait are under HEAD, by input."""

HEAD = "head"
PROBE = "__probe"


def own_part(table: str) -> str:
    """Name what a bucket sees of a table where it may see its own keys only (`Stage.own`)."""
    return f"{table}>own"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a stage: which node it reads, and what is done to rows on their way to the key's bucket.

    `key`: expressions (without look-ups) that give the stage's key columns. `counted_null`: rows with a null in the key
    are dropped and counted under this name. `probe`: these rows ask (`at:`), the others answer. `dedup`: drops copies
    whose times differ, where the stream says so. `step`: of a sequence, whose rows these are.
    """

    upstream: str
    reorder: Reorder
    key: tuple[tuple[str, Bound], ...] = ()
    probe: bool | None = None
    dedup: Dedup | None = None
    step: str = ""

    @property
    def name(self) -> str:
        """Tell the inputs of a stage apart: a node may be asked about at its own rows, and be several steps."""
        if self.step:
            return f"{self.upstream} as {self.step}"
        return f"{self.upstream} asks" if self.probe else self.upstream

    def prepare(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """Give the rows with the stage's key columns and only the columns it keeps; and how many had a null key."""
        made = [bound.expr.alias(name) for name, bound in self.key if not _is(bound, name)]
        if made:
            rows = rows.with_columns(made)
        if self.probe is not None:
            rows = rows.with_columns(pl.lit(self.probe).alias(PROBE))
        kept = rows[self._columns()]
        if not any(kept.get_column(name).null_count() for name in self.reorder.key):
            return kept, 0
        whole = kept.drop_nulls(self.reorder.key)
        return whole, kept.height - whole.height

    def _columns(self) -> list[str]:
        probe = [PROBE] if self.probe is not None else []
        return [*self.reorder.schema.physical, *probe]

    def empty(self) -> pl.DataFrame:
        """Give a batch of no rows, as `prepare` gives them."""
        schema: dict[str, pl.DataType] = dict(self.reorder.schema.physical)
        if self.probe is not None:
            schema[PROBE] = pl.Boolean()
        return pl.DataFrame(schema=schema)


def _is(bound: Bound, name: str) -> bool:
    """Whether an expression is a column as it stands, of this name."""
    return bound.expr.meta.is_column() and bound.expr.meta.output_name() == name


class StageStep(NamedTuple):
    """What a call of a stage gives; `counts` are numbers for metrics (duplicates)."""

    rows: pl.DataFrame
    state: StageState
    next_due: int | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stage:
    """Inputs, how they become one, and the chain.

    `name`: "feature pace", "rule wangiri". `key`: names of the key columns. `tables`: those that it looks up. `own`:
    tables of which every bucket needs the rows with its own keys beside, under the name `own_part`: the columns of each
    that are the stage's key, in its order (`for_all`).
    """

    name: str
    key: tuple[str, ...]
    inputs: tuple[Input, ...]
    chain: tuple[Operator, ...]
    output: Schema
    tables: tuple[str, ...] = ()
    align: Align | None = None
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def initial(self) -> StageState:
        """Give the state before any row."""
        head = {item.name: item.empty() for item in self.inputs}
        dedups = (dedup for _, dedup in self._dedups())
        return {HEAD: head} | {operator.name: operator.initial() for operator in (*dedups, *self.chain)}

    def step(self, arrived: Mapping[str, Sequence[pl.DataFrame]], state: StageState, instant: Instant) -> StageStep:
        """Take what arrived at each input (prepared) and the watermark; give the rows that have become final."""
        counts: Counter[str] = Counter()
        new_state: dict[str, State] = {}
        sides, new_state[HEAD], due = self._release(arrived, state[HEAD], instant, counts)
        for number, dedup in self._dedups():
            once = dedup.step(sides[number], state[dedup.name], instant)
            counts["duplicates"] += sides[number].height - once.rows.height
            sides[number], new_state[dedup.name] = once.rows, once.state
        rows = self._combine(sides)
        for operator in self.chain:
            rows, new_state[operator.name], operator_due = operator.step(rows, state[operator.name], instant)
            due = earliest(due, operator_due)
        return StageStep(rows, new_state, due, counts)

    def _dedups(self) -> list[tuple[int, Dedup]]:
        """Give the inputs, by number, whose streams have a horizon of copies."""
        return [(number, item.dedup) for number, item in enumerate(self.inputs) if item.dedup is not None]

    def _release(
        self, arrived: Mapping[str, Sequence[pl.DataFrame]], head: State, instant: Instant, counts: Counter[str]
    ) -> tuple[list[pl.DataFrame], State, int | None]:
        """Give the rows of each input that are due, those that wait, and when the next of them are due."""
        watermark = None if instant.closing else instant.watermark
        sides: list[pl.DataFrame] = []
        waiting: dict[str, pl.DataFrame] = {}
        for item in self.inputs:
            released = item.reorder.step(arrived.get(item.name, ()), head[item.name], watermark)
            sides.append(released.rows)
            waiting[item.name] = released.waiting
            counts["duplicates"] += released.duplicates
        dues = (least_time(rows) for rows in waiting.values())
        return sides, waiting, earliest(*dues)

    def _combine(self, sides: Sequence[pl.DataFrame]) -> pl.DataFrame:
        if self.align is not None:
            return self.align.join(sides)
        if len(sides) == 1:
            return sides[0]
        return pl.concat(sides, how="diagonal").sort(TIME, ID, maintain_order=True)
