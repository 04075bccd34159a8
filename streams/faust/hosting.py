"""The tasks of one worker: got ready with an assignment, fed by agents, committed again and again (`committing.py`)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, time
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from monitoring.health import SINKS, SOURCES, Health
from streams.faust.beside import guarded, in_thread
from streams.faust.clock import Tick
from streams.faust.committing import Committing
from streams.faust.gathering import LARGE, Gathering, News
from streams.faust.skew import Skew, standings
from streams.faust.unit import Unit
from streams.tasks import values
from streams.tasks.silence import Silence
from streams.tasks.source_task import SourceTask
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping

    from streams.faust.batches import Batch
    from streams.faust.outlets import Outlets
    from streams.faust.telling import Telling
    from streams.faust.wire import Wire
    from streams.tasks.early import EarlyPath
    from streams.tasks.following import Following
    from streams.tasks.intake import Intake, Taken
    from streams.tasks.task import Task

THREADS = 2
PATIENCE_SECONDS = 0.05
HANDOVER_SECONDS = 2.0
"""How long a rebalance waits for sinks to confirm what they took."""
QUEUED = 80_000
QUEUED_BYTES = 64 << 20
"""Records of a partition, and bytes of them, that wait while the task works; they are taken together."""
LARGE_BYTES = 1 << 20
"""So many are no few: packets of shards are large, and records may be."""
ROUND_SECONDS = 0.25
"""Time between two passes over what comes, where that is little; early copies do not wait for it."""
OUTBOX_MOST = 200_000
"""Transitions of a task that may wait for a slow sink before it takes no more records."""


@dataclass(slots=True)
class Hosting:
    """All tasks of a worker.

    `topics`: those that are delivered in batches. `tasks`: the names of all of the group. `make`: makes the task of a
    partition. `intake`: what is done with a batch. `fail`: takes what ends the worker.
    """

    wire: Wire
    topics: frozenset[str]
    tasks: frozenset[str]
    make: Callable[[Any], Task]
    intake: Intake
    outlets: Outlets
    following: Following
    skew: Skew
    telling: Telling
    fail: Callable[[BaseException], Coroutine[Any, Any, None]]
    early: EarlyPath | None = None
    commit_seconds: float = 1.0
    health: Health = field(default_factory=lambda: Health(needed=(SOURCES,)))
    units: dict[Any, Unit] = field(default_factory=dict)
    _silence: Silence = field(default_factory=Silence)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "tocsin-task"))
    _keeping: dict[Any, asyncio.Future[Any]] = field(default_factory=dict)
    _resting: asyncio.Event = field(default_factory=asyncio.Event)
    _committing: Committing = field(init=False)
    _gathering: Gathering = field(init=False)

    def __post_init__(self) -> None:
        """Commit with the same threads in which tasks work."""
        self._committing = Committing(self.wire, self._threads, self.intake, self.outlets, self.fail)
        self._gathering = Gathering(self._threads, self.intake)

    def batches(self, topic: str) -> bool:
        """Whether a topic is delivered in batches."""
        return topic in self.topics

    def durable(self, tp: Any) -> int | None:  # noqa: ANN401  # Faust's TP
        """Give the offset up to which the state of a partition is durable."""
        unit = self.units.get(tp)
        return None if unit is None else unit.durable

    def arrived(self, batch: Batch) -> None:
        """Let out the early copies of what was fetched; in the thread of the client."""
        if self.early is not None:
            self.early.arrived(batch)

    async def load(self, assignment: Collection[Any]) -> Mapping[Any, int]:
        """Get the tasks of an assignment ready; give where each of those goes on that have a state."""
        try:
            return await self._load(assignment)
        except Exception as error:
            await self.fail(error)
            raise

    async def _load(self, assignment: Collection[Any]) -> Mapping[Any, int]:
        for tp in set(self.units) - set(assignment):
            self.outlets.drop(self.units.pop(tp))
        positions = {}
        self._resting = asyncio.Event()
        for tp in sorted(assignment):
            unit = self.units.get(tp)
            if unit is None or not self._still_ours(unit):
                unit = await self._open(tp)
                self.units[tp] = unit
            if unit.durable is not None or unit.task.end:
                positions[tp] = unit.task.end
        self.intake.assigned(unit.task for unit in self.units.values())
        return positions

    def begin(self, tp: Any, position: int) -> None:  # noqa: ANN401  # Faust's TP
        """Let a task of the assignment go on, from where the reader stands."""
        unit = self.units[tp]
        unit.task.end = max(unit.task.end, position)
        self._keeping[tp] = asyncio.gather(guarded(self.fail, self._pump(unit)), guarded(self.fail, self._keep(unit)))
        self.health.ready(SOURCES, ok=True)
        self.health.watch(SINKS, lambda: "; ".join(f"{name}: {why}" for name, why in self.outlets.troubles.items()))

    def _still_ours(self, unit: Unit) -> bool:
        """Whether nobody has written a state of this partition since we did: then what is in memory is the latest."""
        if unit.durable is None:
            return False
        owner = values.owner_of(self.wire.table(unit.tp.topic), unit.tp.partition)
        return owner == unit.keeper.owner.name

    async def _open(self, tp: Any) -> Unit:  # noqa: ANN401  # Faust's TP
        if tp in self.units:
            self.outlets.drop(self.units[tp])
        table = self.wire.table(tp.topic)
        task = self.make(tp)
        loaded = await in_thread(self._threads, lambda: values.load(table, tp.partition))
        owner = values.Owner(uuid4().hex[:12], self.wire.generation)
        keeper = values.Keeper(tp.partition, owner, stale=values.keys_of(table, tp.partition))
        unit = Unit(tp, task, keeper)
        if loaded is not None:
            task.resume(loaded)
            keeper.epoch, unit.durable = loaded.head.epoch + 1, task.end
            unit.through, unit.opened = task.through, dict(task.opened)
            unit.chunks = task.outbox.chunks
        elif self.wire.committed(tp):
            raise StateError(
                f"the consumer group has read {tp.topic}/{tp.partition} up to {self.wire.committed(tp)}, but its state "
                "is gone: its changelog topic was deleted, or the group is another program's; take another --group"
            )
        self.outlets.adopt(unit)
        return unit

    async def release(self) -> None:
        """Make durable what was done, before partitions are revoked; tasks rest until `load`."""
        self._resting.set()
        self.health.ready(SOURCES, ok=False, why="the consumer group is being rebalanced")
        keeping, self._keeping = self._keeping, {}
        await asyncio.gather(*keeping.values())
        await self._commit_dirty()
        await self._hand_over()

    async def _commit_dirty(self) -> None:
        for unit in self.units.values():
            if unit.dirty:
                await self._committing.commit(unit)

    async def _hand_over(self) -> None:
        """Wait a moment for sinks, so that whoever takes the tasks over need not offer the same again."""
        until = monotonic() + HANDOVER_SECONDS
        while not (self.outlets.idle or self.outlets.troubles) and monotonic() < until:
            await asyncio.sleep(PATIENCE_SECONDS)
            self._collect()
        await self._commit_dirty()

    def _collect(self) -> None:
        """Note what sinks have confirmed, for the next commits."""
        for moved in self.outlets.collect():
            moved.dirty = True

    async def take(self, event: Any) -> None:  # noqa: ANN401  # Faust's event
        """Take a message that holds a batch."""
        unit, resting = self.units.get(event.message.tp), self._resting
        if unit is None or event.message.tp not in self._keeping:
            return
        while (unit.queued >= QUEUED or unit.weight >= QUEUED_BYTES) and not resting.is_set():
            await self._wait(unit.room)
        if resting.is_set():
            return  # those before it in the queue were given up: it is read again with them
        unit.queue.append(event)
        unit.weight += event.value.size
        unit.room.clear()
        unit.wanted.set()

    async def _pump(self, unit: Unit) -> None:
        """Take all batches that have come, at once: many small ones cost as much as few large ones."""
        while not self._resting.is_set():
            await self._wait(self._resting if self._full(unit) else unit.wanted)
            if (
                unit.queue and unit.queued < LARGE and unit.weight < LARGE_BYTES
            ):  # a moment for more, at whose end all partitions wake up together
                await asyncio.sleep(ROUND_SECONDS - monotonic() % ROUND_SECONDS)
            if not unit.queue or self._full(unit) or self._resting.is_set():
                continue
            events, unit.queue, unit.weight = unit.queue, [], 0
            unit.wanted.clear()
            unit.room.set()
            async with unit.lock:
                taken = await self._gathering.take(News(unit, [event.value for event in events]))
                unit.events += events
                unit.dirty = True
                if taken is not None:
                    await self._note(unit, taken)
        unit.queue.clear()
        unit.weight = 0

    def _full(self, unit: Unit) -> bool:
        """Whether sinks are so far behind that no more may be decided."""
        return unit.task.outbox.end - unit.task.outbox.start > OUTBOX_MOST and bool(unit.chunks)

    async def _note(self, unit: Unit, taken: Taken) -> None:
        """Make durable what is dead, then judge: what stops a run can be looked at."""
        if taken.aside.height:
            await in_thread(None, partial(self.intake.put_aside, taken.aside))
        cast("SourceTask", unit.task).brake.watch(taken.ingested)

    async def _keep(self, unit: Unit) -> None:
        """Commit a task again and again, until its partition is revoked."""
        self._committing.publish(unit)
        while not self._resting.is_set():
            if self.early is not None:
                self.early.check()
            self.outlets.offer(unit)
            self._collect()
            if unit.dirty and monotonic() >= unit.committed_at + self.commit_seconds:
                await self._committing.commit(unit)
            await self._wait(self._resting)

    @staticmethod
    async def _wait(event: asyncio.Event) -> None:
        """Wait for a moment, or until something happens."""
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), PATIENCE_SECONDS)

    @property
    def through(self) -> list[str]:
        """Name the tasks for which the run is over, and all that they gave has arrived."""
        return [unit.task.name for unit in self.units.values() if unit.through and unit.delivered]

    def leads(self) -> bool:
        """Whether this worker holds the first partition of the first topic."""
        return any(tp.topic == min(self.topics) and tp.partition == 0 for tp in self._keeping)

    def say(self) -> Tick:
        """Give what the other workers have to know of this one."""
        clock = round(time() * 1000) if self.leads() else 0
        marks = standings(self.units[tp] for tp in self._keeping)
        return Tick(clock, sorted(self.through), self.intake.keys.tell(), marks)

    def balance(self, marks: Mapping[str, int]) -> None:
        """Hold partitions back that are too far ahead of the others."""
        self.wire.hold(self.skew.look([self.units[tp] for tp in self._keeping], marks))

    def tell(self) -> None:
        """Say how this worker stands, for whoever looks at its metrics."""
        self.telling.tell(list(self.units.values()), self.skew.held)

    async def follow(self) -> None:
        """Take in what tables were told."""
        if self.following.followed and self._keeping:
            passed = min(self.units[tp].task.reached for tp in self._keeping)
            await in_thread(None, partial(self.following.look, passed))

    async def pass_time(self, clock: int) -> None:
        """Let time pass: in partitions at whose end nothing happens, and minutes of what is counted."""
        await self._turn(clock)
        still = self._silence.still([self.units[tp] for tp in self._keeping]) if clock else []
        if not still:
            return
        left = await self.wire.left({unit.tp: task.end for unit, task in still})
        for unit, task in self._silence.idle(still, left, clock):
            async with unit.lock:
                task.idle(clock)
                unit.dirty = True

    async def _turn(self, clock: int) -> None:
        """Tell partitions that count by minutes that one is over; `clock`: 0 where it was not read yet."""
        for unit in [self.units[tp] for tp in self._keeping] if clock else ():
            if isinstance(unit.task, SourceTask) and unit.task.minute_over(clock):
                async with unit.lock:
                    unit.task.turn(clock)
                    unit.dirty = True

    async def close(self, seconds: float) -> None:
        """Commit what was done, and give the sinks what is durable, within some seconds."""
        self.health.drain("told to stop")
        await self.release()
        await self._committing.sent(seconds)
        if self.early is not None:
            await in_thread(None, self.early.close)
        await in_thread(None, partial(self.outlets.close, seconds))
        await in_thread(None, self.following.close)
