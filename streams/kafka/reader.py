"""All partitions of a topic, read by one thread into a bounded queue each.

The thread takes whole batches from librdkafka. Back pressure: when the queues hold `QUEUED_ROWS`, it stops taking, and
librdkafka's own bounded queue stops fetching. A partition whose queue is full while another one has nothing is paused,
so that the one that lags is never behind the one that does not.

A partition is *quiet* since the clock time at which the reader stood at the end of its log for the first time after its
last record; that it still does is asked of the broker again and again, since silence may also mean that there is no
connection. What cannot become good by waiting (no such topic, no right to read it, records that retention has removed)
is a SourceError; a broker that is away is not: the reader waits, and `trouble` says so.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.kafka.payloads import records_of
from streams.sources.contract import Records
from tocsin.errors import SourceError
from tocsin.kafka import client_settings, hopeless, make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tocsin.kafka import KafkaAddress

TAKEN_ROWS = 20_000
"""Messages that the thread asks librdkafka for at once."""
QUEUED_ROWS = 400_000
"""Messages of a topic that wait, beside those in librdkafka's queue."""
WAIT_SECONDS = 0.02
"""How long one call waits for messages; a stop, a pause or a seek is heeded as soon."""
GATHER_SECONDS = 0.003
"""How long what has come waits for more: latency, against many small batches."""
GROW_SECONDS = 10.0
"""How often the broker is asked whether the topic has more partitions."""
ASK_SECONDS = 1.0
"""How often the broker is asked whether a quiet partition is still at its end."""
CONNECT_SECONDS = 10.0
SETTINGS = {
    "enable.auto.commit": "false",
    "auto.offset.reset": "error",
    "enable.partition.eof": "true",
    "fetch.wait.max.ms": "100",
    "queued.min.messages": "200000",
    "check.crcs": "true",
}
"""What a user's settings may override; `TOCSIN_KAFKA_*` (tocsin/kafka.py)."""
_END = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes are spelled so
_GONE = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
_UNREADABLE = {
    KafkaError._BAD_COMPRESSION,  # noqa: SLF001
    KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001  # a codec that this client does not know
    KafkaError._BAD_MSG,  # noqa: SLF001
    KafkaError.INVALID_MSG,
}


@dataclass(slots=True)
class Queue:
    """What waits of one partition. `offset`: of the next record to be taken; `end`: of the log, as last heard.

    `quiet`: the clock (ms since the epoch) at which the reader came to the end of the log, `asked` that at which it was
    last seen to be there; None while records come.
    """

    offset: int
    parts: deque[Records] = field(default_factory=deque)
    rows: int = 0
    end: int = 0
    paused: bool = False
    held: bool = False
    quiet: int | None = None
    asked: int | None = None


