"""What a run counts: kept in commits, so that a run that was killed ends with the sums of one that was not.

The same numbers go to the metrics of the process as they grow; those begin anew with it.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from monitoring import registry
from monitoring.metrics import Metrics, NoMetrics
from streams.local.arrivals import Arrivals
from streams.local.dataflow import BEGINNING
from streams.local.feed import LATE
from tocsin.model.alerts import CLOSED_AT_BIRTH, Transition
from tocsin.model.rows import greatest_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from streams.local.feed import Read
    from streams.local.outbox import Outbox
    from streams.tables import TableRead
    from tocsin.compiler import Plan

DUPLICATES, NULL_KEYS, MISSES = "duplicates", "null_keys", "misses"
"""Names under which rows that stages dropped are counted, and look-ups that found no row."""
COPIES, UNCONFIRMED = "copies", "unconfirmed"
"""Names under which early copies are counted."""

Pairs = Counter[tuple[str, str]]


class StateSize(NamedTuple):
    """How large the state of a stage is; `bytes` and `keys` are estimates."""

    rows: int
    bytes: int
    keys: int


def process_of(plan: Plan, runtime: str) -> dict[registry.Process, str]:
    """Say which program and topology run."""
    return {"version": version("tocsin"), "runtime": runtime, "topology": plan.name, "topology_version": plan.version}


@dataclass(slots=True)
class Tally:
    """Counters of a run.

    `records`: (stream, "records") and (stream, "outside"). `aside`: (stream, reason). `stages`: (stage, DUPLICATES or
    NULL_KEYS) and (table, MISSES). `transitions`: (rule, kind). `early`: (rule, COPIES or UNCONFIRMED).

    `wall`: seconds since the epoch.
    """

    metrics: Metrics = field(default_factory=NoMetrics)
    wall: Callable[[], float] = time.time
    arrivals: Arrivals = field(default_factory=Arrivals)
    records: Pairs = field(default_factory=Counter)
    aside: Pairs = field(default_factory=Counter)
    stages: Pairs = field(default_factory=Counter)
    transitions: Pairs = field(default_factory=Counter)
    early: Pairs = field(default_factory=Counter)

    def begin(self, streams: Iterable[str]) -> None:
        """Count nothing of these yet: an empty stream is one that is told of, too. What a state holds came now."""
        self.arrivals.note(-(1 << 62), self.wall())
        self.records.update({(stream, kind): 0 for stream in sorted(streams) for kind in ("records", "outside")})

    def read(self, stream: str, read: Read, now: float) -> None:
        """Count a batch of records and what was put aside of it; `now` is the clock, in seconds since the epoch."""
        self.records[stream, "records"] += read.records
        self.records[stream, "outside"] += read.outside
        self.arrivals.note(greatest_time(read.rows), now)
        self.metrics.count(registry.RECORDS_READ.of({"stream": stream}), read.records)
        self.metrics.count(registry.RECORD_BYTES.of({"stream": stream}), read.size)
        self.metrics.count(registry.OUTSIDE.of({"stream": stream}), read.outside)
        for reason, number in Counter(read.aside.get_column("reason")).items():
            self.aside[stream, reason] += number
            if reason == LATE:
                self.metrics.count(registry.LATE_RECORDS.of({"stream": stream}), number)
            else:
                self.metrics.count(registry.DEAD_LETTERS.of({"stream": stream, "reason": reason}), number)

    def table_changed(self, table: str, read: TableRead) -> None:
        """Count what came of a table while the run went on, and what was put aside of it."""
        self.metrics.count(registry.TABLE_CHANGES.of({"table": table}), read.versions.height)
        for reason, number in read.dead.group_by("reason").len().iter_rows():
            self.aside[table, reason] += number
            self.metrics.count(registry.DEAD_LETTERS.of({"stream": table, "reason": reason}), number)

    def watermarks(self, watermarks: Mapping[str, int]) -> None:
        """Note how far each stream has been read, in ms of event time."""
        for stream, watermark in watermarks.items():
            if watermark > BEGINNING:
                self.metrics.gauge(registry.WATERMARK.of({"stream": stream}), watermark / 1000)
                self.metrics.gauge(registry.WATERMARK_LAG.of({"stream": stream}), self.wall() - watermark / 1000)

    def committed(self) -> None:
        """Note that a commit has become durable."""
        self.metrics.gauge(registry.COMMIT_TIME, self.wall())

    def stepped(self, stage: str, rows: int, seconds: float) -> None:
        """Note a step of a stage."""
        self.metrics.count(registry.STAGE_ROWS.of({"stage": stage}), rows)
        self.metrics.observe(registry.STEP_SECONDS.of({"stage": stage}), seconds)
        self.metrics.gauge(registry.HEARTBEAT.of({"stage": stage}), self.wall())

    def dropped(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Take the sums of what stages dropped and did not find since the run began, as the dataflow counts them."""
        known = {DUPLICATES: registry.DUPLICATES, NULL_KEYS: registry.NULL_KEYS}
        for (where, name), total in counts.items():
            grown = total - self.stages[where, name]
            if grown and name == MISSES:
                self.metrics.count(registry.LOOKUP_MISSES.of({"table": where}), grown)
            elif grown and name in known:
                self.metrics.count(known[name].of({"stage": where}), grown)
            self.stages[where, name] = total

    def log(self, transitions: pl.DataFrame) -> None:
        """Count transitions that were decided, and say how many episodes are open."""
        if transitions.is_empty():
            return
        self.decided(transitions)
        for rule in transitions.filter(pl.col("reason") != CLOSED_AT_BIRTH)["rule"].unique():
            opened = self.transitions[rule, Transition.RAISED] - self.transitions[rule, Transition.CLEARED]
            self.metrics.gauge(registry.OPEN_ALERTS.of({"rule": rule}), opened)

    def decided(self, transitions: pl.DataFrame) -> None:
        """Count transitions that were decided, at least one."""
        for rule, kind, number in transitions.group_by("rule", "kind").len().iter_rows():
            self.transitions[rule, kind] += number
            self.metrics.count(registry.TRANSITIONS.of({"rule": rule, "kind": kind}), number)
        self._since_arrival(transitions)

    def _since_arrival(self, alerts: pl.DataFrame) -> None:
        """Observe how long ago the event times of new alerts were reached."""
        now = self.wall()
        told = (alerts.get_column(name) for name in ("rule", "kind", "time"))
        raised = [(rule, time) for rule, kind, time in zip(*told, strict=True) if kind == Transition.RAISED]
        arrived = self.arrivals.of(time for _, time in raised)
        for (rule, at), number in Counter(zip((rule for rule, _ in raised), arrived, strict=True)).items():
            self.metrics.observe(registry.EVENT_TO_ALERT.of({"rule": rule}), max(0.0, now - at), number)

    def early_copies(self, copies: pl.DataFrame) -> None:
        """Count early copies that went out."""
        for rule, number in Counter(copies.get_column("rule")).items():
            self.early[rule, COPIES] += number
            self.metrics.count(registry.EARLY_COPIES.of({"rule": rule}), number)
        self._since_arrival(copies)

    def unconfirmed(self, counts: Mapping[str, int]) -> None:
        """Count early copies, by rule, that the truth did not confirm."""
        for rule, number in counts.items():
            self.early[rule, UNCONFIRMED] += number
            self.metrics.count(registry.EARLY_UNCONFIRMED.of({"rule": rule}), number)

    def outbox(self, outbox: Outbox) -> None:
        """Note how many transitions wait for sinks."""
        self.metrics.gauge(registry.OUTBOX_ROWS, outbox.end - outbox.start)

    def sizes(self, sizes: Mapping[str, StateSize]) -> None:
        """Note how large the state of each stage is."""
        for stage, size in sizes.items():
            label: dict[registry.Stage, str] = {"stage": stage}
            self.metrics.gauge(registry.STATE_ROWS.of(label), size.rows)
            self.metrics.gauge(registry.STATE_BYTES.of(label), size.bytes)
            self.metrics.gauge(registry.STATE_KEYS.of(label), size.keys)

    def as_meta(self) -> dict[str, list[tuple[str, str, int]]]:
        """Give the counters as JSON."""
        return {name: [(*key, number) for key, number in counter.items()] for name, counter in self._counters()}

    def resume(self, meta: Mapping[str, list[tuple[str, str, int]]]) -> None:
        """Go on with the counters of a commit."""
        for name, counter in self._counters():
            counter.update({(first, second): number for first, second, number in meta[name]})

    def _counters(self) -> list[tuple[str, Pairs]]:
        named = [(item.name, getattr(self, item.name)) for item in fields(self)]
        return [(name, value) for name, value in named if isinstance(value, Counter)]


def sizes_of(
    frames: Mapping[tuple[str, ...], pl.DataFrame], keys: Mapping[str, tuple[str, ...]]
) -> dict[str, StateSize]:
    """Measure the state of each stage, by the names of a snapshot's frames; `keys`: columns, by stage."""
    held: defaultdict[str, list[pl.DataFrame]] = defaultdict(list)
    for path, frame in frames.items():
        if path[0] == "state":
            held[path[1]].append(frame)
    return {
        stage: StateSize(
            sum(part.height for part in parts),
            sum(int(part.estimated_size()) for part in parts),
            _distinct(parts, keys.get(stage, ())),
        )
        for stage, parts in held.items()
    }


def _distinct(frames: Iterable[pl.DataFrame], key: tuple[str, ...]) -> int:
    """Give about how many keys there are in frames, of those that have its columns; what waits in the head counts."""
    hashes = [frame.select(key).hash_rows() for frame in frames if key and set(key) <= set(frame.columns)]
    if not hashes:
        return 0
    number: int = pl.concat(hashes).to_frame().select(pl.all().approx_n_unique()).item()
    return number
