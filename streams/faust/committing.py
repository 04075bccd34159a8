"""The commit of a task, in its order.

The stages step and a snapshot of references is taken (in a thread, the task waits) → changed frames go to the table's
changelog, at last the head → the broker has all of it → the messages are acknowledged, packets go to the exchange,
transitions to the sinks → what the head no longer names is deleted. Killed in between, the task goes on from the last
head, sends its packets once more under their old numbers, and offers its outbox again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from streams.faust.beside import in_thread
from streams.tasks.telling import MEASURE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Executor

    from streams.faust.outlets import Outlets
    from streams.faust.unit import Capture, Unit
    from streams.faust.wire import Wire
    from streams.tasks.intake import Intake
    from streams.tasks.outgoing import Sealed
    from streams.tasks.values import Write


@dataclass(slots=True)
class Committing:
    """Commits the tasks of a worker, each on its own. `fail`: takes what ends the worker."""

    wire: Wire
    threads: Executor
    intake: Intake
    outlets: Outlets
    fail: Callable[[BaseException], Coroutine[Any, Any, None]]
    _sending: set[asyncio.Task[None]] = field(default_factory=set)

    async def commit(self, unit: Unit) -> None:
        """Make durable what a task has done, then let out what it gave."""
        async with unit.commits:
            async with unit.lock:
                unit.dirty = False
                self.outlets.mark(unit)
                capture = await in_thread(self.threads, unit.capture)
            begun = monotonic()
            write: Write = await in_thread(self.threads, lambda: unit.written(capture))
            await self._put(unit, write.values)
            await self._put(unit, dict([write.head]))
            self.intake.committed(capture.decided, capture.dropped, write.size, monotonic() - begun)
            self._let_out(unit, capture)
            await self._put(unit, dict.fromkeys(write.stale))
            await self._measure(unit, capture)

    async def _put(self, unit: Unit, entries: Mapping[bytes, bytes | None]) -> None:
        if entries:
            await self.wire.put(unit.tp.topic, unit.tp.partition, entries)

    def _let_out(self, unit: Unit, capture: Capture) -> None:
        """Note what is durable now, and pass on what was waiting for that."""
        unit.durable, unit.through, unit.chunks = capture.end, capture.through, capture.chunks
        unit.opened, unit.committed_at = capture.opened, monotonic()
        for event in capture.events:
            event.ack()
        self.publish(unit)
        self.outlets.offer(unit)

    async def _measure(self, unit: Unit, capture: Capture) -> None:
        if monotonic() >= unit.measured_at + MEASURE_SECONDS:
            unit.sizes = await in_thread(self.threads, lambda: unit.measured(capture))
            unit.measured_at = monotonic()

    def publish(self, unit: Unit) -> None:
        """Hand the packets that are durable to the broker, in order."""
        sealed = [one for one in unit.task.outgoing.waiting if one.serial > unit.sent]
        if sealed:
            unit.sent = sealed[-1].serial
            sending = asyncio.create_task(self._send(unit, sealed))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _send(self, unit: Unit, sealed: list[Sealed]) -> None:
        try:
            async with unit.sends:
                futures = [
                    await self.wire.send(shard, packet)
                    for _, packets in sealed
                    for shard, _, packet in packets.iter_rows()
                ]
            await asyncio.gather(*futures)
            self.intake.sent(len(futures))
            unit.acknowledged = max(unit.acknowledged, sealed[-1].serial)
            unit.dirty = True
        except Exception as error:  # noqa: BLE001  # packets that are lost would be missed by shards
            await self.fail(error)

    async def sent(self, seconds: float) -> None:
        """Wait until the broker has all packets, at most so long."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=seconds)
