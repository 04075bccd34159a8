"""`kafka`: the alert topic, a CloudEvent per transition (`tocsin.model.alert_events`), in order per fingerprint.

A delivery ends when all replicas in sync have its messages; one of early copies alone, when they are sent. While the
broker is away they wait in the idempotent producer, and the delivery is tried again; they are then confirmed, once and
in order. After a crash the topic is read from the bookmark on (offsets per partition; without a state, the whole
topic), and what is there is not sent again.

An alert that is larger than the topic's messages may be comes without its largest members, and says so in the header
`ce_shortened`: a message that never fits would stop all others for ever. The state and the other sinks have it whole.

Where it is weak: a request that a stalled broker took before the process was killed may be written after the topic
was read back, so consumers must still take a second message of the same `ce_id` for a copy. Adding partitions moves
fingerprints to other partitions, with no order between the old one and the new one.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from sinks.awaited import Awaited
from sinks.cloudevents import events
from sinks.contract import HERE, Batching, Sink
from sinks.kafka_producer import ConfirmedProducer
from sinks.kafka_reading import ends_of, headers_of, read_to_end
from sinks.remembered import Remembered
from tocsin.errors import SinkError
from tocsin.kafka import address_of, client_settings
from tocsin.model.alert_events import ID, IS_EARLY

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from confluent_kafka import Message

    from tocsin.kafka import KafkaAddress

FROM = "from"
"""The option that says where a topic is read back from when the state knows nothing: `earliest` or `latest`."""

SECONDS = 10.0
"""How long the broker may take for a delivery, or to answer at the start, before it counts as away."""

PARTING_SECONDS = 1.0
"""How long the last early copies may take."""

REMEMBERED = 100_000
"""Ids kept in memory, at least: more than one batch, so that a batch sent twice in a row is written once."""


class KafkaSink(Sink):
    """Writes to the topic of `target`: an address, or a name whose servers the environment holds.

    Further settings come from the environment. SinkError if the target is no topic or a file of settings is not there.
    """

    batching: ClassVar[Batching] = Batching(rows=20_000)

    def __init__(self, target: str, seconds: float = SECONDS) -> None:
        self._address: KafkaAddress = address_of(target, SinkError)
        self._address.refuse_options_but(FROM, error=SinkError)
        if self._address.options.get(FROM, "earliest") not in {"earliest", "latest"}:
            raise SinkError(f"{target}: expected {FROM}=earliest or {FROM}=latest")
        self._settings = client_settings(self._address.servers, error=SinkError)
        self._producer = ConfirmedProducer(self._address, self._settings)
        self._seconds = seconds
        self._stands: dict[int, int] | None = None
        self._from_end = self._address.options.get(FROM) == "latest"
        self._unread: dict[int, int] | None = None
        self._fresh = 0
        self._known = Remembered(REMEMBERED)
        self._awaited = Awaited()

    @property
    def address(self) -> KafkaAddress:
        """The topic that it writes to."""
        return self._address

    @property
    def limit(self) -> int:
        """Bytes of the largest message that the topic takes; 0 before it is open."""
        return self._producer.limit

    @property
    def bookmark(self) -> str:
        """By partition the offset behind the last confirmed message, or that of the first that may come again; JSON."""
        return "" if self._stands is None else json.dumps(self._stands)

    def open(self, bookmark: str = "") -> None:
        """Find the topic and learn what is in it from the bookmark on."""
        self._stands = _offsets(bookmark)
        self._connect(at_end=self._from_end or bookmark == HERE)

    def deliver(self, batch: pl.DataFrame) -> None:
        """Send what is not there yet and wait for all of it; not for early copies alone, which may be lost."""
        if not self._producer.started:
            self._connect()
        elif self._unread is not None:
            self._fresh = 0
            self._read_on(self._unread)
        until = time.monotonic() + self._seconds
        for event in events(batch, self._producer.limit):
            if event.id in self._known:
                self._awaited.came(event.id)
                continue
            self._producer.send(event.key, event.value, event.headers, until)
            self._known.add(event.id)
            self._fresh += not event.early
        if batch.get_column("early").all():
            self._producer.push()
            return
        self._producer.settle(until)
        self._move()

    def look_back(self, bookmark: str) -> None:
        """Read, before the next delivery, what another process wrote; the own bookmark goes back to where it stood."""
        theirs = _offsets(bookmark)
        if theirs is None and self._from_end:
            return
        self._unread = _earlier(theirs or {}, self._unread)
        self._stands = _earlier(theirs or {}, self._stands)

    def close(self) -> None:
        """Let go of the producer; what it did not get confirmed comes again, but for early copies."""
        with suppress(SinkError):
            self._producer.settle(time.monotonic() + PARTING_SECONDS)
        self._producer.stop()

    def _connect(self, *, at_end: bool = False) -> None:
        """Start a producer and read what is behind the bookmark; what was sent before may or may not be there.

        `at_end`: without a bookmark nothing is read, and the end is one.
        """
        self._known.clear()
        self._awaited.clear()
        self._fresh = 0
        self._producer.start(self._seconds)
        self._producer.ends.clear()
        try:
            if self._stands is None and at_end:
                self._stands = ends_of(self._address, self._settings, self._producer.partitions, self._seconds)
            self._read_on(self._stands or {})
        except SinkError:
            self._producer.stop()
            raise

    def _read_on(self, begins: Mapping[int, int]) -> None:
        """Learn what stands behind offsets by partition; of others all of it."""
        starts = {number: begins.get(number, 0) for number in range(self._producer.partitions)}
        self._producer.ends = starts | self._producer.ends
        for messages in read_to_end(self._address, self._settings, starts, self._seconds):
            for message in messages:
                self._note(message)
        self._unread = None

    def _note(self, message: Message) -> None:
        """Take note of a message that is there; one that this process sent, or an early copy, need not come again."""
        partition, offset = message.partition() or 0, message.offset() or 0
        self._producer.ends[partition] = offset + 1
        headers = headers_of(message)
        if (found := headers.get(ID)) is None or found in self._known:
            return
        self._known.add(found)
        if IS_EARLY not in headers:
            self._awaited.add(found, partition, offset)

    def _move(self) -> None:
        """Move the bookmark behind what is confirmed, but never past messages that may be offered again.

        After a start, messages that were read back are offered again, mixed with new ones within the one batch that
        the last delivery was cut off in: when as many were new, none of the others can come.
        """
        if self._fresh >= self.batching.rows:
            self._awaited.clear()
        self._stands = self._awaited.bookmark(self._producer.ends)
        if not self._awaited:
            self._known.forget()


def _earlier(theirs: Mapping[int, int], ours: Mapping[int, int] | None) -> dict[int, int]:
    """Give the earlier of two places by partition; one that a place does not name begins at 0."""
    return {number: offset if ours is None else min(offset, ours.get(number, 0)) for number, offset in theirs.items()}


def _offsets(bookmark: str) -> dict[int, int] | None:
    """Read a bookmark; None for none, or for one of another kind of sink."""
    try:
        return {int(partition): int(offset) for partition, offset in json.loads(bookmark).items()}
    except (ValueError, AttributeError, TypeError):
        return None
