"""Subtasks of a job without Flink, their packs and packets cut anyhow, commits and crashes at any moment.

Alerts are those of a run over the same records as a file.
"""

from __future__ import annotations

import json
import random
from collections import deque
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from operators.alerting.canonical import canonical
from streams.flink import hosting
from streams.flink.ends import Ends
from streams.flink.hosting import Hosting, Packet, Raised
from streams.tasks.silence import Silence
from streams.tasks.source_task import SourceTask
from tests.streams.faust.shop_runs import TOPOLOGY, UNTIL, expected, records
from tests.streams.flink.subtasks import MapState, order_of, pack

if TYPE_CHECKING:
    from pathlib import Path

    from streams.flink.order import Order

pytestmark = pytest.mark.usefixtures("without_broker")
PARTITIONS, SHARDS, SUBTASKS = 3, 2, 2
END = UNTIL + 3_600_000
PATIENCE = 60.0
"""More (seconds) than any task waits until it settles."""


@dataclass
class Cut:
    """A checkpoint: states by Flink key, how much of each partition was read, how many transitions had left."""

    states: dict[int, MapState] = field(default_factory=dict)
    read: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    raised: list[pl.DataFrame] = field(default_factory=list)


class Cluster:
    """Subtasks, the channels between them, and the last checkpoint."""

    def __init__(self, order: Order, chance: random.Random) -> None:
        self.order, self.chance, self.now = order, chance, 1e9  # seconds, after those of any machine
        self.logs: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        for card, line in records():
            self.logs[sum(card.encode()) % PARTITIONS].append(line)
        for log in self.logs:
            log.append(json.dumps({"payment_id": "end", "at": END, "card": "0", "amount": "1"}).encode())
        self.last = Cut()
        self.begin()

    def begin(self) -> None:
        """Begin at the last checkpoint, with keys spread over the subtasks in any way."""
        cut = deepcopy(self.last)
        self.states, self.read, self.raised = cut.states, cut.read, cut.raised
        self.subtasks = [Hosting(self.order, lambda _: None, lambda: self.now) for _ in range(SUBTASKS)]
        self.place = {key: self.chance.choice(self.subtasks) for key in self.order.keys.values()}
        self.channel: deque[Packet] = deque()
        for key in self.order.keys.values():
            self.kept(key)

    def kept(self, key: int) -> hosting.Kept:
        return self.place[key].keeping.of(key, self.states.setdefault(key, MapState()))

    def fetch(self, partition: int) -> None:
        """Let a partition's task take a few records more."""
        begin = self.read[partition]
        values = self.logs[partition][begin : begin + self.chance.randint(1, 400)]
        if values:
            key, count = self.order.keys[f"payments/{partition}"], len(values)
            self.read[partition] += count
            stamps = np.full(count, END)
            self.place[key].take(self.kept(key), pack(values, np.arange(begin, begin + count), stamps, [None] * count))

    def deliver(self, most: int) -> None:
        """Let shards have packets."""
        for _ in range(min(most, len(self.channel))):
            packet = self.channel.popleft()
            self.place[packet.key].take(self.kept(packet.key), packet.data)

    def settle(self, key: int) -> None:
        """Let a task settle if it is due."""
        kept = self.kept(key)
        if self.place[key].due(kept):
            for leaving in self.place[key].settle(kept):
                if isinstance(leaving, Packet):
                    self.channel.append(leaving)
                elif isinstance(leaving, Raised):
                    self.raised.append(leaving.rows)

    def checkpoint(self) -> None:
        """Let barriers pass: what is on its way arrives before the state of who takes it is written."""
        self.deliver(len(self.channel))
        for subtask in self.subtasks:
            subtask.keeping.write(self.states.__getitem__)
        self.last = deepcopy(Cut(self.states, self.read, self.raised))

    def run(self) -> pl.DataFrame:
        """Do this and that until all is read, then let everything settle; give what is raised."""
        deeds = [self.fetch_any] * 6 + [self.settle_any] * 6 + [self.deliver_some] * 4 + [self.checkpoint, self.crash]
        crashes = 4
        while any(read < len(log) for read, log in zip(self.read, self.logs, strict=True)):
            deed = self.chance.choice(deeds)
            if deed == self.crash:
                crashes -= 1
                if crashes < 0:
                    continue
            deed()
            self.now += self.chance.choice((0.0, 0.05, 0.3, 2.0))
        while not all(self.kept(key).task.through for key in self.order.keys.values()):
            self.now += PATIENCE
            self.deliver(len(self.channel))
            for key in self.order.keys.values():
                self.settle(key)
        return canonical(pl.concat(self.raised))

    def fetch_any(self) -> None:
        self.fetch(self.chance.randrange(PARTITIONS))

    def settle_any(self) -> None:
        self.settle(self.chance.choice(list(self.order.keys.values())))

    def deliver_some(self) -> None:
        self.deliver(self.chance.randint(1, 20))

    def crash(self) -> None:
        self.begin()


def job(text: str, folder: Path) -> Order:
    order = order_of(text, folder, PARTITIONS, SHARDS)
    return replace(order, until=UNTIL, sinks=(f"ndjson:{folder / 'alerts.ndjson'}",))


@pytest.mark.parametrize("cut_by", ["    partitioned_by: card\n", ""])
@pytest.mark.parametrize("seed", range(3))
def test_alerts_are_those_of_a_plain_run(
    seed: int, cut_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "SETTLE_BYTES", 50_000)
    text = TOPOLOGY.replace("    partitioned_by: card\n", cut_by)
    text = text.replace("lateness: 10s", "lateness: 10m, skew: 1h")
    wanted = expected(tmp_path, text)
    given = Cluster(job(text, tmp_path), random.Random(seed)).run()  # noqa: S311  # a seed that is printed
    assert wanted.height > 100
    assert given.equals(wanted), given.join(wanted, on=given.columns, how="anti", nulls_equal=True)


def test_a_look_at_a_silent_partition_leaves_its_state_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(job(TOPOLOGY, tmp_path), random.Random(1))  # noqa: S311  # as above
    key = cluster.order.keys["payments/0"]
    cluster.fetch(0)
    cluster.checkpoint()
    cluster.now += PATIENCE
    cluster.settle(key)
    kept, subtask = cluster.kept(key), cluster.place[key]
    assert isinstance(kept.task, SourceTask)
    monkeypatch.setattr(Silence, "still", lambda *_: [(kept, kept.task)])
    monkeypatch.setattr(Silence, "idle", lambda *_: [(kept, kept.task)])
    monkeypatch.setattr(SourceTask, "idle", lambda *_: None)
    monkeypatch.setattr(Ends, "left", lambda *_: {})
    subtask.look(kept, 0)
    assert kept.dirty
