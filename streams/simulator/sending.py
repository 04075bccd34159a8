"""A simulation as it would come live: to the topics of a topology, in the order of arrival over all streams.

No record is sent before it has arrived by the clock: where event times begin now, the city runs in real time; those of
the past come as fast as the rate allows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tocsin.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from streams.kafka.writer import TopicWriter
    from streams.simulator.simulation import Simulation
    from tocsin.compiler import Plan

CHUNK = 20_000
"""Records sent at once, at most."""
TICK = 0.01
"""Seconds between looks at the clock, while there is nothing to send."""


@dataclass(frozen=True, slots=True)
class Target:
    """The topic of a stream or table, and the fields whose values are the key of its messages; none for no key."""

    topic: str
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: `rate` records a second over all streams, None for as many as the brokers take.

    `clock`: ms since the epoch; `stopwatch`: seconds.
    """

    rate: float | None = None
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    stopwatch: Callable[[], float] = time.monotonic


def targets(plan: Plan, simulation: Simulation, prefix: str = "") -> dict[str, Target]:
    """Give the topics of what a simulation holds, by stream and table; tables without a topic are left out.

    SinkError: the topology does not have such a stream, or has it without a topic or not as JSON, or is partitioned by
    what no record has.
    """
    found = {}
    for name, rows in simulation.streams.items():
        stream = plan.streams.get(name)
        if stream is None or not stream.topic:
            raise SinkError(f"{plan.name} has no stream {name} with a topic; the simulation has records of it")
        _refuse_other_formats(name, stream.format)
        absent = [field for field in stream.partitioned_by if field not in rows.columns]
        if absent:
            raise SinkError(f"{name} is partitioned by {', '.join(absent)}, which its records do not have")
        found[name] = Target(prefix + stream.topic, stream.partitioned_by)
    for name in simulation.tables:
        table = plan.tables.get(name)
        if table is not None and table.topic:
            _refuse_other_formats(name, table.format)
            found[name] = Target(prefix + table.topic, table.key)
    return found


def send(
    simulation: Simulation,
    to: Mapping[str, Target],
    writer: TopicWriter,
    pace: Pace | None = None,
    watch: Callable[[int], None] = lambda _: None,
) -> int:
    """Write tables, then streams, and wait until all is confirmed; gives the number of records of streams.

    Rows of tables are stamped with the beginning of event times, so that the first events find them already.
    `watch` is told how many were sent, again and again. SinkError: a topic is not there, or brokers refuse.
    """
    pace = pace or Pace()
    writer.require([target.topic for target in to.values()])
    for name, rows in simulation.tables.items():
        if name in to:
            for part in rows.iter_slices(CHUNK):
                _put(writer, to[name], part, min(simulation.begin, pace.clock()))
    writer.settle()
    sent = 0
    for parts in _slices(simulation, writer, pace):
        for name, part in parts:
            _put(writer, to[name], part)
            sent += part.height
        writer.wait(0)
        watch(sent)
    writer.settle()
    return sent


def key_texts(rows: pl.DataFrame, key: Sequence[str]) -> list[str | None]:
    """Give the keys of messages: one field as its text, several as a JSON array of texts; none where a part is null."""
    parts = [pl.col(name).cast(pl.String) for name in key]
    if len(parts) == 1:
        return rows.select(parts[0]).to_series().to_list()
    texts = ['"' + part.str.replace_all(r'(["\\])', r"\$1") + '"' for part in parts]
    return rows.select("[" + pl.concat_str(texts, separator=",") + "]").to_series().to_list()


def _slices(simulation: Simulation, writer: TopicWriter, pace: Pace) -> Iterator[list[tuple[str, pl.DataFrame]]]:
    """Give what may be sent by now, as slices of streams; waits while that is nothing."""
    names = list(simulation.streams)
    arrivals = np.concatenate([simulation.arrivals[name].to_numpy() for name in names])
    of_stream = np.repeat(np.arange(len(names)), [simulation.streams[name].height for name in names])
    order = np.argsort(arrivals, kind="stable")
    arrivals, of_stream = arrivals[order], of_stream[order]
    at, began, done = np.zeros(len(names), dtype=np.int64), pace.stopwatch(), 0
    while done < len(order):
        arrived = int(np.searchsorted(arrivals, pace.clock(), side="right"))
        allowed = len(order) if pace.rate is None else int(pace.rate * (pace.stopwatch() - began)) + 1
        upto = min(arrived, allowed, done + CHUNK)
        if upto < done + CHUNK:
            writer.wait(TICK)
        if upto <= done:
            continue
        counts = np.bincount(of_stream[done:upto], minlength=len(names))
        yield [
            (name, simulation.streams[name].slice(int(first), int(count)))
            for name, first, count in zip(names, at, counts, strict=True)
            if count
        ]
        at, done = at + counts, upto


def _put(writer: TopicWriter, target: Target, rows: pl.DataFrame, stamp: int | None = None) -> None:
    values = rows.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
    keys = key_texts(rows, target.key) if target.key else None
    if stamp is None:
        writer.put(target.topic, values, keys)
    else:
        writer.put(target.topic, values, keys, stamp=stamp)


def _refuse_other_formats(name: str, form: str) -> None:
    if form not in {"json", "ndjson"}:
        raise SinkError(f"{name} is {form} in the topology, and simulations are sent as JSON")
