"""A toy host that carries a plan over a bad network: many workers, and nothing arrives when or as often as it should.

Every stage has some buckets, each a **worker** of its own. Between workers travel **packets**: who sent it, its number
among the sender's packets, a watermark, rows for each receiver. An **inbox** is a log: what was read can be read again.
A worker keeps what it gives in its outbox until it has committed; if it dies, it goes on from its last commit, sends
what was in the outbox then once more, and reads the rest of its inbox again. Receivers pass over numbers they have
seen.

The order of everything is drawn from one seed (`Chaos`), so that a failure can be repeated.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import polars as pl

from operators.lookups import ALWAYS
from tocsin.model.rows import TIME

from .case import outcome_of
from .network import TABLE, Actor, Address, Heard, Memory, Packet, Parts
from .sources import Partition, TableFeed
from .worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.stage import Input, Stage
    from tocsin.compiler import Plan

    from .case import Case, Event, Outcome

SINK: Address = ("sink", 0)


@dataclass(frozen=True, slots=True)
class Chaos:
    """How bad it gets.

    `buckets`, `partitions`: at most so many per stage and stream. `straight`: workers take the closing step from where
    they are, not after a step up to the end.
    """

    seed: int = 0
    buckets: int = 1
    partitions: int = 1
    delays: bool = False
    resends: bool = False
    crashes: bool = False
    rewinds: bool = False
    wakeups: bool = False
    straight: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment: what all remember, and what is on the way."""

    memories: dict[Address, Memory]
    inboxes: dict[Address, list[Packet]]


