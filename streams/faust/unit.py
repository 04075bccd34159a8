"""One task in a worker, and how far it is: taken, settled, durable, delivered."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from streams.local.tally import sizes_of

if TYPE_CHECKING:
    import polars as pl

    from streams.local.outbox import Chunk
    from streams.local.tally import StateSize
    from streams.tasks.hosted import Frames
    from streams.tasks.task import SinkPlace, Task
    from streams.tasks.values import Keeper, Write


class Capture(NamedTuple):
    """A commit: what it says, references to frames that nobody changes, and what may leave when it is durable.

    `decided`, `dropped`: transitions, and rows that stages dropped, since the last one, to be counted. `opened`:
    episodes, by rule.
    """

    frames: Frames
    plain: bytes
    end: int
    through: bool
    events: list[Any]
    chunks: tuple[Chunk, ...]
    decided: list[pl.DataFrame]
    dropped: Counter[tuple[str, str]]
    opened: dict[str, int]


@dataclass(slots=True)
class Unit:
    """A task with all that a worker knows of it.

    `lock`: held while the task works. `commits`, `sends`: held while a commit is written, and packets handed over, one
    at a time. `queue`: messages that wait, `weight`: their bytes; `wanted` is set when one does, `room` when they were
    taken. `events`: those taken since the last commit. `durable`: the offset up to which its state is durable, None
    before the first commit; `through`, `chunks`: whether that state is at the end of the run, and its outbox. `sent`:
    the serial up to which packets were handed to the broker, `acknowledged` the one up to which it has them. `places`:
    of sinks, as they were confirmed. `inherited`: where its outbox ended when it was taken over, `since`: when that
    was. `opened`: episodes in the durable state, by rule. `sizes`: of the states of stages, as they were `measured_at`.
    """

    tp: Any
    task: Task
    keeper: Keeper
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    commits: asyncio.Lock = field(default_factory=asyncio.Lock)
    sends: asyncio.Lock = field(default_factory=asyncio.Lock)
    queue: list[Any] = field(default_factory=list)
    weight: int = 0
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
    inherited: int = 0
    since: float = field(default_factory=monotonic)
    opened: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, StateSize] = field(default_factory=dict)
    measured_at: float = 0.0

    def capture(self) -> Capture:
        """Settle the task and give what a commit says; in a thread, with the lock held."""
        task = self.task
        task.outgoing.published(self.acknowledged)
        task.places.update(self.places)
        if task.places:
            task.outbox.trim(min(place.position for place in task.places.values()))
        else:
            task.outbox.trim(self.chunks[-1].end if self.chunks else 0)
        task.settle()
        frames, plain = task.frames(), msgspec.json.encode(task.plain())
        events, self.events = self.events, []
        decided, task.decided = task.decided, []
        dropped, task.hosted.counts = task.hosted.counts, Counter()
        opened, chunks = dict(task.opened), task.outbox.chunks
        return Capture(frames, plain, task.end, task.through, events, chunks, decided, dropped, opened)

    def measured(self, capture: Capture) -> dict[str, StateSize]:
        """Say how large the state of each stage is; in a thread."""
        return sizes_of(capture.frames, {stage.name: stage.key for stage in self.task.hosted.stages})

    def written(self, capture: Capture) -> Write:
        """Give what a commit has to write; in a thread, one commit at a time. The task may work meanwhile."""
        return self.keeper.write(capture.frames, capture.plain)

    @property
    def queued(self) -> int:
        """How many records wait."""
        return sum(len(event.value.records) for event in self.queue)

    @property
    def delivered(self) -> bool:
        """Whether everything that left is confirmed: packets by the broker, transitions by all sinks."""
        end = self.chunks[-1].end if self.chunks else 0
        return self.acknowledged >= self.sent and all(place.position >= end for place in self.places.values())
