"""How soon a Faust worker goes on with what another one had, when each has half of a million keys and one is killed."""

from __future__ import annotations

import asyncio
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

from bench.events import Load
from bench.kafka_cluster import PARTITIONS
from bench.kafka_topologies import on_topic
from bench.kafka_worker import COMMAND, notes_of
from bench.rows import Row
from bench.topologies import NEVER, standard
from streams.faust.running import Run, prepare
from tocsin.cli.files import load_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.context import Bench
    from bench.kafka_cluster import Cluster
    from bench.kafka_worker import Note

KEYS = 1_000_000
PER_KEY = 3
"""Events, so that nearly every key has one."""
MORE = 100_000
"""Events that wait for whoever takes over."""
TARGET_SECONDS = 15.0
PATIENCE_SECONDS = 900.0
ROOT = Path(__file__).parents[1]


class StuckError(Exception):
    """Workers did not get as far as they should have."""


@dataclass(slots=True)
class Pair:
    """Two workers. `folder`: where their notes are."""

    cluster: Cluster
    topic: str
    folder: Path
    group: str
    workers: list[subprocess.Popen[bytes]]

    def notes(self, number: int) -> list[Note]:
        """Give what a worker noted so far."""
        return notes_of(self.folder, number)

    def holds(self, number: int) -> set[int]:
        """Give the partitions that a worker was assigned last."""
        assigned = [note.partitions for note in self.notes(number) if note.what == "assigned"]
        return set(assigned[-1]) if assigned else set()

    @property
    def shared(self) -> bool:
        """Whether each has half."""
        mine, other = self.holds(0), self.holds(1)
        return len(mine) == len(other) == PARTITIONS // 2 and not mine & other

    @property
    def caught_up(self) -> bool:
        """Whether all that is in the topic is in a durable state."""
        consumer = Consumer({"bootstrap.servers": self.cluster.servers, "group.id": self.group})
        try:
            places = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
            ends = [consumer.get_watermark_offsets(place, 30.0)[1] for place in places]
            return [place.offset for place in consumer.committed(places, timeout=30.0)] == ends
        finally:
            consumer.close()

    def await_(self, done: Callable[[], bool], what: str) -> None:
        """Wait for a condition; StuckError if a worker ends before, or if it takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            for number, worker in enumerate(self.workers):
                if worker.poll() not in {None, -9}:
                    log = (self.folder / f"worker-{number}.log").read_text(encoding="utf-8")
                    raise StuckError(f"worker {number} ended with {worker.poll()}: {log[-2000:]}")
            if time.monotonic() > deadline:
                raise StuckError(f"not in {PATIENCE_SECONDS:.0f} s: {what}")
            time.sleep(0.2)


def rows(bench: Bench, cluster: Cluster) -> Iterator[Row]:
    """Give the time from the assignment to the first batch of a partition that the other worker had."""
    keys = bench.sized(KEYS)
    load = Load(keys * PER_KEY, keys=keys)
    topic = cluster.topic("keys")
    with _pair(bench, cluster, topic) as pair:
        pair.await_(lambda: pair.shared, "each worker has half of the partitions")
        cluster.fill(topic, load)
        pair.await_(lambda: pair.caught_up, "the workers have caught up")
        lost, known = pair.holds(1), len(pair.notes(0))
        killed = time.monotonic()
        pair.workers[1].kill()
        cluster.fill(topic, Load(MORE, keys=keys), shift=load.events * 1_000 // load.per_second)
        pair.await_(lambda: _first(pair, known, lost) is not None, "a partition goes on")
        assigned, taken = _first(pair, known, lost) or (killed, killed)
        note = f"{keys:,} keys, half of them taken over; {assigned - killed:.1f} s from the kill to the assignment"
        target = TARGET_SECONDS
        yield Row("Kafka, faust, takeover to first batch", taken - assigned, "s", target, most=True, note=note)
    cluster.remove(topic)


def _first(pair: Pair, known: int, lost: set[int]) -> tuple[float, float] | None:
    """Give when the first worker was assigned what the other one had, and took the first batch of it; None not yet."""
    new = pair.notes(0)[known:]
    assigned = next((note.at for note in new if note.what == "assigned" and lost & set(note.partitions)), None)
    taken = next((note.at for note in new if note.what == "taken" and lost & set(note.partitions)), None)
    return None if assigned is None or taken is None else (assigned, taken)


@contextmanager
def _pair(bench: Bench, cluster: Cluster, topic: str) -> Iterator[Pair]:
    """Start two workers without anybody who would start them again."""
    folder = bench.folder / "takeover"
    folder.mkdir()
    topology = folder / "topology.yaml"
    topology.write_text(on_topic(standard("tumbling 1h", NEVER), topic), encoding="utf-8")
    group = f"takeover-{topic}"
    source, sink = f"kafka://{cluster.servers}/{topic}", f"kafka://{cluster.servers}/{cluster.alerts()}"
    run = Run(load_plan(topology), topology, folder, {"payments": source}, [sink], group=group, workers=2, web=False)
    order = folder / "order.json"
    asyncio.run(prepare(run)).write(order)
    for number in range(2):
        (folder / f"notes-{number}.ndjson").touch()
    workers = [_worker(folder, order, number) for number in range(2)]
    try:
        yield Pair(cluster, topic, folder, group, workers)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _worker(folder: Path, order: Path, number: int) -> subprocess.Popen[bytes]:
    with (folder / f"worker-{number}.log").open("wb") as log:
        return subprocess.Popen([*COMMAND, str(order), str(number)], stderr=log, cwd=ROOT)  # noqa: S603  # our own module
