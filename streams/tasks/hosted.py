"""Some stages of a plan and one key bucket of each: rows and watermarks in, rows of stages out; no I/O, no clock."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from operators.contract import Instant
from operators.stage import own_part
from streams.local.dataflow import BEGINNING, END, Task, count_from
from tocsin.model.keys import bucket_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from operators.stage import Input, Stage

Given = list[tuple[str, pl.DataFrame]]
"""Rows of stages, in the order in which they became final."""
Frames = dict[tuple[str, ...], pl.DataFrame]


class Marks(msgspec.Struct):
    """How far stages are: watermarks, when each must be called again at the latest, which have closed.

    `since`: from when on (ms) `quality` is counted, for those that depend on it.
    """

    watermarks: dict[str, int] = msgspec.field(default_factory=dict)
    dues: dict[str, int | None] = msgspec.field(default_factory=dict)
    closed: list[str] = msgspec.field(default_factory=list)
    since: int = 0


@dataclass(slots=True)
class Hosted:
    """The stages of one task.

    `near`: the names of (stage, input) that read streams and stages of this task; others get theirs by `arrive`.
    `bucket`, `buckets`: which keys these are, for stages that need the rows of a table with their own keys. `clocked`:
    names of stages that go by the clock, not by event time: they close when what they read has, wherever that is.
    """

    stages: Sequence[Stage]
    near: Collection[tuple[str, str]]
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    bucket: int = 0
    buckets: int = 1
    clocked: Collection[str] = frozenset()
    marks: Marks = field(default_factory=Marks)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    watch: Callable[[str, int, float], None] | None = None
    _tasks: dict[str, Task] = field(init=False)
    _readers: dict[str, list[tuple[Stage, Input]]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin without any row."""
        self._tasks = {stage.name: Task(stage.initial()) for stage in self.stages}
        readers: defaultdict[str, list[tuple[Stage, Input]]] = defaultdict(list)
        for stage in self.stages:
            for item in stage.inputs:
                if (stage.name, item.name) in self.near:
                    readers[item.upstream].append((stage, item))
        self._readers = dict(readers)

    def feed(self, node: str, rows: pl.DataFrame) -> None:
        """Give rows of a stream or stage of this task to those who read it here."""
        for stage, item in self._readers.get(node, ()):
            kept, nulls = item.prepare(rows)
            self.counts[stage.name, "null_keys"] += nulls
            if kept.height:
                self.arrive(stage.name, item.name, kept)

    def arrive(self, stage: str, item: str, rows: pl.DataFrame) -> None:
        """Take prepared rows of this bucket; those for a stage that is not hosted any more are passed over."""
        if stage in self._tasks:
            self._tasks[stage].arrived[item].append(rows)

    def advance(
        self, watermarks: Mapping[str, int], closed: Collection[str] = frozenset(), until: int | None = None
    ) -> Given:
        """Go on to the watermarks of nodes that come from outside; close where all of `closed` are read, at `until`."""
        given: Given = []
        for stage in self.stages:
            for rows in self._steps(stage, watermarks, closed, until):
                if rows.height:
                    given.append((stage.name, rows))
                    self.feed(stage.name, rows)
        return given

    def count_from(self, since: int) -> None:
        """Say from when on (ms) `quality` is counted; what was said before counts if it is later."""
        if since > self.marks.since:
            self.marks.since = since
            for stage in self.stages:
                if stage.name in self.clocked:
                    count_from(stage, self._tasks[stage.name], since)

    def _steps(
        self, stage: Stage, watermarks: Mapping[str, int], closed: Collection[str], until: int | None
    ) -> Iterator[pl.DataFrame]:
        marks, task = self.marks, self._tasks[stage.name]
        if stage.name in marks.closed:
            return
        reached = min(self._reached(stage, item, watermarks) for item in stage.inputs)
        end = reached if until is None or stage.name in self.clocked else until
        reached = min(reached, end)
        if reached > marks.watermarks.get(stage.name, BEGINNING):
            if stage.name in self.clocked and stage.name not in marks.watermarks:
                count_from(stage, task, reached + 1, anew=False)
            marks.watermarks[stage.name] = reached
            if task.arrived or (task.next_due is not None and task.next_due <= reached):
                yield self._step(stage, task, Instant(reached, tables=self._tables_of(stage)))
        if until is not None and all(self._over(stage, item, closed) for item in stage.inputs):
            marks.closed.append(stage.name)
            yield self._step(stage, task, Instant(end, end, self._tables_of(stage)))

    def _reached(self, stage: Stage, item: Input, watermarks: Mapping[str, int]) -> int:
        known = watermarks
        if (stage.name, item.name) in self.near and item.upstream in self._tasks:
            known = self.marks.watermarks
        return known.get(item.upstream, BEGINNING)

    def _over(self, stage: Stage, item: Input, closed: Collection[str]) -> bool:
        if (stage.name, item.name) in self.near and item.upstream in self._tasks:
            return item.upstream in self.marks.closed
        return item.upstream in closed

    def _step(self, stage: Stage, task: Task, instant: Instant) -> pl.DataFrame:
        arrived = dict(task.arrived)
        task.arrived.clear()
        begun = perf_counter()
        step = stage.step(arrived, task.state, instant)
        task.state, task.next_due = step.state, step.next_due
        if self.watch is not None:
            self.watch(stage.name, step.rows.height, perf_counter() - begun)
        for what, number in step.counts.items():
            self.counts[stage.name, what] += number
        for table, number in instant.missed.items():
            self.counts[table, "misses"] += number
        return step.rows

    def _tables_of(self, stage: Stage) -> Mapping[str, pl.DataFrame]:
        own = {own_part(name): self._own(name, key) for name, key in stage.own.items()}
        return {name: self.tables[name] for name in stage.tables} | own

    def _own(self, table: str, key: Sequence[str]) -> pl.DataFrame:
        rows = self.tables[table]
        return rows if self.buckets == 1 else rows.filter(bucket_of(key, self.buckets) == self.bucket)

    @property
    def least(self) -> int:
        """The least watermark of the stages; END if there are none."""
        return min((self.marks.watermarks.get(stage.name, BEGINNING) for stage in self.stages), default=END)

    @property
    def through(self) -> bool:
        """Whether every stage has taken its closing step."""
        return len(self.marks.closed) == len(self.stages)

    def snapshot(self) -> tuple[Frames, Marks]:
        """Give the state as named frames and what is beside them; empty frames of the beginning are left out."""
        frames: Frames = {}
        for stage in self.stages:
            task = self._tasks[stage.name]
            self.marks.dues[stage.name] = task.next_due
            initial = stage.initial()
            for operator, named in task.state.items():
                for name, frame in named.items():
                    if frame.height or not _same(frame, initial[operator].get(name)):
                        frames["state", stage.name, operator, name] = frame
            for item, parts in task.arrived.items():
                if len(parts) > 1:
                    task.arrived[item] = [pl.concat(parts)]
                frames["arrived", stage.name, item] = task.arrived[item][0]
        return frames, self.marks

    def restore(self, frames: Iterable[tuple[tuple[str, ...], pl.DataFrame]], marks: Marks) -> None:
        """Take a snapshot back; of stages that are not hosted any more nothing is taken."""
        self.marks = marks
        marks.watermarks = {name: at for name, at in marks.watermarks.items() if name in self._tasks}
        marks.dues = {name: due for name, due in marks.dues.items() if name in self._tasks}
        marks.closed = [name for name in marks.closed if name in self._tasks]
        states: dict[str, dict[str, dict[str, pl.DataFrame]]] = {}
        for path, frame in frames:
            match path:
                case (_, stage, *_) if stage not in self._tasks:
                    continue
                case ("arrived", stage, item):
                    self._tasks[stage].arrived[item].append(frame)
                case ("state", stage, operator, name):
                    states.setdefault(stage, {}).setdefault(operator, {})[name] = frame
        for stage_name, named in states.items():
            task = self._tasks[stage_name]
            task.state = {operator: {**initial, **named.get(operator, {})} for operator, initial in task.state.items()}
        for stage_name, due in marks.dues.items():
            self._tasks[stage_name].next_due = due


def _same(frame: pl.DataFrame, initial: pl.DataFrame | None) -> bool:
    return initial is not None and frame.schema == initial.schema
