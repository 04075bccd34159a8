"""What the subtasks of a job tell of themselves: all that each has recorded, every few seconds, on the topic of words.

A thread tells it: a subtask that waits for a sink, for minutes, lets nothing out by Flink, and goes on telling.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Self

import msgspec

from monitoring import registry
from monitoring.snapshots import Snapshot
from streams.flink.order import RUNTIME
from streams.flink.words import Word, words_of
from streams.local.tally import process_of, sizes_of
from streams.tasks.source_task import SourceTask
from streams.tasks.telling import MEASURE_SECONDS, Sums
from tocsin.errors import SourceError
from tocsin.kafka import client_settings, confluent, make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitoring.metrics import MemoryMetrics
    from streams.flink.keeping import Kept
    from streams.flink.order import Order
    from streams.local.tally import StateSize, Tally
    from streams.tasks.shard_task import ShardTask
    from streams.tasks.task import Task
    from tocsin.compiler import Plan

TELL_SECONDS = 5.0
CLIENT = {"compression.type": "lz4", "queue.buffering.max.messages": 100}
FLUSH_SECONDS = 1.0


@dataclass(slots=True)
class Telling:
    """Records how the tasks of a subtask stand. `monotonic`: seconds."""

    tally: Tally
    plan: Plan
    monotonic: Callable[[], float] = time.monotonic
    _sums: Sums = field(init=False)
    _sizes: dict[int, Mapping[str, StateSize]] = field(default_factory=dict)
    _measured: dict[int, float] = field(default_factory=dict)
    _told: float = float("-inf")

    def __post_init__(self) -> None:
        """Say which program it is."""
        self._sums = Sums(self.tally)
        self.tally.metrics.gauge(registry.PROCESS_INFO.of(process_of(self.plan, RUNTIME)), 1)

    def tell(self, kept: Mapping[int, Kept]) -> None:
        """Say how tasks stand, if nobody has for a while; by their Flink keys."""
        now = self.monotonic()
        if now < self._told + TELL_SECONDS:
            return
        self._told = now
        for key, one in kept.items():
            if now >= self._measured.get(key, float("-inf")) + MEASURE_SECONDS:
                self._measured[key] = now
                self._sizes[key] = _sizes(one.task)
        tasks = [one.task for one in kept.values()]
        sources = [task for task in tasks if isinstance(task, SourceTask)]
        self._sums.watermarks(sources)
        self._sums.states(list(self._sizes.values()))
        self._sums.opened([task.opened for task in tasks])
        for stream in {task.stream.name for task in sources}:
            number = sum(task.stream.name == stream for task in sources)
            self.tally.metrics.gauge(registry.PARTITIONS.of({"stream": stream}), number)

    def heard(self, shard: ShardTask) -> None:
        """Note which event times senders have reached: their records are in another process."""
        reached = [
            mark + (self.plan.streams[node].lateness if node in self.plan.streams else 0)
            for sender in shard.upstreams.heard.values()
            for node, mark in sender.watermarks.items()
        ]
        self.tally.arrivals.note(max(reached, default=None), self.tally.wall())


def _sizes(task: Task) -> Mapping[str, StateSize]:
    frames, _ = task.hosted.snapshot()
    return sizes_of(frames, {stage.name: stage.key for stage in task.hosted.stages})


@dataclass(slots=True)
class Reporter:
    """Tells what a subtask records. `say`: takes a word; by default it goes to the topic of the group."""

    order: Order
    subtask: str
    attempt: int
    metrics: MemoryMetrics
    say: Callable[[bytes], None] | None = None
    seconds: float = TELL_SECONDS
    _client: Any = None
    _ended: Event = field(default_factory=Event)
    _thread: Thread = field(init=False)

    def __post_init__(self) -> None:
        """Get ready; nothing is told yet."""
        self._thread = Thread(target=self._work, name="tocsin-metrics", daemon=True)

    @classmethod
    def of(cls, order: Order, context: Any, metrics: MemoryMetrics) -> Self:  # noqa: ANN401  # PyFlink's
        """Make and start the one of a function, in whose context it is."""
        subtask = f"{context.get_task_name()}/{context.get_index_of_this_subtask()}"
        reporter = cls(order, subtask, context.get_attempt_number(), metrics)
        reporter.start()
        return reporter

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def close(self) -> None:
        """Tell a last time, and end."""
        self._ended.set()
        self._thread.join(2 * FLUSH_SECONDS)

    def _work(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(self.seconds)
            word = Word(self.order.run, self.attempt, subtask=self.subtask, recorded=Snapshot.of(self.metrics))
            (self.say or self._produce)(msgspec.json.encode(word))
        if self._client is not None:
            self._client.flush(FLUSH_SECONDS)

    def _produce(self, word: bytes) -> None:
        """Hand a word over; one that the client does not take is followed by another that says more."""
        if self._client is None:
            self._client = make_client("Producer", {**client_settings(self.order.servers), **CLIENT}, SourceError)
        with suppress(BufferError, confluent().KafkaException):
            self._client.produce(words_of(self.order.group), word, self.subtask)
        self._client.poll(0)
