"""The operator of `sequence`.

Rows of one key come in order of (time, id), those of two streams with one id in that of their first steps. A row that
can be step n goes on with the latest earlier row that was step n - 1 of a chain which began at most `within` ago; so a
last step gives one match or none. Where the condition of a step reads earlier steps, it judges that latest chain; no
other one is tried.

A step that is `absent` must be missing. Between two steps: a row of it breaks the chain that it comes after. As the
first one: no row of it may come before the chain, within the time to its last step. As the last one: a chain that is
complete but for it waits until its first row's time + `within`, and gives its row then if no row of the absent step
came after it in that time.

| column | is |
|---|---|
| those of `by` | the key |
| `step.column` | all columns of the row that was this step; the absent one has none |
| `__time`, `__id` | of the last step; where that one is absent: when it was due, and the id of the step before |
| `__evidence` | one event per step, the last ones |

State is the latest chain per key and number of steps, and the chains that wait; both end with `within`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.contract import Step
from operators.grouping import taken
from operators.lookups import look_up
from operators.sequence import kept, waiting
from operators.sequence.chains import SINCE, START, Batch, Chains
from operators.sequence.line import Line
from operators.sequence.steps import STEP, StepSpec, evidence_item, evidence_of
from operators.sequence.waiting import ANSWER
from operators.trailing import keyring, latest
from operators.trailing.latest import BEGINNING, Latest
from tocsin.model.rows import EVIDENCE, EVIDENCE_ITEM, FEATURE_SYSTEM, ID, TIME, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence as Ordered

    from operators.contract import Instant, State
    from operators.expressions.bound import Lookup
    from operators.sequence.chains import Behind, LookUp
    from operators.sequence.line import Flags
    from operators.trailing.keyring import Ints
    from tocsin.model.types import Type

LEVEL = "__level"
ALL = "__all"
"""The key where there is none."""
WAITING = "waiting"


class _Walk(NamedTuple):
    """The chains up to each step that is there, and the places of rows of the one that must be missing."""

    chains: list[Chains]
    missing: Flags | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """The operator.

    `by`: the key, with its types. `steps`: in their order. `absent`: the number of the one that must be missing, or
    None. `within`: ms from the first step to the last. `tables`: the key fields of those that conditions look up.
    """

    name: str
    by: Mapping[str, Type]
    steps: tuple[StepSpec, ...]
    absent: int | None
    within: int
    tables: Mapping[str, tuple[str, ...]]
    output: Schema

    @property
    def present(self) -> list[StepSpec]:
        """The steps that a match has."""
        return [step for number, step in enumerate(self.steps) if number != self.absent]

    @property
    def levels(self) -> list[int]:
        """Which chains are kept: those of so many steps; 0: the last row that must not come before the first one."""
        return [*([0] if self.absent == 0 else []), *range(1, len(self.present))]

    @property
    def _waits(self) -> bool:
        return self.absent == len(self.steps) - 1

    @property
    def _key(self) -> list[str]:
        return list(self.by) or [ALL]

    def initial(self) -> State:
        """Give the state before any row."""
        keys = {name: type_.physical for name, type_ in self.by.items()} or {ALL: pl.Int32()}
        steps = {name: type_.physical for step in self.present[:-1] for name, type_ in step.named.items()}
        items = {step.item: EVIDENCE_ITEM for step in self.present[:-1]}
        values = {START: pl.Int64(), SINCE: pl.Int64(), **steps, **items}
        frames = latest.initial({**keys, LEVEL: pl.Int64()}, values)
        return {**frames, WAITING: self.output.empty()} if self._waits else frames

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Give the matches that rows complete, and of the chains that waited those whose time is up."""
        rows, known = self._prepared(rows), Latest.load(state)
        keys, slots = keyring.distinct(rows, self._key)
        asked = keys.join(pl.DataFrame({LEVEL: self.levels}, schema={LEVEL: pl.Int64}), how="cross")
        codes = keyring.find(asked, known.pieces).codes
        batch = self._batch(rows, Line.of(rows, slots, self._origins(rows)), known, codes, state)
        walk = self._walk(batch, instant)
        piece = kept.piece(self._newest(batch, walk), asked, codes, state["latest"])
        frames = known.plus(piece, instant.watermark, self.within).dump(state)
        if walk.missing is None or not self._waits:
            return Step(self._matches(batch, walk.chains[-1]), frames, None)
        fresh, answers = self._open(batch, walk.chains[-1], walk.missing), self._answers(batch, walk.missing)
        left = waiting.unanswered(state[WAITING], answers, list(self.by))
        due, rest, next_due = waiting.split(left, fresh, instant.watermark if instant.until is None else instant.until)
        return Step(due, {**frames, WAITING: rest}, next_due)

    def _prepared(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add the events that name the steps, and a key where there is none."""
        item = evidence_item(rows.columns)
        items = (pl.when(pl.col(STEP) == n).then(item).alias(step.item) for n, step in enumerate(self.steps))
        key = [] if self.by else [pl.lit(0, dtype=pl.Int32).alias(ALL)]
        return rows.with_columns(*items, *key)

    def _origins(self, rows: pl.DataFrame) -> Ints:
        """Give the number of the stream that each row is from: of its first step."""
        origins = [step.origin for step in self.steps]
        numbers = pl.Series([origins.index(origin) for origin in origins])
        return numbers.gather(rows.get_column(STEP)).to_numpy()

    def _batch(self, rows: pl.DataFrame, line: Line, known: Latest, codes: Ints, state: State) -> Batch:
        """Put what is known of the keys of a batch before its rows."""
        columns = [name for step in self.present[:-1] for name in step.kept]
        carried = known.look(codes, [START, SINCE, *columns], state)
        start, since = (carried.get_column(name).fill_null(BEGINNING).to_numpy() for name in (START, SINCE))
        pool = pl.concat([carried.select(columns), rows.select(columns)]) if columns else pl.DataFrame()
        return Batch(rows, line, pool, self.levels, start, since)

    def _walk(self, batch: Batch, instant: Instant) -> _Walk:
        """Go through the steps: which rows can be each, and which chains they go on with."""

        def looked_up(seen: pl.DataFrame, lookups: Ordered[Lookup]) -> pl.DataFrame:
            return look_up(seen, lookups, instant.tables, self.tables)

        can_be = {step.name: self._can_be(batch, number, looked_up) for number, step in enumerate(self.steps)}
        missing = None if self.absent is None else can_be[self.steps[self.absent].name]
        chains = [batch.begin(can_be[self.present[0].name], missing if self.absent == 0 else None)]
        for level, step in enumerate(self.present[1:], 1):
            behind = batch.behind(chains[-1], level)
            alive = batch.alive(behind, self.within)
            going_on = can_be[step.name] & alive
            if missing is not None and self.absent == level:
                missing = self._compared(batch, self.absent, missing & alive, behind, looked_up)
                going_on &= ~batch.broken(behind, missing)
            going_on = self._compared(batch, self.steps.index(step), going_on, behind, looked_up)
            chains.append(batch.go_on(behind, going_on))
        return _Walk(chains, missing)

    def _can_be(self, batch: Batch, number: int, looked_up: LookUp) -> Flags:
        """Say which places can be a step, as far as their own rows tell."""
        flags = batch.rows.get_column(STEP).to_numpy()[batch.line.row] == number
        step = self.steps[number]
        return flags if step.compares else batch.meets(step, flags, (), batch.nothing, looked_up)

    def _compared(self, batch: Batch, number: int, flags: Flags, behind: Behind, looked_up: LookUp) -> Flags:
        """Ask the condition of a step that reads the steps before it."""
        step = self.steps[number]
        if not step.compares:
            return flags
        return batch.meets(step, flags, self.present[: behind.refs.shape[1]], behind.refs, looked_up)

    def _newest(self, batch: Batch, walk: _Walk) -> list[pl.DataFrame]:
        """Give the chains that replace those that were known."""
        parts = [kept.forbidden(batch, walk.missing)] if walk.missing is not None and self.absent == 0 else []
        for level in range(1, len(self.present)):
            breaking = walk.missing if self.absent == level else None
            parts.append(kept.newest(batch, level, walk.chains[level - 1], self.present, breaking))
        return parts

    def _matches(self, batch: Batch, chains: Chains) -> pl.DataFrame:
        """Give the rows of the chains that are complete."""
        allowed = chains.flags & (batch.line.time - chains.since > self.within)
        return self._rows(batch, chains, batch.line.in_order(allowed))

    def _open(self, batch: Batch, chains: Chains, missing: Flags) -> pl.DataFrame:
        """Give the rows of the chains that wait for what must not come, with the time at which that is over."""
        due, at = chains.start + self.within, batch.line.after(missing)
        answered = (at >= 0) & (batch.line.time[at] <= due)
        places = batch.line.in_order(chains.flags & ~answered)
        return self._rows(batch, chains, places).with_columns(pl.Series(TIME, due[places], dtype=pl.Int64))

    def _answers(self, batch: Batch, missing: Flags) -> pl.DataFrame:
        """Give when the step that must not come came first, per key."""
        places = batch.line.first_of_each(missing)
        return taken(batch.rows.select(*self.by, pl.col(TIME).alias(ANSWER)), batch.line.row[places])

    def _rows(self, batch: Batch, chains: Chains, places: Ints) -> pl.DataFrame:
        """Give the rows of chains, as far as they have come."""
        *before, last = self.present
        rows = taken(batch.rows.select(*self.by, TIME, ID, *last.kept), batch.line.row[places])
        whole = rows.with_columns(batch.picked(before, chains.refs[places]))
        return self.output.conform(whole.with_columns(evidence_of(whole, self.present).alias(EVIDENCE)))


def sequence_operator(  # the words of the feature
    by: Mapping[str, Type],
    steps: Ordered[StepSpec],
    within: int,
    *,
    absent: int | None = None,
    tables: Mapping[str, tuple[str, ...]] | None = None,
) -> Sequence:
    """Make the operator; its output has the key, the columns of all steps but the absent one, and FEATURE_SYSTEM."""
    present = [step for number, step in enumerate(steps) if number != absent]
    columns = {**by, **{name: type_ for step in present for name, type_ in step.named.items()}}
    output = Schema(columns, FEATURE_SYSTEM)
    return Sequence("sequence", by, tuple(steps), absent, within, {} if tables is None else tables, output)
