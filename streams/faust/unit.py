"""One task in a worker, and how far it is: taken, settled, durable, delivered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    import polars as pl

    from streams.faust.hosted import Frames
    from streams.faust.outgoing import Sealed
    from streams.faust.task import SinkPlace, Task
    from streams.faust.values import Keeper, Write
    from streams.local.outbox import Chunk


class Capture(NamedTuple):
    """A commit: what it says, references to frames that nobody changes, and what may leave when it is durable."""

    frames: Frames
    plain: bytes
    end: int
    through: bool
    events: list[Any]
    sealed: list[Sealed]
    chunks: tuple[Chunk, ...]
    decided: list[pl.DataFrame]


@dataclass(slots=True)
class Unit:
    """A task with all that a worker knows of it.

    `lock`: held while the task works. `commits`, `sends`: held while a commit is written,
    and packets handed over, one at a time. `queue`: messages that wait, `wanted` is set when one does, `room` when they
    were taken. `durable`: the offset up
    to which its state is durable, None before the first commit. `sent`: the serial up to which packets were handed to
    the broker, `acknowledged` the one up to which it has them. `places`: of sinks, as they were confirmed.
    """

    tp: Any
    task: Task
    keeper: Keeper
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    commits: asyncio.Lock = field(default_factory=asyncio.Lock)
    sends: asyncio.Lock = field(default_factory=asyncio.Lock)
    queue: list[Any] = field(default_factory=list)
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    durable: int | None = None
    dirty: bool = True
    through: bool = False
    committed_at: float = 0.0
    events: list[Any] = field(default_factory=list)
    sent: int = 0
    acknowledged: int = 0
    places: dict[str, SinkPlace] = field(default_factory=dict)
    chunks: tuple[Chunk, ...] = ()

    def capture(self) -> Capture:
        """Settle the task and give what a commit says; in a thread, with the lock held."""
        task = self.task
        task.outgoing.published(self.acknowledged)
        task.places.update(self.places)
        if task.places:
            task.outbox.trim(min(place.position for place in task.places.values()))
        elif not self.places:
            task.outbox.trim(self.chunks[-1].end if self.chunks else 0)
        task.settle()
        frames, plain = task.frames(), msgspec.json.encode(task.plain())
        events, self.events = self.events, []
        sealed = [one for one in task.outgoing.waiting if one.serial > self.sent]
        decided, task.decided = task.decided, []
        return Capture(frames, plain, task.end, task.through, events, sealed, task.outbox.chunks, decided)

    def written(self, capture: Capture) -> Write:
        """Give what a commit has to write; in a thread, one commit at a time. The task may work meanwhile."""
        return self.keeper.write(capture.frames, capture.plain)

    @property
    def delivered(self) -> bool:
        """Whether everything that left is confirmed: packets by the broker, transitions by all sinks."""
        end = self.chunks[-1].end if self.chunks else 0
        return self.acknowledged >= self.sent and all(place.position >= end for place in self.places.values())
