"""Dead letters of a topic in another one, `<topic>.dlq`: raw bytes as value, why and from where in headers.

Raw bytes hold identifiers of persons as they came: the topic needs the protection of the one that the records are from,
in who may read it and in how long it keeps them (semantics 22).

All letters of a partition lie in one partition, in order. A letter that a restart puts again is found at the end of
that partition and not written a second time; should it be there twice all the same, it is read once.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from sinks.backoff import Backoff
from sinks.kafka_producer import ConfirmedProducer
from sinks.kafka_reading import headers_of, read_to_end, tail
from sinks.kafka_topic import partitions_of
from sinks.remembered import Remembered
from streams.dead_letters import STORED, Letters, each_once
from tocsin.errors import SinkError, SinkUnavailable, SourceError, StateError
from tocsin.kafka import client_settings, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from confluent_kafka import Message

    from streams.dead_letters import DeadLetterStore
    from tocsin.kafka import KafkaAddress

SUFFIX = ".dlq"
CONNECT_SECONDS = 10.0
PATIENCE_SECONDS = 300.0
"""How long letters wait for a broker that is away; then the run ends, and what it read is read again."""
REMEMBERED = 10_000
"""Letters at the end of each partition that are known after a start; more are known of what was put since."""
_FRAME = 4096
"""Bytes of headers and lengths of a message, rounded up."""


class Header(NamedTuple):
    """A header of a dead letter: the column that it holds, and its meaning."""

    column: str
    meaning: str


HEADERS: Mapping[str, Header] = {
    "tocsin.stream": Header("stream", "the stream whose record it is"),
    "tocsin.partition": Header("partition", "the partition that the record is from"),
    "tocsin.offset": Header("offset", "its offset there; stream, partition and offset name a letter"),
    "tocsin.reason": Header("reason", "why it was not taken, short and stable"),
    "tocsin.field": Header("field", "the field that is wrong, empty for the whole record"),
    "tocsin.detail": Header("detail", "what stood there and what was expected"),
    "tocsin.time": Header("time", "its event time in ms since the epoch; absent if it does not decode"),
    "tocsin.form": Header("form", "how the value is to be read: `json`, or `csv:` and the header as a JSON list"),
    "tocsin.recorded_at": Header("recorded_at", "when it was put here, in ms since the epoch"),
}
CUT = "tocsin.cut"
"""On letters that are larger than the topic takes: how many bytes the record has; the value holds the first of them."""


class DeadLetterTopic(Letters):
    """One topic of dead letters. StateError if its settings are wrong."""

    def __init__(self, address: KafkaAddress, patience: float = PATIENCE_SECONDS) -> None:
        self._address = address
        self._patience = patience
        try:
            self._settings = client_settings(address.servers, error=SinkError)
            self._producer = ConfirmedProducer(address, self._settings)
        except SinkError as error:
            raise StateError(str(error)) from error
        self._known = Remembered(REMEMBERED)

    def exists(self) -> bool:
        """Whether the topic is there; SinkUnavailable if no broker answers, StateError if we may not look."""
        try:
            return partitions_of(self._address, self._settings, CONNECT_SECONDS) > 0
        except SinkUnavailable:
            raise
        except SinkError as error:
            raise StateError(str(error)) from error

    def put(self, letters: pl.DataFrame, recorded_at: int) -> None:
        """Write letters by DEAD and wait until the broker has them; StateError if it has not within `patience`."""
        if letters.is_empty():
            return
        rows = letters.with_columns(pl.lit(recorded_at).alias("recorded_at")).to_dicts()
        until, backoff = time.monotonic() + self._patience, Backoff(most=1.0)
        for attempt in count():
            try:
                self._send(rows, min(until, time.monotonic() + CONNECT_SECONDS))
            except SinkUnavailable as trouble:
                if time.monotonic() >= until:
                    raise StateError(f"dead letters cannot be stored: {trouble}") from trouble
                time.sleep(backoff.delay(attempt))
            except SinkError as error:
                raise StateError(f"dead letters cannot be stored: {error}") from error
            else:
                return

    def letters(self, stream: str | None = None) -> pl.DataFrame:
        """Give all letters by STORED (of one stream), each place once, in order of place; StateError if it cannot."""
        rows: list[dict[str, object]] = []
        try:
            starts = dict.fromkeys(range(partitions_of(self._address, self._settings, CONNECT_SECONDS)), 0)
            if not starts:
                raise StateError(f"{self._address.plain} does not exist: dead letters of a topic are in TOPIC{SUFFIX}")
            for messages in read_to_end(self._address, self._settings, starts, CONNECT_SECONDS):
                rows += [row for message in messages if (row := _row(message)) is not None]
        except SinkError as error:
            raise StateError(str(error)) from error
        return each_once(pl.DataFrame(rows, schema=dict(STORED), orient="row"), stream)

    def close(self) -> None:
        """Let go of the broker."""
        self._producer.stop()

    def _send(self, rows: Sequence[Mapping[str, object]], until: float) -> None:
        if not self._producer.started:
            self._connect()
        for row in rows:
            place = (str(row["stream"]), _number(row["partition"]), _number(row["offset"]))
            if place in self._known:
                continue
            value, headers = _message(row, self._producer.limit)
            key = row["key"]
            fits = isinstance(key, bytes) and len(key) <= self._producer.limit // 4
            partition = place[1] % self._producer.partitions
            self._producer.send(key if fits else None, value, headers, until, partition)  # type: ignore[arg-type]
            self._known.add(place)
        self._producer.settle(until)
        self._known.forget()

    def _connect(self) -> None:
        """Start a producer and read the ends of the partitions; what was put before may or may not be there."""
        self._known.clear()
        self._producer.start(CONNECT_SECONDS)
        starts = dict.fromkeys(range(self._producer.partitions), tail(REMEMBERED))
        try:
            for messages in read_to_end(self._address, self._settings, starts, CONNECT_SECONDS):
                for row in map(_row, messages):
                    if row is not None:
                        self._known.add((row["stream"], row["partition"], row["offset"]))
        except SinkError:
            self._producer.stop()
            raise


class DeadLettersByStream:
    """Where a host puts dead letters: those of `topics` into them, all others into `otherwise`."""

    def __init__(self, topics: Mapping[str, DeadLetterTopic], otherwise: DeadLetterStore) -> None:
        self._topics = topics
        self._otherwise = otherwise

    @classmethod
    def of(
        cls, sources: Mapping[str, str], otherwise: DeadLetterStore, warn: Callable[[str], None]
    ) -> DeadLettersByStream:
        """Give a topic to each stream that comes from one; say so where there is none, and use `otherwise`.

        `sources`: URIs by stream. Raises StateError if no broker answers.
        """
        topics = {}
        for stream, uri in sources.items():
            if not uri.startswith("kafka://"):
                continue
            topic = DeadLetterTopic(dead_letters_of(uri))
            if topic.exists():
                topics[stream] = topic
            else:
                warn(f"{dead_letters_of(uri).plain} does not exist: dead letters of {stream} stay in the state folder")
        return cls(topics, otherwise)

    def put(self, letters: pl.DataFrame, recorded_at: int) -> None:
        """Make letters durable; StateError if they cannot be."""
        if letters.is_empty():
            return
        for stream, topic in self._topics.items():
            topic.put(letters.filter(pl.col("stream") == stream), recorded_at)
        self._otherwise.put(letters.filter(~pl.col("stream").is_in(list(self._topics))), recorded_at)

    def close(self) -> None:
        """Let go of the brokers."""
        for topic in self._topics.values():
            topic.close()


def dead_letters_of(uri: str) -> KafkaAddress:
    """Give the address of the dead letters of a topic."""
    address = parse_address(uri, SourceError)
    return type(address)(address.servers, address.topic + SUFFIX)


def _message(row: Mapping[str, object], limit: int) -> tuple[bytes, list[tuple[str, str]]]:
    """Give value and headers of a letter, cut where it would be larger than the limit."""
    raw = row["raw"]
    value = raw if isinstance(raw, bytes) else b""
    headers = [(name, str(row[header.column])) for name, header in HEADERS.items() if row[header.column] is not None]
    key = row["key"]
    room = limit - _FRAME - sum(len(text.encode()) for _, text in headers) - (len(key) if isinstance(key, bytes) else 0)
    if len(value) > room:
        headers.append((CUT, str(len(value))))
        value = value[: max(0, room)]
    return value, headers


def _row(message: Message) -> dict[str, object] | None:
    """Give a letter by STORED, None for what is none."""
    told = headers_of(message)
    if not {"tocsin.stream", "tocsin.partition", "tocsin.offset"} <= told.keys():
        return None
    numbers = {name for name, dtype in STORED.items() if dtype == pl.Int64()}
    texts = {header.column: told.get(name) for name, header in HEADERS.items()}
    try:
        row: dict[str, object] = {
            column: int(text) if column in numbers and text is not None else text for column, text in texts.items()
        }
    except ValueError:
        return None
    return row | {"raw": message.value() or b"", "key": message.key()}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
