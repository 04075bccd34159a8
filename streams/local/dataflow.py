"""A plan as a dataflow in one process: rows and watermarks in, rows of stages out; no files, no clock.

Each stage has one state per key bucket. Rows that arrive wait beside their stage until its watermark, the least of
those of all nodes that it reads, has moved; then the stage takes a step.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import polars as pl

from operators.contract import Instant, earliest
from operators.lookups import GONE, merge_versions
from operators.stage import own_part
from operators.windows.for_all import START, counting_from
from streams.local.stepping import Call, Taken, carried_out, levels
from streams.needs import needed_stages
from tocsin.model.keys import bucket_of, split
from tocsin.model.quality import QUALITY
from tocsin.model.rows import ID, TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from operators.stage import Input, Stage, StageState
    from tocsin.compiler import Plan

BEGINNING = -(1 << 62)
"""The watermark before anything was read."""
END = 1 << 62
"""The watermark of a bounded source that has been read to its end."""


class Plain(TypedDict):
    """The part of a snapshot that is no frame: watermarks per node, and per stage and bucket what is due."""

    watermarks: dict[str, int]
    dues: dict[str, list[int | None]]
    buckets: int


@dataclass(slots=True)
class Task:
    """One stage and one bucket: its state, what arrived since its last step, when it must be called at the latest."""

    state: StageState
    arrived: defaultdict[str, list[pl.DataFrame]] = field(default_factory=lambda: defaultdict(list))
    next_due: int | None = None


class Dataflow:
    """The stages of a plan, with their state.

    `buckets`: into how many parts the keys are spread; no result depends on it. `wanted`: names of stages whose rows
    are given back by `advance` and `close`; by default those of rules. `watch` is told of each step: stage, rows given,
    seconds.
    """

    def __init__(self, plan: Plan, *, buckets: int = 1, wanted: Iterable[str] | None = None) -> None:
        self.plan = plan
        self.buckets = buckets
        self.counts: Counter[tuple[str, str]] = Counter()
        self.watch: Callable[[str, int, float], None] | None = None
        self.tables: dict[str, pl.DataFrame] = {}
        self._wanted = set(wanted) if wanted is not None else {rule.stage for rule in plan.rules.values()}
        self._stages = needed_stages(plan, self._wanted)
        self._levels = levels(self._stages)
        self._clocked = clocked(self._stages)
        self._tasks = {s.name: [Task(s.initial()) for _ in range(buckets)] for s in self._stages}
        self._readers = _readers(self._stages)
        counted = [QUALITY] if self.counts_quality else []
        self._watermarks = dict.fromkeys([*plan.streams, *counted, *(s.name for s in self._stages)], BEGINNING)
        self._keys = {name: table.key for name, table in plan.tables.items()}

    @property
    def counts_quality(self) -> bool:
        """Whether a wanted stage depends on the built-in stream `quality`, whose rows the host has to bring."""
        return QUALITY in self._readers

    @property
    def streams(self) -> set[str]:
        """The streams that the wanted stages depend on; where their quality is judged, all of them."""
        return set(self.plan.streams) if self.counts_quality else set(self._readers) & set(self.plan.streams)

    @property
    def table_names(self) -> set[str]:
        """The tables that the wanted stages look up."""
        return {name for stage in self._stages for name in stage.tables}

    def change_table(self, name: str, versions: pl.DataFrame) -> None:
        """Take in versions of a table (operators/contract.py, `Instant.tables`)."""
        passed = min((self._watermarks[stage.name] for stage in self._stages), default=BEGINNING)
        table = self.tables.get(name, versions.clear())
        self.tables[name] = merge_versions(table, versions, self._keys[name], passed)

    def feed(self, node: str, rows: pl.DataFrame) -> None:
        """Give rows of a stream (or stage) to all stages that read it."""
        for stage, item in self._readers.get(node, ()):
            kept, nulls = item.prepare(rows)
            self.counts[stage.name, "null_keys"] += nulls
            for bucket, part in split(kept, stage.key, self.buckets).items():
                self._tasks[stage.name][bucket].arrived[item.name].append(part)

    def advance(self, watermarks: Mapping[str, int]) -> dict[str, pl.DataFrame]:
        """Move the watermarks of streams on, and give the rows of wanted stages that became final."""
        for name, watermark in watermarks.items():
            self._watermarks[name] = max(self._watermarks[name], watermark)
        return self._sweep()

    def close(self, until: int | None, clock: int | None = None) -> dict[str, pl.DataFrame]:
        """Take the closing step of a bounded run: windows in progress give their rows, timers stop at `until`.

        `clock`: the same for stages that read nothing but `quality`. None: there was nothing that could be closed.
        """
        ends = {stage.name: clock if stage.name in self._clocked else until for stage in self._stages}
        return self._sweep({name: end for name, end in ends.items() if end is not None})

    def count_from(self, clock: int) -> None:
        """Say since when (ms) quality is counted: a stream that is silent from then on is told of by `for_all`."""
        for stage in self._stages:
            if stage.name in self._clocked:
                for task in self._tasks[stage.name]:
                    count_from(stage, task, clock)

    def _sweep(self, closing: Mapping[str, int] | None = None) -> dict[str, pl.DataFrame]:
        """Step the stages in order; `closing`: the ends of those to be closed."""
        given: dict[str, pl.DataFrame] = {}
        for level in self._levels:
            calls = [call for stage in level for call in self._calls(stage, closing)]
            parts: dict[str, list[pl.DataFrame]] = {call.stage.name: [] for call in calls}
            for taken in carried_out(calls):
                self._account(taken)
                parts[taken.call.stage.name].append(taken.step.rows)
            for name, frames in parts.items():
                rows = _merge(frames)
                if rows is None:
                    continue
                self.feed(name, rows)
                if name in self._wanted:
                    given[name] = rows.sort(TIME, ID)  # an order that does not depend on where the stream was cut
        return {stage.name: given[stage.name] for stage in self._stages if stage.name in given}

    def _calls(self, stage: Stage, closing: Mapping[str, int] | None) -> list[Call]:
        """Give the calls that are due, and take what has arrived for them."""
        if closing is None:
            watermark = min(self._watermarks[item.upstream] for item in stage.inputs)
            if watermark <= self._watermarks[stage.name]:
                return []
            self._watermarks[stage.name] = watermark
            return [
                self._call(stage, bucket, Instant(watermark, tables=self._tables_of(stage, bucket)))
                for bucket, task in enumerate(self._tasks[stage.name])
                if task.arrived or (task.next_due is not None and task.next_due <= watermark)
            ]
        if stage.name not in closing:
            return []
        until = closing[stage.name]
        buckets = range(len(self._tasks[stage.name]))
        return [self._call(stage, at, Instant(until, until, self._tables_of(stage, at))) for at in buckets]

    def _call(self, stage: Stage, bucket: int, instant: Instant) -> Call:
        task = self._tasks[stage.name][bucket]
        arrived = dict(task.arrived)
        task.arrived.clear()
        return Call(stage, bucket, arrived, task.state, instant)

    def _account(self, taken: Taken) -> None:
        """Keep the new state, and count."""
        call, step = taken.call, taken.step
        name, task = call.stage.name, self._tasks[call.stage.name][call.bucket]
        task.state, task.next_due = step.state, step.next_due
        if self.watch is not None:
            self.watch(name, step.rows.height, taken.seconds)
        for what, number in step.counts.items():
            self.counts[name, what] += number
        for table, number in call.instant.missed.items():
            self.counts[table, "misses"] += number

    def _tables_of(self, stage: Stage, bucket: int) -> Mapping[str, pl.DataFrame]:
        own = {own_part(name): self._own_rows(name, key, bucket) for name, key in stage.own.items()}
        return {name: self.tables[name] for name in stage.tables} | own

    def _own_rows(self, table: str, key: Sequence[str], bucket: int) -> pl.DataFrame:
        """Give the rows of a table whose keys are in a bucket."""
        rows = self.tables[table]
        return rows if self.buckets == 1 else rows.filter(bucket_of(key, self.buckets) == bucket)

    def snapshot(self) -> tuple[dict[tuple[str, ...], pl.DataFrame], Plain]:
        """Give the state as named frames and plain data; only between two calls of `advance`."""
        frames: dict[tuple[str, ...], pl.DataFrame] = {("table", n): table for n, table in self.tables.items()}
        dues: dict[str, list[int | None]] = {}
        for name, tasks in self._tasks.items():
            dues[name] = [task.next_due for task in tasks]
            for bucket, task in enumerate(tasks):
                frames |= _frames(name, str(bucket), task)
        return frames, {"watermarks": dict(self._watermarks), "dues": dues, "buckets": self.buckets}

    def restore(self, frames: Mapping[tuple[str, ...], pl.DataFrame], plain: Plain) -> None:
        """Take a snapshot of the same plan and number of buckets back."""
        self._watermarks |= plain["watermarks"]
        states: defaultdict[tuple[str, int], dict[str, dict[str, pl.DataFrame]]] = defaultdict(dict)
        for path, frame in frames.items():
            match path:
                case ("table", name):
                    self.tables[name] = frame
                case ("arrived", stage, bucket, node):
                    self._tasks[stage][int(bucket)].arrived[node].append(frame)
                case ("state", stage, bucket, operator, name):
                    states[stage, int(bucket)].setdefault(operator, {})[name] = frame
        for stage_name, tasks in self._tasks.items():
            for number, task in enumerate(tasks):
                task.state = {**task.state, **states[stage_name, number]}
                task.next_due = plain["dues"][stage_name][number]


def _merge(parts: Sequence[pl.DataFrame]) -> pl.DataFrame | None:
    """Put the rows of all buckets together, in order of time; None if there are none."""
    full = [part for part in parts if part.height]
    if len(full) < 2:  # noqa: PLR2004  # several are two
        return full[0] if full else None
    return pl.concat(full).sort(TIME)


def _frames(stage: str, bucket: str, task: Task) -> dict[tuple[str, ...], pl.DataFrame]:
    """Name the frames of one task; what arrived and was not taken yet is part of the state."""
    frames: dict[tuple[str, ...], pl.DataFrame] = {
        ("state", stage, bucket, operator, name): frame
        for operator, frames in task.state.items()
        for name, frame in frames.items()
    }
    frames |= {("arrived", stage, bucket, node): pl.concat(parts) for node, parts in task.arrived.items() if parts}
    return frames


def judges_quality(plan: Plan, stage: str) -> bool:
    """Whether a stage depends on `quality`, so that its rows cannot be had again from the sources."""
    return any(item.upstream == QUALITY for needed in needed_stages(plan, {stage}) for item in needed.inputs)


def count_from(stage: Stage, task: Task, clock: int, *, anew: bool = True) -> None:
    """Say in the state of a stage that depends on `quality` since when (ms) that is counted.

    `anew`: also where something else was said before.
    """
    names = [operator.name for operator in stage.chain if START in operator.initial()]
    names = [name for name in names if anew or task.state[name][START].is_empty()]
    if names:
        task.state = {**task.state, **{name: counting_from(task.state[name], clock) for name in names}}
        task.next_due = earliest(task.next_due, clock)


def clocked(stages: Iterable[Stage]) -> set[str]:
    """Give the stages that depend on `quality` alone: their time is that of the clock."""
    found = {QUALITY}
    for stage in stages:
        if all(item.upstream in found for item in stage.inputs):
            found.add(stage.name)
    return found - {QUALITY}


def _readers(stages: Iterable[Stage]) -> dict[str, list[tuple[Stage, Input]]]:
    readers: defaultdict[str, list[tuple[Stage, Input]]] = defaultdict(list)
    for stage in stages:
        for item in stage.inputs:
            readers[item.upstream].append((stage, item))
    return readers


def empty_table(plan: Plan, name: str) -> pl.DataFrame:
    """Give a table without rows, as operators see it."""
    table = plan.tables[name]
    dtypes = {field: type_.physical for field, type_ in table.fields.items()}
    return pl.DataFrame(schema={**dtypes, TIME: pl.Int64(), GONE: pl.Boolean()})
