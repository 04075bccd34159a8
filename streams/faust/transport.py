"""Faust's Kafka transport, but agents of batched topics get one message per fetched batch of a partition.

It stands under Faust's own interfaces, as a driver of the URL scheme `batched://`; nothing in Faust is edited. What is
private there and used here is why both versions are pinned (docs/dependencies.md). Other topics, changelogs above all,
take the usual way, so that recovery is Faust's.

* One call of `getmany` gives, for each batched partition, one `Batch`; to Faust its offset is that of its last record.
* What is committed to the group is what the state of a task holds: `Hosting.durable`, not what was acknowledged.
* What a transaction has not committed is not read, as by librdkafka.
* Recovery counts from -1. Faust's own counts from 0, so that a changelog with one record counts as read.
* Recovery resumes partitions before it has sought: a *gate* holds batched partitions back until `perform_seek` is done.
  That asks the tasks where they stand, and goes there: once for an assignment, when its tables are whole.
* A partition that is *held* is not fetched. Faust's own pause throws away what was already fetched of a partition.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from faust.serializers.schemas import Schema
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.faust.batches import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

SCHEME = "batched"
BEFORE_FIRST = -1
"""The offset of the last record that was read, where none was."""
REST_SECONDS = 0.02
"""Until the reader looks again where there is nothing to fetch."""
FETCH_WAIT_MS = 100
"""How long a broker may hold a fetch that has nothing; Faust's 1500 would be latency."""


class Tasks(Protocol):
    """Whom the transport asks about batched partitions; an attribute `hosting` of the app."""

    def batches(self, topic: str) -> bool:
        """Whether a topic is delivered in batches."""
        ...

    async def load(self, assignment: Collection[TP]) -> Mapping[TP, int]:
        """Get the tasks of an assignment ready; give where each goes on that has a state."""
        ...

    def begin(self, tp: TP, position: int) -> None:
        """Let a task of the assignment go on, from where the reader stands."""
        ...

    def arrived(self, batch: Batch) -> None:
        """Hear of what was fetched, in the thread of the client; agents get it later."""
        ...

    async def release(self) -> None:
        """Make durable what was done, before partitions are revoked."""
        ...

    def durable(self, tp: TP) -> int | None:
        """Give the offset up to which a partition is in a durable state; None if it has none."""
        ...