@dataclass(slots=True)
class Host:
    """Carries out one case under one chaos."""

    case: Case
    plan: Plan
    chaos: Chaos
    random: Random = field(init=False)
    inboxes: defaultdict[Address, list[Packet]] = field(init=False)
    sources: list[Partition | TableFeed] = field(init=False)
    workers: dict[Address, Worker] = field(init=False)
    readers: defaultdict[str, list[tuple[Stage, int, Input]]] = field(init=False)
    buckets: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Set up workers and sources; nobody has read anything."""
        self.random = Random(self.chaos.seed)  # noqa: S311  # chaos, not secrets
        self.inboxes = defaultdict(list)
        self.buckets = {stage.name: self.random.randint(1, self.chaos.buckets) for stage in self.plan.stages}
        self.readers = defaultdict(list)
        for stage in self.plan.stages:
            for number, item in enumerate(stage.inputs):
                self.readers[item.upstream].append((stage, number, item))
        self.sources = [*self._partitions(), *self._table_feeds()]
        self.workers = {}
        for stage in self.plan.stages:
            for bucket in range(self.buckets[stage.name]):
                address, memory = (stage.name, bucket), self._first_memory(stage)
                worker = Worker(address=address, post=self.post, memory=memory, host=self, stage=stage)
                self.workers[worker.address] = worker
                worker.commit()

    def _partitions(self) -> list[Partition]:
        return [
            Partition(address=(name, number), post=self.post, host=self, stream=name, events=events)
            for name in self.plan.streams
            for number, events in enumerate(self._cut(name))
        ]

    def _cut(self, stream: str) -> list[list[Event]]:
        """Spread the records over partitions, in an order of arrival in which none is late."""
        lateness = self.plan.streams[stream].lateness
        arrives = {}
        events = self.case.events.get(stream, ())
        for number, event in enumerate(events):
            arrives[number] = (int(str(event["at"])) + self.random.randint(0, lateness), self.random.random())
        parts: list[list[Event]] = [[] for _ in range(self.random.randint(1, self.chaos.partitions))]
        for number in sorted(arrives, key=arrives.__getitem__):
            self.random.choice(parts).append(events[number])
        return parts

    def _table_feeds(self) -> list[TableFeed]:
        feeds = []
        for name in self.plan.tables:
            versions = self.case.versions(self.plan, name)
            later = versions.filter(pl.col(TIME) > ALWAYS)
            feeds.append(TableFeed(address=(TABLE + name, 0), post=self.post, host=self, table=name, versions=later))
        return feeds

    def _first_memory(self, stage: Stage) -> Memory:
        upstream = {item.upstream for item in stage.inputs} | {TABLE + name for name in stage.tables}
        stages = [(name, number) for name in upstream & set(self.buckets) for number in range(self.buckets[name])]
        sources = [source.address for source in self.sources if source.address[0] in upstream]
        tables = {name: self.case.versions(self.plan, name).filter(pl.col(TIME) == ALWAYS) for name in stage.tables}
        heard = {sender: Heard() for sender in (*stages, *sources)}
        return Memory(state=dict(stage.initial()), tables=tables, heard=heard)

    def post(self, packet: Packet) -> None:
        """Append a packet to the inboxes of all who listen to its sender."""
        self.inboxes[SINK].append(packet)
        for address, worker in self.workers.items():
            if packet.sender in worker.memory.heard:
                self.inboxes[address].append(packet)

    def spread(self, node: str, rows: pl.DataFrame) -> Parts:
        """Give the rows of a node to the workers that hold their keys; and to the sink as they are."""
        parts: Parts = {}
        if rows.height and node in self.buckets:
            parts[SINK] = {0: rows}
        for stage, number, item in self.readers[node]:
            kept, _ = item.prepare(rows)
            if not kept.height:
                continue
            for (bucket,), part in (
                kept.with_columns(self.bucket(stage, stage.key).alias("__bucket"))
                .partition_by("__bucket", as_dict=True, include_key=False)
                .items()
            ):
                parts.setdefault((stage.name, int(bucket)), {})[number] = part
        return parts

    def bucket(self, stage: Stage, key: Sequence[str]) -> pl.Expr:
        """Spread by a hash of this run's own, over columns that hold the stage's key: no result may depend on it."""
        if not key:
            return pl.lit(0)
        return (
            pl.struct(pl.col(column).alias(str(place)) for place, column in enumerate(key)).hash(self.chaos.seed)
            % self.buckets[stage.name]
        )

    @property
    def actors(self) -> list[Actor]:
        """All sources and workers."""
        return [*self.sources, *self.workers.values()]

    def run(self) -> Outcome:
        """Let everybody act, in any order, until all have closed."""
        snapshots, left = [self.snapshot()], 2 if self.chaos.rewinds else 0
        host = self
        while not host.over:
            host.round()
            if self.chaos.rewinds:
                snapshots.append(host.snapshot())
            if left and host.random.random() < 0.2:
                left -= 1
                host = host.reborn(host.random.choice(snapshots))
        return outcome_of(host.plan, host.received())

    @property
    def over(self) -> bool:
        """Whether all have taken the closing step, and said so."""
        return all(actor.memory.closed and not actor.memory.outbox for actor in self.actors)

    def round(self) -> None:
        """Let most act once."""
        actors = self.actors
        self.random.shuffle(actors)
        for actor in actors:
            self._act(actor)
        self._resend()

    def snapshot(self) -> Snapshot:
        """Give all that is in memories and on the way."""
        memories = {actor.address: actor.memory.copy() for actor in self.actors}
        return Snapshot(memories, {address: list(inbox) for address, inbox in self.inboxes.items()})

    def reborn(self, snapshot: Snapshot) -> Host:
        """Give a fresh host, with a plan that was bytes, that goes on from a snapshot in an order of its own."""
        fresh = Host(self.case, pickle.loads(pickle.dumps(self.plan)), self.chaos)  # noqa: S301  # our own bytes
        fresh.random = Random(self.random.random())  # noqa: S311  # chaos, not secrets
        fresh.inboxes.update({address: list(inbox) for address, inbox in snapshot.inboxes.items()})
        for actor in fresh.actors:
            actor.revive(snapshot.memories[actor.address])
        return fresh

    def _act(self, actor: Actor) -> None:
        if self.random.random() < 0.3:
            return
        actor.act()
        if not isinstance(actor, Worker):
            actor.commit()
            if self.chaos.crashes and self.random.random() < 0.1:
                actor.die()

    def _resend(self) -> None:
        if self.chaos.resends:
            for inbox in self.inboxes.values():
                if inbox and self.random.random() < 0.3:
                    inbox.append(self.random.choice(inbox))

    def received(self) -> list[tuple[str, pl.DataFrame]]:
        """Give what the sink got, each packet once."""
        seen: defaultdict[Address, int] = defaultdict(int)
        found = []
        for packet in self.inboxes[SINK]:
            if packet.number == seen[packet.sender]:
                seen[packet.sender] += 1
                found += [(packet.sender[0], rows) for rows in packet.parts.get(SINK, {}).values()]
        return found