class TopicReader:
    """A topic's partitions.

    Offsets are the caller's: nothing is taken before `start`. `group`: under which `commit` notes how far all is
    durable, for people and tools that look at the lag; the state folder is the truth. `bell` is rung when something
    waits.
    """

    def __init__(
        self,
        address: KafkaAddress,
        group: str,
        bell: threading.Event,
    ) -> None:
        self.address = address
        self.trouble = ""
        self.cluster = ""
        self._bell = bell
        self._error: SourceError | None = None
        self._queues: dict[int, Queue] = {}
        self._condition = threading.Condition()
        self._stopping = False
        self._discovered: dict[int, int] = {}
        self._orders: deque[Callable[[], object]] = deque()
        settings = SETTINGS | {"group.id": group} | client_settings(address.servers)
        self._consumer: Consumer = make_client("Consumer", {**settings, "error_cb": self._note})
        self._thread = threading.Thread(target=self._work, name=f"tocsin-kafka-{address.topic}", daemon=True)

    def partitions(self, seconds: float = CONNECT_SECONDS) -> list[int]:
        """Ask which partitions there are; SourceError if the broker does not answer or does not have the topic."""
        topic = self.address.topic
        try:
            cluster = self._consumer.list_topics(topic, timeout=seconds)
        except KafkaException as error:
            self._consumer.poll(0)  # where nobody consumes yet, that is how one hears what is wrong
            self.check()
            why = self.trouble or error.args[0].str()
            raise SourceError(f"{self.address.plain}: the brokers do not answer: {why}") from None
        found, self.cluster = cluster.topics[topic], cluster.cluster_id
        if found.error is not None or not found.partitions:
            why = found.error.str() if found.error is not None else "it has no partitions"
            raise SourceError(f"{self.address.plain} cannot be read: {why}; `tocsin topics plan` shows what is there")
        return sorted(found.partitions)

    def bounds(self, partition: int, seconds: float = CONNECT_SECONDS) -> tuple[int, int]:
        """Give the offset of the first record that is still there, and that of the next one to come."""
        try:
            return self._consumer.get_watermark_offsets(self._at(partition), timeout=seconds)
        except KafkaException as error:
            raise SourceError(f"{self.address.plain}/{partition}: {error.args[0].str()}") from None

    def at_time(self, partition: int, time_ms: int, seconds: float = CONNECT_SECONDS) -> int:
        """Give the offset of the first record that was taken in at a time (ms) or later; the end if there is none."""
        try:
            (found,) = self._consumer.offsets_for_times([self._at(partition, time_ms)], timeout=seconds)
        except KafkaException as error:
            raise SourceError(f"{self.address.plain}/{partition}: {error.args[0].str()}") from None
        return found.offset if found.offset >= 0 else self.bounds(partition, seconds)[1]

    def committed(self, partitions: Sequence[int], seconds: float = CONNECT_SECONDS) -> dict[int, tuple[int, str]]:
        """Give, of those that have one, the group's offset and what was noted beside it."""
        try:
            found = self._consumer.committed([self._at(partition) for partition in partitions], timeout=seconds)
        except KafkaException as error:
            raise SourceError(f"{self.address.plain}: {error.args[0].str()}") from None
        return {one.partition: (one.offset, one.metadata or "") for one in found if one.offset >= 0}

    def add(self, partition: int, offset: int) -> None:
        """Read a partition from an offset on, too."""
        self._queues[partition] = Queue(offset)
        if self._thread.ident is not None:
            self._orders.append(lambda: self._consumer.incremental_assign([self._at(partition, offset)]))

    def start(self) -> None:
        """Begin to read what was added."""
        self._consumer.assign([self._at(number, queue.offset) for number, queue in self._queues.items()])
        self._thread.start()

    def take(self, partition: int, most: int) -> Records | None:
        """Give about `most` records of a partition; None if none waits. SourceError if none will ever come."""
        queue = self._queues[partition]
        with self._condition:
            if not queue.parts:
                self.check()
                return None
            parts = [queue.parts.popleft()]
            rows = parts[0].count
            while queue.parts and rows + queue.parts[0].count <= most:
                parts.append(queue.parts.popleft())
                rows += parts[-1].count
            queue.rows -= rows
            self._condition.notify_all()
        return Records.joined(parts)

    def hold(self, partition: int, held: bool) -> None:  # noqa: FBT001  # a switch
        """Fetch nothing more of a partition, since others lag; or go on."""
        self._queues[partition].held = held

    def quiet(self, partition: int, idle: int) -> int | None:
        """Give the clock (ms) up to which a partition has been at its end for `idle` ms; None if it has not."""
        queue = self._queues[partition]
        quiet, asked = queue.quiet, queue.asked
        if queue.parts or quiet is None or asked is None or asked - quiet < idle:
            return None
        return asked

    def commit(self, offsets: Mapping[int, int], note: str) -> None:
        """Note in the group how far all is durable; without waiting, and a failure only means that tools see less."""
        noted = [TopicPartition(self.address.topic, number, offset, note) for number, offset in sorted(offsets.items())]
        self._orders.append(lambda: self._consumer.commit(offsets=noted, asynchronous=True))

    def standing(self) -> dict[int, tuple[int, bool]]:
        """Give for each partition how many records were not taken as far as is known, and whether it is paused."""
        return {
            number: (queue.rows + max(0, queue.end - queue.offset), queue.paused)
            for number, queue in self._queues.items()
        }

    def check(self) -> None:
        """Raise the SourceError that ended the reading, if one did."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread and leave."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._carry_out()
        self._consumer.close()

    def _work(self) -> None:
        asked = looked = time.monotonic()
        try:
            while not self._stopping:
                self._carry_out()
                self._pause_and_resume()
                messages = self._consume()
                if any(map(Message.error, messages)):
                    self._put_beside_events(messages)
                else:
                    self._put_all(messages)
                if time.monotonic() - asked >= ASK_SECONDS:
                    self._ask_ends()
                    asked = time.monotonic()
                if time.monotonic() - looked >= GROW_SECONDS:
                    self._ask_partitions()
                    looked = time.monotonic()
        except SourceError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  # whatever ends the thread must end the run, not stop it silently
            self._fail(SourceError(f"{self.address.plain}: {type(error).__name__}: {error}"))

    def _consume(self) -> list[Message]:
        """Wait for a message, then take what is there: asked for many, librdkafka waits for all of them."""
        first = self._consumer.consume(1, WAIT_SECONDS)
        return first + self._consumer.consume(TAKEN_ROWS - 1, GATHER_SECONDS) if first else first

    def _carry_out(self) -> None:
        """Do what was ordered meanwhile: a call from another thread would wait for ever beside `consume`."""
        while self._orders:
            try:
                self._orders.popleft()()
            except KafkaException as error:
                self._note(error.args[0])

    def _fail(self, error: SourceError) -> None:
        self._error = error
        self._bell.set()

    def _put_all(self, messages: Iterable[Message]) -> None:
        found: defaultdict[int, list[Message]] = defaultdict(list)
        for number, run in groupby(messages, Message.partition):
            found[cast("int", number)].extend(run)
        for number, own in found.items():
            self._put(number, own)

    def _put_beside_events(self, messages: Sequence[Message]) -> None:
        """Take messages, then what librdkafka tells of ends and errors between them."""
        self._put_all(message for message in messages if message.error() is None)
        for event in messages:
            if (error := event.error()) is not None:
                self._heed(event, error)

    def _put(self, number: int, messages: list[Message]) -> None:
        queue = self._queues[number]
        records = records_of(messages)
        with self._condition:
            queue.parts.append(records)
            queue.rows += records.count
            queue.offset = cast("int", messages[-1].offset()) + 1
            queue.quiet = queue.asked = None
            self.trouble = ""
        self._bell.set()

    def _heed(self, event: Message, error: KafkaError) -> None:
        """Take the end of a partition, or an error; SourceError if it is one for good."""
        partition = cast("int", event.partition())
        queue = self._queues.get(partition)
        if queue is None:
            self._note(error)
            return
        if error.code() == _END:
            if (event.offset() or 0) >= queue.offset:  # else records came behind it
                queue.quiet = queue.asked = _now()
            return
        place = f"{self.address.plain}/{partition}"
        if error.code() == _GONE:
            raise SourceError(
                f"{place}: the records from offset {queue.offset} on are not there ({error.str()}): retention has "
                "removed them before they were read. Begin anew with another --state folder"
            )
        if _ends_all(error):
            raise SourceError(f"{place}: {error.str()}")
        if error.code() in _UNREADABLE:
            raise SourceError(f"{place}: the batch from offset {queue.offset} on cannot be read: {error.str()}")
        self.trouble = f"{place}: {error.str()}"

    def _pause_and_resume(self) -> None:
        """Hold back what is far ahead, or full while others starve; wait while everything is full."""
        with self._condition:
            while not self._stopping and sum(queue.rows for queue in self._queues.values()) >= QUEUED_ROWS:
                if any(not queue.rows and not queue.held for queue in self._queues.values()):
                    break  # the one that lags has nothing: read on, without those that have enough
                self._condition.wait(0.1)
        full = QUEUED_ROWS // max(1, len(self._queues))
        changed: dict[bool, list[TopicPartition]] = {True: [], False: []}
        for number, queue in list(self._queues.items()):
            wanted = queue.held or queue.rows >= (full // 2 if queue.paused else 2 * full)
            if wanted != queue.paused:
                queue.paused = wanted
                changed[wanted].append(self._at(number))
        if changed[True]:
            self._consumer.pause(changed[True])
        if changed[False]:
            self._consumer.resume(changed[False])

    def discovered(self) -> dict[int, int]:
        """Give, once, the partitions that are new, and the offsets at which they begin."""
        found, self._discovered = self._discovered, {}
        return found

    def _ask_partitions(self) -> None:
        try:
            numbers = self.partitions(ASK_SECONDS)
            for number in numbers:
                if number not in self._queues and number not in self._discovered:
                    self._discovered[number] = self.bounds(number, ASK_SECONDS)[0]
        except SourceError as error:
            self.trouble = str(error)

    def _ask_ends(self) -> None:
        """Ask where the logs end; the broker itself only of partitions that have been quiet for as long as that takes.

        It answers behind the fetch that it holds. Where records come all the time, the end is reached again and again.
        """
        for number, queue in list(self._queues.items()):
            now = _now()
            quiet = queue.quiet is not None and now - queue.quiet >= 1000 * ASK_SECONDS and not queue.paused
            try:
                _, end = self._consumer.get_watermark_offsets(self._at(number), ASK_SECONDS, cached=not quiet)
            except KafkaException as error:
                self.trouble = f"{self.address.plain}: {error.args[0].str()}"
                return
            queue.end = max(queue.end, end)
            if quiet:
                self.trouble = ""
                if queue.quiet is not None and end <= queue.offset:
                    queue.asked = now

    def _note(self, error: KafkaError) -> None:
        """Take what librdkafka says of its connections."""
        if _ends_all(error):
            self._fail(SourceError(f"{self.address.plain}: {error.str()}"))
        else:
            self.trouble = f"{self.address.plain}: {error.str()}"

    def _at(self, partition: int, offset: int = OFFSET_BEGINNING) -> TopicPartition:
        return TopicPartition(self.address.topic, partition, offset)


def _ends_all(error: KafkaError) -> bool:
    return hopeless(error) or error.fatal() or error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def _now() -> int:
    return round(time.time() * 1000)
