"""The clock topic: one record a second, by which all workers know what time it is, and when a run is over.

The worker that holds the first partition of the group's first topic writes the time (ms since the epoch); all read it,
so that workers on machines whose clocks differ move idle partitions alike (semantics 5). Workers also say there which
tasks have taken their closing step and delivered everything: a bounded run ends when all of them have.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.tasks.key_check import Told  # noqa: TC001  # msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from streams.tasks.key_check import KeyCheck

SECOND = 1.0
WAIT_MS = 200


class Tick(msgspec.Struct, omit_defaults=True):
    """A record: the time in ms (0: nothing is said of it), tasks that are through, keys that partitions hold.

    `marks`: the watermarks of partitions.
    """

    clock: int = 0
    through: list[str] = []
    keys: Told = []
    marks: dict[str, int] = {}


_TICK = msgspec.json.Decoder(Tick)


@dataclass(slots=True)
class Clock:
    """What was read.

    `now`: the latest time, 0 before the first record. `through`: tasks that are. `marks`: the watermarks of all
    partitions of the group.
    """

    keys: KeyCheck
    now: int = 0
    through: set[str] = field(default_factory=set)
    marks: dict[str, int] = field(default_factory=dict)

    def take(self, data: bytes) -> None:
        """Take a record; the time does not go back. SourceError: a key is in two partitions."""
        tick = _TICK.decode(data)
        self.now = max(self.now, tick.clock)
        self.through.update(tick.through)
        self.marks.update(tick.marks)
        self.keys.hear(tick.keys)


async def listen(clock: Clock, topic: str, settings: Mapping[str, Any]) -> None:
    """Read the topic from now on, until cancelled."""
    consumer = AIOKafkaConsumer(**settings, enable_auto_commit=False, fetch_max_wait_ms=WAIT_MS)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_end(partition)
        async for record in consumer:
            clock.take(record.value)
    finally:
        await consumer.stop()


async def tell(send: Callable[[bytes], Awaitable[Any]], say: Callable[[], Tick]) -> None:
    """Write once a second what there is to say, until cancelled."""
    while True:
        tick = say()
        if tick != Tick():
            await send(msgspec.json.encode(tick))
        await asyncio.sleep(SECOND)
