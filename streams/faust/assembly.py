"""Puts a worker together: plan, tables, tasks, sinks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.faust.hosting import Hosting
from streams.faust.skew import Skew
from streams.faust.telling import Telling
from streams.faust.topics import exchange_of
from streams.faust.unit import Unit
from streams.local.assembly import follow_tables
from streams.local.early import EarlyCopies
from streams.tasks.early import EarlyPath
from streams.tasks.following import Following
from streams.tasks.inputs import load_tables
from streams.tasks.intake import Intake
from streams.tasks.key_check import KeyCheck
from streams.tasks.layout import Layout, lay_out
from streams.tasks.making import Maker
from streams.tasks.source_task import SourceTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.dead_letters import TakesLetters
    from streams.faust.beside import Fail
    from streams.faust.order import Order
    from streams.faust.outlets import Outlets
    from streams.faust.wire import Wire
    from streams.local.tally import Tally
    from streams.pseudonyms import Pseudonyms
    from streams.tasks.task import Task
    from tocsin.compiler import Plan


def layout_of(plan: Plan, order: Order) -> Layout:
    """Say where each stage runs."""
    return lay_out(plan, order.partitions, order.shards)


def maker_of(order: Order, make: Maker) -> Callable[[Any], Task]:
    """Give what makes the task of a partition of a topic."""
    streams = {topic: stream for stream, topic in order.topics.items()}

    def of(tp: Any) -> Task:  # noqa: ANN401  # Faust's TP
        if tp.topic == exchange_of(order.group):
            return make.shard(tp.partition)
        return make.source(streams[tp.topic], tp.partition)

    return of


def batched(order: Order, layout: Layout) -> dict[str, int]:
    """Give the topics that tasks read, with their partitions: those of streams, and the exchange if there is one."""
    found = {order.topics[stream]: number for stream, number in order.partitions.items()}
    return found | ({exchange_of(order.group): order.shards} if layout.layers else {})


class Around(NamedTuple):
    """What a worker is given: the application, who takes dead letters, the sinks, who counts, what ends it."""

    wire: Wire
    letters: TakesLetters
    outlets: Outlets
    tally: Tally
    fail: Fail


def make_hosting(plan: Plan, order: Order, pseudonyms: Pseudonyms, around: Around) -> Hosting:
    """Read the tables, and make what hosts the tasks of a worker."""
    layout = layout_of(plan, order)
    tables, dead, ends = load_tables(plan, order.tables, order.topology.parent, pseudonyms)
    around.tally.begin(order.topics)
    keys = KeyCheck.of(layout)
    early = partial(EarlyCopies, plan) if order.early else None
    intake = Intake(around.tally, around.letters, keys, early)
    intake.put_aside(dead)
    followed = follow_tables(plan, order.tables, ends, replace(pseudonyms))
    keys_of = {name: table.key for name, table in plan.tables.items()}
    make, units = Maker(layout, tables, pseudonyms, order.until, around.tally.stepped), dict[Any, Unit]()
    ingests = {stream: make.ingest(stream) for stream in order.topics}

    def task_of(tp: Any) -> SourceTask | None:  # noqa: ANN401  # Faust's TP
        unit = units.get(tp)
        return unit.task if unit is not None and isinstance(unit.task, SourceTask) else None

    return Hosting(
        wire=around.wire,
        topics=frozenset(batched(order, layout)),
        tasks=layout.tasks,
        make=maker_of(order, make),
        intake=intake,
        outlets=around.outlets,
        following=Following(tables, keys_of, followed, intake.table_changed),
        skew=Skew(bool(layout.layers)),
        telling=Telling(around.tally, around.wire.seen),
        fail=around.fail,
        units=units,
        early=EarlyPath(task_of, ingests, intake, around.outlets.offer_early) if order.early else None,
        commit_seconds=order.commit_seconds,
    )
