"""The state of a task as values of a table, so that a commit writes what has changed, in messages that Kafka takes.

    PARTITION|OWNER|head        what the state is: end offset, watermarks, outbox, which frames lie where
    PARTITION|OWNER|SEGMENT|i   a segment: changed frames of one commit as bytes, cut into chunks

Frames are never changed in place, so one that is still the same object is not written again. The head comes last, when
all it names is durable: without it, a commit did not happen. What a head no longer names is deleted after it.

An *owner* is one life of a task in one worker. Each writes under a name of its own and rises an epoch, and the head of
the greatest epoch counts: what a worker still writes that lost its partition without knowing is never read, and what it
deletes was its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from operators import state
from tocsin.errors import StateError
from tocsin.model.keys import HASH_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

CHUNK_MOST = 400 << 10
"""Bytes of one value: two of them fit into a message of Kafka's default limit, whatever the compression."""
HEAD = "head"
_BETWEEN = "\t"

Values = dict[bytes, bytes]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a frame lies: its name, the segment, its number in it."""

    name: str
    segment: int
    number: int


class Segment(msgspec.Struct, array_like=True):
    """A segment: into how many chunks it was cut, bytes of all frames in it, and of those that are still named."""

    chunks: int
    size: int
    live: int = 0


class Head(msgspec.Struct):
    """A commit.

    `epoch`, `generation`: of the owner. `hash`: that by which keys are spread. `plain`: what the task says of itself
    beside its frames.
    """

    epoch: int
    generation: int
    hash: str
    plain: msgspec.Raw
    frames: list[Place]
    segments: dict[int, Segment]


_HEAD = msgspec.json.Decoder(Head)


class Owner(NamedTuple):
    """Who writes: a name that nobody else has, and the generation of the consumer group in which it began."""

    name: str
    generation: int


class Loaded(NamedTuple):
    """A commit as it was found."""

    owner: str
    head: Head
    frames: dict[tuple[str, ...], pl.DataFrame]


class Write(NamedTuple):
    """A commit to be written: first `values`, then `head`, then `stale` may go."""

    values: Values
    head: tuple[bytes, bytes]
    stale: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """How many bytes are written."""
        return sum(map(len, self.values.values())) + len(self.head[1])


@dataclass(slots=True)
class Keeper:
    """Writes the commits of one task; `stale`: keys of owners before, which go with the first commit."""

    partition: int
    owner: Owner
    epoch: int = 0
    stale: tuple[bytes, ...] = ()
    _known: dict[int, tuple[pl.DataFrame, Place, int]] = field(default_factory=dict)
    _segments: dict[int, Segment] = field(default_factory=dict)
    _next: int = 0

    def write(self, frames: Mapping[tuple[str, ...], pl.DataFrame], plain: bytes) -> Write:
        """Give what a commit has to write; it must be written before the next one is asked for."""
        held = self._kept(frames)
        changed = {_BETWEEN.join(path): frame for path, frame in frames.items() if id(frame) not in held}
        values: Values = {}
        if changed:
            segment, self._next = self._next, self._next + 1
            data, sizes = state.dump(changed, "lz4"), _sizes(changed)
            chunks = [data[at : at + CHUNK_MOST] for at in range(0, len(data), CHUNK_MOST)]
            values = {self._key(str(segment), str(at)): chunk for at, chunk in enumerate(chunks)}
            self._segments[segment] = Segment(len(chunks), sum(sizes))
            for number, (name, size) in enumerate(zip(changed, sizes, strict=True)):
                frame = frames[tuple(name.split(_BETWEEN))]
                held[id(frame)] = frame, Place(name, segment, number), size
        named = [
            Place(_BETWEEN.join(path), held[id(frame)][1].segment, held[id(frame)][1].number)
            for path, frame in frames.items()
        ]
        self._known = held
        gone = self._forget_dead()
        head = Head(self.epoch, self.owner.generation, HASH_VERSION, msgspec.Raw(plain), named, self._segments)
        stale, self.stale = (*self.stale, *gone), ()
        return Write(values, (self._key(HEAD), msgspec.json.encode(head)), stale)

    def _kept(self, frames: Mapping[tuple[str, ...], pl.DataFrame]) -> dict[int, tuple[pl.DataFrame, Place, int]]:
        """Give the frames that need not be written: the same objects, in segments of which half is still named."""
        same = {id(frame): self._known[id(frame)] for frame in frames.values() if id(frame) in self._known}
        for segment in self._segments.values():
            segment.live = 0
        for _, place, size in same.values():
            self._segments[place.segment].live += size
        return {
            key: found
            for key, found in same.items()
            if 2 * self._segments[found[1].segment].live >= self._segments[found[1].segment].size
        }

    def _forget_dead(self) -> list[bytes]:
        """Let go of segments that hold nothing any more; give the keys of their chunks."""
        used = {place.segment for _, place, _ in self._known.values()}
        dead = [segment for segment in self._segments if segment not in used]
        return [
            self._key(str(segment), str(at)) for segment in dead for at in range(self._segments.pop(segment).chunks)
        ]

    def _key(self, *parts: str) -> bytes:
        return "|".join([str(self.partition), self.owner.name, *parts]).encode()


def load(values: Mapping[bytes, bytes], partition: int) -> Loaded | None:
    """Find the commit that counts among the values of a table; None if there is none.

    StateError: what it names is not there, or damaged; or keys are spread otherwise now.
    """
    heads = [(owner, _head(value)) for owner, part, value in _of(values, partition) if part == HEAD]
    if not heads:
        return None
    owner, head = max(heads, key=lambda one: (one[1].epoch, one[1].generation))
    if head.hash != HASH_VERSION:
        raise StateError(
            f"the state spreads keys by {head.hash}, this program by {HASH_VERSION}: go on with the program of then, "
            "or begin anew"
        )
    segments = {number: _segment(values, partition, owner, number, one) for number, one in head.segments.items()}
    frames = {tuple(place.name.split(_BETWEEN)): segments[place.segment][place.number] for place in head.frames}
    return Loaded(owner, head, frames)


def owner_of(values: Mapping[bytes, bytes], partition: int) -> str | None:
    """Name the owner of the commit that counts; None if there is none."""
    heads = [(_head(value), owner) for owner, part, value in _of(values, partition) if part == HEAD]
    return max(((head.epoch, head.generation, owner) for head, owner in heads), default=(0, 0, None))[2]


def keys_of(values: Mapping[bytes, bytes], partition: int) -> tuple[bytes, ...]:
    """Give all keys of a partition."""
    begin = f"{partition}|".encode()
    return tuple(key for key in values if key.startswith(begin))


def _of(values: Mapping[bytes, bytes], partition: int) -> Iterator[tuple[str, str, bytes]]:
    for key in keys_of(values, partition):
        _, owner, part, *_ = key.decode().split("|")
        yield owner, part, values[key]


def _head(value: bytes) -> Head:
    try:
        return _HEAD.decode(value)
    except msgspec.DecodeError as error:
        raise StateError(f"the table of this group holds a state that is none of ours, or damaged: {error}") from error


def _segment(
    values: Mapping[bytes, bytes], partition: int, owner: str, number: int, segment: Segment
) -> Sequence[pl.DataFrame]:
    keys = [f"{partition}|{owner}|{number}|{at}".encode() for at in range(segment.chunks)]
    missing = [key for key in keys if key not in values]
    if missing:
        raise StateError(
            f"the state of partition {partition} is damaged: {len(missing)} of {len(keys)} parts of segment {number} "
            "are missing from the changelog; begin anew"
        )
    return list(state.restore(b"".join(values[key] for key in keys)).values())


def _sizes(frames: Mapping[str, pl.DataFrame]) -> list[int]:
    return [max(1, int(frame.estimated_size())) for frame in frames.values()]
