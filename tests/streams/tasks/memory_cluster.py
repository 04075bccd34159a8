"""Tasks of the runtime without Faust and Kafka: logs are lists, a table is a dictionary, and workers die."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from streams.tasks import values
from streams.tasks.hosted import Hosted
from streams.tasks.layout import SHARD, Layout, lay_out, sender_of, streams_of
from streams.tasks.outgoing import Outgoing
from streams.tasks.shard_task import ShardTask
from streams.tasks.source_task import SourceTask
from streams.tasks.upstreams import Upstreams
from tests.adversarial.case import as_records, make_ingest, outcome_of
from tocsin.model.quality import MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    import polars as pl

    from streams.tasks.task import Task
    from tests.adversarial.case import Case, Event, Outcome
    from tocsin.compiler import Plan


@dataclass(slots=True)
class Member:
    """A task, who writes its state, and what left it."""

    task: Task
    keeper: values.Keeper
    sent: int = 0


@dataclass(slots=True)
class MemoryCluster:
    """A bounded run of a case.

    `by`: the field by which streams say they are partitioned, "" for none. `layered`: tasks send to later layers of
    shards only. `clock`: ms since the epoch; it does not leave a minute before all partitions have committed in it, so
    that none was passed over. `pause`: ms that pass at once in the third round, in which nobody reads.
    """

    case: Case
    plan: Plan
    random: Random
    shards: int = 1
    partitions: int = 1
    by: str = ""
    layered: bool = False
    clock: int = 0
    pause: int = 0
    exchange: list[list[bytes]] = field(init=False)
    logs: dict[str, list[Event]] = field(init=False)
    layout: Layout = field(init=False)
    tables: Mapping[str, pl.DataFrame] = field(init=False)
    stored: dict[str, dict[bytes, bytes]] = field(init=False)
    members: dict[str, Member] = field(init=False)
    given: dict[tuple[str, int], pl.DataFrame] = field(default_factory=dict)
    minutes: dict[str, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Cut streams into partitions, begin with an empty table."""
        if self.by:
            said = {name: replace(s, partitioned_by=(self.by,)) for name, s in self.plan.streams.items()}
            self.plan = replace(self.plan, streams=said)
        numbers = dict.fromkeys(streams_of(self.plan), self.partitions)
        self.layout = lay_out(self.plan, numbers, self.shards, layered=self.layered)
        self.exchange = [[] for _ in self.layout.slots]
        self.logs = {name: events for stream in numbers for name, events in self._cut(stream).items()}
        self.tables = {name: self.case.versions(self.plan, name) for name in self.plan.tables}
        self.stored = {name: {} for name in self.layout.tasks}
        self.members = {name: self._member(name) for name in sorted(self.layout.tasks)}

    def _cut(self, stream: str) -> dict[str, list[Event]]:
        lateness = self.plan.streams[stream].lateness
        events = list(self.case.events.get(stream, ()))
        arrives = [int(str(event["at"])) + self.random.randint(0, lateness) for event in events]
        parts: list[list[Event]] = [[] for _ in range(self.partitions)]
        for place in sorted(range(len(events)), key=arrives.__getitem__):
            key = hash(str(events[place].get(self.by))) if self.by else self.random.randint(0, 99)
            parts[key % self.partitions].append(events[place])
        return {sender_of(stream, number): part for number, part in enumerate(parts)}

    def _member(self, name: str) -> Member:
        """Be a new process: whatever the task knows is in the table."""
        node, _, at = name.rpartition("/")
        task = self._shard(name, int(at)) if node == SHARD else self._source(name, node, int(at))
        loaded = values.load(self.stored[name], int(at))
        owner = values.Owner(f"w{self.random.randint(0, 1 << 30)}", 0)
        keeper = values.Keeper(int(at), owner, stale=values.keys_of(self.stored[name], int(at)))
        if loaded is not None:
            task.resume(loaded)
            keeper.epoch = loaded.head.epoch + 1
        return Member(task, keeper)

    def _source(self, name: str, stream: str, partition: int) -> SourceTask:
        hosted = Hosted(self.layout.direct[stream], self.layout.near, self.tables)
        return SourceTask(
            name,
            self.layout,
            hosted,
            Outgoing(name, self.layout),
            stream=self.plan.streams[stream],
            ingest=make_ingest(self.plan, stream, partition),
            until=self.case.end,
        )

    def _shard(self, name: str, number: int) -> ShardTask:
        layer, bucket = divmod(number, self.shards)
        stages, near, clocked = self.layout.layers[layer], self.layout.near, self.layout.clocked
        hosted = Hosted(stages, near, self.tables, bucket, self.shards, clocked=clocked)
        upstreams = Upstreams(self.layout.senders(layer), self.plan.version, self.shards)
        return ShardTask(
            name, self.layout, hosted, Outgoing(name, self.layout), upstreams=upstreams, until=self.case.end
        )

    def run(self) -> Outcome:
        """Let everybody act, in any order, until all are through."""
        rounds = 0
        while not all(member.task.through and not member.task.outbox.chunks for member in self.members.values()):
            rounds += 1
            assert rounds < 2000, "the run does not come to an end"
            self._pass_time(rounds)
            for name in self.random.sample(sorted(self.members), len(self.members)):
                self._act(name)
        stages = {rule.stage: rule.name for rule in self.plan.rules.values()}
        outcome = outcome_of(self.plan, [(self._stage(rows), rows) for rows in self.given.values()])
        return {stage: outcome[stage] for stage in stages}

    def _pass_time(self, rounds: int) -> None:
        """Move the clock, at most to the end of the minute where somebody has still to commit in it."""
        before, last = self.clock, self.clock // MINUTE * MINUTE + MINUTE - 1
        self.clock += self.random.randint(0, MINUTE // 3)
        counting = [member.task for member in self.members.values() if isinstance(member.task, SourceTask)]
        if any(self.minutes.get(task.name) != last + 1 - MINUTE and not task.through for task in counting):
            self.clock = min(self.clock, last)
        if rounds == 3:
            self.clock = before + self.pause

    def _stage(self, rows: pl.DataFrame) -> str:
        return self.plan.rules[rows["rule"][0]].stage

    def _act(self, name: str) -> None:
        member, chance = self.members[name], self.random.random()
        self._take(member.task)
        if chance < 0.5:
            self._commit(name, member)
        elif chance < 0.6:
            self.members[name] = self._member(name)

    def _take(self, task: Task) -> None:
        most = self.random.randint(0, 8)
        if isinstance(task, ShardTask):
            log = self.exchange[int(task.name.rpartition("/")[2])]
            end = min(len(log), task.end + most)
            task.take(log[task.end : end], end)
            return
        assert isinstance(task, SourceTask)
        if task.minute_over(self.clock) and self.random.random() < 0.8:
            task.turn(self.clock)
        events = self.logs[task.name]
        end = min(len(events), task.end + most)
        if end > task.end:
            done, _ = task.take(as_records(events[task.end : end], task.end), end)
            assert not done.late.height, "a case has no late records"
        elif end == len(events):
            task.idle(self.case.end + task.stream.lateness + task.stream.idle + 1)

    def _commit(self, name: str, member: Member) -> None:
        """Write, then let out; now and then die in between."""
        task, stored = member.task, self.stored[name]
        task.outgoing.published(member.sent)
        if self.random.random() < 0.7:
            task.settle()
        frames, plain = task.frames(), msgspec.json.encode(task.plain())
        write = member.keeper.write(frames, plain)
        stored.update(write.values)
        if self.random.random() < 0.1:
            self.members[name] = self._member(name)
            return
        stored.update([write.head])
        if isinstance(task, SourceTask) and task.counting is not None:
            self.minutes[name] = task.counting.minute
        if self.random.random() < 0.1:
            self.members[name] = self._member(name)
            return
        for key in write.stale:
            stored.pop(key, None)
        self._let_out(name, member)

    def _layer(self, name: str) -> int:
        node, _, at = name.rpartition("/")
        return int(at) // self.shards if node == SHARD else -1

    def _let_out(self, name: str, member: Member) -> None:
        for serial, packets in member.task.outgoing.waiting:
            for slot, _, packet in packets.iter_rows():
                assert not self.layered or slot // self.shards > self._layer(name), "packets go in a circle"
                self.exchange[slot].append(packet)
            if self.random.random() < 0.8:
                member.sent = serial
            else:
                break
        for chunk in member.task.outbox.chunks:
            for (rule,), rows in chunk.rows.group_by("rule"):
                known = self.given.setdefault((f"{name} {rule}", chunk.start), rows)
                assert known.sort("alert_id", "sequence").equals(rows.sort("alert_id", "sequence"))
        member.task.outbox.trim(member.task.outbox.end)
