"""Streams that go on: the partitions of a Kafka topic as feeds, where each begins, and new ones while the run goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.codecs.reasons import Bad
from streams.codecs.times import read_timestamp
from streams.kafka.reader import TopicReader
from tocsin.errors import SourceError
from tocsin.kafka import parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from streams.local.feed import Feed
    from streams.sources.contract import Position, Records
    from tocsin.compiler import Plan, StreamPlan

LIVE_FORMAT = "json"
FORMATS = (LIVE_FORMAT, "ndjson")
"""What a message's value may be, so far; avro needs a schema that messages do not carry."""
BEGINNINGS = "earliest, latest, stored or a time (RFC 3339)"


class Partition:
    """One partition as a source; `offset` is its whole position."""

    format = LIVE_FORMAT

    def __init__(self, reader: TopicReader, partition: int, offset: int) -> None:
        self.name = f"{reader.address.plain}/{partition}"
        self.partition = partition
        self._reader = reader
        self._offset = offset

    @property
    def position(self) -> Position:
        """The offset of the next record."""
        return {"offset": self._offset}

    def read(self, most: int) -> Records | None:
        """Give what waits, at most about `most` records; None if nothing does."""
        records = self._reader.take(self.partition, most)
        if records is not None:
            self._offset = records.offset(records.count - 1) + 1
        return records

    def seek(self, position: Position) -> None:
        """Begin at an offset; only before `begin`."""
        self._offset = int(position["offset"])

    def begin(self) -> None:
        """Let the reader fetch from here on."""
        self._reader.add(self.partition, self._offset)

    def quiet(self, idle: int) -> int | None:
        """Give the clock (ms) up to which the reader has stood at the end of the log for `idle` ms; None if not."""
        return self._reader.quiet(self.partition, idle)

    def hold(self, held: bool) -> None:  # noqa: FBT001  # a switch
        """Fetch nothing more of it for now, or go on."""
        self._reader.hold(self.partition, held)

    def close(self) -> None:
        """Do nothing: the topic closes the reader."""


@dataclass(slots=True)
class Topic:
    """A topic that a run reads, with the feeds of its partitions.

    `make` gives the feed of a partition. `note` is written beside the group's offsets, so that the offsets of another
    topology are known as such.
    """

    plan: StreamPlan
    reader: TopicReader
    make: Callable[[Partition, str], Feed]
    note: str
    begin: str
    feeds: dict[str, Feed] = field(default_factory=dict)

    def open(self) -> Mapping[str, Feed]:
        """Give the feeds of all partitions, each where the source's `from` says; a state may seek elsewhere."""
        numbers = self.reader.partitions()
        for number, offset in self._offsets(numbers).items():
            self._add(Partition(self.reader, number, offset))
        return self.feeds

    def start(self) -> None:
        """Begin to fetch, from where the feeds stand now."""
        for partition in self._partitions():
            partition.begin()
        self.reader.start()

    def grown(self) -> Mapping[str, Feed]:
        """Give the feeds of partitions that are new; they are read from their beginning."""
        new = {}
        for number, first in self.reader.discovered().items():
            partition = Partition(self.reader, number, first)
            name = self._add(partition)
            new[name] = self.feeds[name]
            partition.begin()
        return new

    def commit(self, positions: Mapping[str, Position]) -> None:
        """Note how far all is durable, by the names of feeds."""
        self.reader.commit(
            {int(name.rpartition("/")[2]): int(at["offset"]) for name, at in positions.items() if name in self.feeds},
            self.note,
        )

    def _partitions(self) -> list[Partition]:
        return [feed.source for feed in self.feeds.values() if isinstance(feed.source, Partition)]

    def _add(self, partition: Partition) -> str:
        name = f"{self.plan.name}/{partition.partition}"
        self.feeds[name] = self.make(partition, f"kafka:{self.reader.cluster}/{self.reader.address.topic}")
        return name

    def _offsets(self, numbers: list[int]) -> dict[int, int]:
        match self.begin:
            case "earliest":
                return {number: self.reader.bounds(number)[0] for number in numbers}
            case "latest":
                return {number: self.reader.bounds(number)[1] for number in numbers}
            case "stored":
                stored = self.reader.committed(numbers)
                for _, note in stored.values():
                    if note != self.note:
                        raise SourceError(
                            f"{self.reader.address.plain}: the stored offsets are those of another topology or version "
                            f"({note or 'no note'}): give ?from=earliest, latest or a time"
                        )
                return {
                    number: stored[number][0] if number in stored else self.reader.bounds(number)[0]
                    for number in numbers
                }
        at = _moment(self.begin, self.reader.address.plain)
        return {number: self.reader.at_time(number, at) for number in numbers}


def open_topic(plan: Plan, stream: StreamPlan, uri: str, make: Callable[[Partition, str], Feed], bell: Event) -> Topic:
    """Open `kafka://HOST/TOPIC[?from=earliest|latest|stored|TIME]` for a stream; SourceError if it cannot be."""
    address = parse_address(uri)
    address.refuse_options_but("from")
    require_format(stream)
    reader = TopicReader(address, f"tocsin-{plan.name}-local", bell)  # that of workers is theirs: they go on by it
    note = f"tocsin {plan.name} {plan.version}"
    return Topic(stream, reader, make, note, address.options.get("from", "earliest"))


def require_format(stream: StreamPlan) -> None:
    """Raise SourceError if the stream's records cannot be read from messages."""
    if stream.format not in FORMATS:
        raise SourceError(
            f"stream {stream.name}: values of format {stream.format} cannot be read from Kafka yet, only json"
        )


def _moment(text: str, place: str) -> int:
    try:
        return read_timestamp(text)
    except Bad:
        raise SourceError(f"{place}: from={text} is not {BEGINNINGS}") from None