class Whole(Schema):  # type: ignore[type-arg]  # Faust's generic has no parameters at run time
    """Values that are batches already."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ANN401  # Faust's signature
        """Give no key: a batch has as many as it has records."""
        del app, message

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ANN401
        """Give the batch."""
        del app
        return message.value


class _Results(OrderedDict[Any, Any]):
    """What a fetch brought, by partition; records of batched ones stay as they were parsed.

    An object of twelve fields per record is most of what the client costs, and nobody looks at it.
    """

    def __init__(self, batched: Callable[[TP], bool]) -> None:
        super().__init__()
        self._batched = batched

    def __setitem__(self, tp: Any, result: Any) -> None:  # noqa: ANN401  # of aiokafka
        """Take a result, or an error."""
        records = getattr(result, "_partition_records", None)
        if records is not None and self._batched(TP(*tp)):
            records._consumer_record = lambda _, record: record  # noqa: SLF001  # its own hook
        super().__setitem__(tp, result)


class BatchedThread(driver.AIOKafkaConsumerThread):
    """Fetches; in the thread of the client."""

    def __init__(self, *words: Any, **named: Any) -> None:  # noqa: ANN401  # Faust's
        super().__init__(*words, **named)
        self._brought: dict[TP, int] = {}

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:  # noqa: ANN401  # aiokafka has no types
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001  # arguments that Faust does not pass on
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        return consumer

    async def on_start(self) -> None:
        """Start the client."""
        await super().on_start()
        owner = cast("BatchedConsumer", self.consumer)
        self._ensure_consumer()._fetcher._records = _Results(owner.batched)  # noqa: SLF001  # still empty

    async def _fetch_records(self, consumer: Any, active_partitions: set[TP], **limits: Any) -> Any:  # type: ignore[override]  # noqa: ANN401  # passed by name
        owner = cast("BatchedConsumer", self.consumer)
        wanted = {tp for tp in active_partitions if owner.wants(tp)}
        if not wanted:
            await asyncio.sleep(REST_SECONDS)
            return {}
        fetched = await super()._fetch_records(consumer, wanted, **limits)
        return {tp: self._packed(consumer, tp, records) for tp, records in fetched.items()}

    def _packed(self, consumer: Any, tp: TP, records: list[Any]) -> list[Any]:  # noqa: ANN401
        if not records or not cast("BatchedConsumer", self.consumer).batched(TP(*tp)):
            return records
        self._brought[TP(*tp)] = end = self._position(consumer, tp)
        batch = Batch(tp, records, end)
        cast("BatchedConsumer", self.consumer).tasks.arrived(batch)
        return [batch]

    @staticmethod
    def _position(consumer: Any, tp: TP) -> int:  # noqa: ANN401
        position: int = consumer._subscription.subscription.assignment.state_value(tp).position  # noqa: SLF001
        return position

    async def left(self, taken: Mapping[TP, int]) -> dict[TP, int]:
        """Ask how far the logs of partitions go on behind what was taken."""
        return cast("dict[TP, int]", await self.call_thread(self._left, taken))

    async def _left(self, taken: Mapping[TP, int]) -> dict[TP, int]:
        """Marks of transactions and what was aborted are no records: the reader passes them, and brings nothing."""
        consumer = self._ensure_consumer()
        ends = await consumer.end_offsets(list(taken))
        return {
            tp: ends[tp] - (max(offset, self._position(consumer, tp)) if self._brought.get(tp, 0) <= offset else offset)
            for tp, offset in taken.items()
        }


class BatchedConsumer(driver.Consumer):
    """Keeps offsets by what tasks made durable."""

    def __init__(self, *words: Any, **named: Any) -> None:  # noqa: ANN401  # Faust's
        super().__init__(*words, **named)
        self.gate_open = False
        self.held: frozenset[TP] = frozenset()
        self._revocations = 0
        self._seeking = asyncio.Lock()

    def _new_consumer_thread(self) -> BatchedThread:
        return BatchedThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def tasks(self) -> Tasks:
        """Whom to ask."""
        return cast("Tasks", self.app.hosting)  # type: ignore[attr-defined]  # set by `add_agents`

    def batched(self, tp: TP) -> bool:
        """Whether a partition is delivered in batches."""
        return self.tasks.batches(tp.topic)

    def wants(self, tp: TP) -> bool:
        """Whether a partition is to be fetched now."""
        return not self.batched(tp) or (self.gate_open and tp not in self.held)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:  # noqa: ANN401
        if not isinstance(record, Batch):
            return super()._to_message(tp, record)
        last = record.last
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            last.timestamp_type,
            None,
            None,
            cast("Any", record),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def _new_offset(self, tp: TP) -> int | None:
        if not self.batched(tp):
            return super()._new_offset(tp)
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.tasks.durable(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if not self.batched(tp):
            await super()._add_gap(tp, offset_from, offset_to)

    def on_buffer_full(self, tp: TP) -> None:
        """Leave batched partitions as they are: agents hold the fetching loop up by themselves."""
        if not self.batched(tp):
            super().on_buffer_full(tp)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit first: Faust forgets what was acknowledged before it asks anybody."""
        self.gate_open = False
        self._revocations += 1
        await self.tasks.release()
        await self.commit()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Say that nothing of a new changelog was read: where nothing is said Faust passes over its first record."""
        offsets = self.app.tables.recovery.active_offsets  # type: ignore[attr-defined]  # of Faust's own tables
        for tp in assigned:
            if tp.topic in self.app.tables.changelog_topics:
                offsets.setdefault(tp, BEFORE_FIRST)
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Go to where the tasks stand, and open the gate, once their tables are recovered.

        Faust also calls this where it only rewinds a fetch that came too late, at any time.
        """
        await super().perform_seek()
        async with self._seeking:
            recovering = self.app.tables.recovery.in_recovery  # type: ignore[attr-defined]  # of Faust's own tables
            if self.flow_active and not recovering and not self.gate_open:
                await self._go_on()

    async def _go_on(self) -> None:
        """Let tasks go on with an assignment, unless it is revoked meanwhile: then another one follows."""
        revocations = self._revocations
        mine = {tp for tp in self.assignment() if self.batched(tp)}
        for tp, offset in (await self.tasks.load(mine)).items():
            await self.seek(tp, offset)
            self._committed_offset[tp] = offset
        positions = {tp: await self.position(tp) or 0 for tp in mine}
        if revocations != self._revocations:
            return
        for tp, position in positions.items():
            self.tasks.begin(tp, position)
        self.gate_open = True

    async def left(self, taken: Mapping[TP, int]) -> dict[TP, int]:
        """Ask the broker how far the logs of partitions go on behind what was taken; 0 or less where no record is."""
        return await cast("BatchedThread", self._thread).left(taken)

    def committed(self, tp: TP) -> int | None:
        """Give the offset that the group has committed."""
        return self._committed_offset[tp]


class BatchedTransport(driver.Transport):
    """The driver of `batched://`."""

    Consumer: ClassVar[Any] = BatchedConsumer


def register() -> None:
    """Make Faust know the scheme."""
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:{BatchedTransport.__name__}"
