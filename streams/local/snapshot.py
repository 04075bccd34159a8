"""What a commit holds, as the host sees it, and its translation into a manifest and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sinks.at_most import Memory
from sinks.delivery import Progress
from streams.local.manifest import FrameEntry, Manifest, OutboxEntry, SinkEntry
from streams.local.outbox import Chunk
from tocsin.model.keys import HASH_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from streams.local.segments import Ref


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose state it is: the topology's name, for messages, and the hash of all that the state depends on."""

    topology: str
    topology_hash: str

    def __str__(self) -> str:
        """Give name and hash as messages show them."""
        return f"{self.topology!r} ({self.topology_hash})"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a run needs to go on.

    `frames`: the state, immutable frames by name, `(stage, bucket, operator, frame)`. `positions`: per source, anything
    JSON can say. `outbox`: what not every sink has confirmed; `outbox_end` is the position of the next transition.
    `number` and `hash_version` are set by the store; where the latter is not today's, frames are in the buckets of
    another hash.
    """

    frames: Mapping[tuple[str, ...], pl.DataFrame]
    positions: Mapping[str, Any] = field(default_factory=dict)
    outbox: tuple[Chunk, ...] = ()
    outbox_end: int = 0
    sinks: Mapping[str, Progress] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    hash_version: str = HASH_VERSION

    def all_frames(self) -> Iterator[pl.DataFrame]:
        """Give every frame that has to be written, some perhaps twice."""
        yield from self.frames.values()
        yield from (chunk.rows for chunk in self.outbox)
        yield from (progress.passed for progress in self.sinks.values())
        yield from (progress.limited.met for progress in self.sinks.values())


def describe(snapshot: Snapshot, owner: Owner, number: int, refs: Mapping[int, Ref]) -> Manifest:
    """Give the manifest of commit `number`; `refs` by the identity of frames."""
    return Manifest(
        topology=owner.topology,
        topology_hash=owner.topology_hash,
        hash_version=HASH_VERSION,
        number=number,
        positions=dict(snapshot.positions),
        outbox=tuple(OutboxEntry(chunk.start, refs[id(chunk.rows)]) for chunk in snapshot.outbox),
        outbox_end=snapshot.outbox_end,
        sinks={
            name: SinkEntry(
                progress.position,
                progress.bookmark,
                refs[id(progress.passed)],
                refs[id(progress.limited.met)],
                progress.limited.flood,
            )
            for name, progress in snapshot.sinks.items()
        },
        frames=tuple(FrameEntry(name, refs[id(frame)]) for name, frame in snapshot.frames.items()),
        meta=dict(snapshot.meta),
    )


def restore(manifest: Manifest, frames: Mapping[Ref, pl.DataFrame]) -> Snapshot:
    """Give the snapshot of a manifest."""
    return Snapshot(
        frames={entry.name: frames[entry.ref] for entry in manifest.frames},
        positions=manifest.positions,
        outbox=tuple(Chunk(entry.start, frames[entry.rows]) for entry in manifest.outbox),
        outbox_end=manifest.outbox_end,
        sinks={
            name: Progress(entry.position, frames[entry.passed], entry.bookmark, Memory(frames[entry.met], entry.flood))
            for name, entry in manifest.sinks.items()
        },
        meta=manifest.meta,
        number=manifest.number,
        hash_version=manifest.hash_version,
    )
