"""The manifest: the one file that says what the last commit was. It is replaced whole, by rename."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from sinks.at_most import Flood  # noqa: TC001  # as below
from streams.local.segments import Ref  # noqa: TC001  # msgspec reads the annotations
from tocsin.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 4
"""Version of the layout of a state folder. Another one is refused: reading it by guess would be worse."""

NAME = "manifest.json"


class SinkEntry(msgspec.Struct, frozen=True):
    """How far a sink was at the commit; `passed` is the memory of its `where`, `met` and `flood` that of `at_most`."""

    position: int
    bookmark: str
    passed: Ref
    met: Ref
    flood: Flood


class OutboxEntry(msgspec.Struct, frozen=True):
    """One piece of the outbox."""

    start: int
    rows: Ref


class FrameEntry(msgspec.Struct, frozen=True):
    """One frame of the state under its name: stage, bucket, operator, frame, or whatever the host chose."""

    name: tuple[str, ...]
    ref: Ref


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. Times are ms; `positions` and `meta` are the host's own."""

    format: int = FORMAT
    topology: str
    topology_hash: str
    hash_version: str
    number: int
    positions: dict[str, Any]
    outbox: tuple[OutboxEntry, ...]
    outbox_end: int
    sinks: dict[str, SinkEntry]
    frames: tuple[FrameEntry, ...]
    meta: dict[str, Any]

    def refs(self) -> set[Ref]:
        """Give all that this commit needs of the segments."""
        return (
            {entry.ref for entry in self.frames}
            | {entry.rows for entry in self.outbox}
            | {ref for entry in self.sinks.values() for ref in (entry.passed, entry.met)}
        )


class _Header(msgspec.Struct, frozen=True):
    format: int


_HEADER = msgspec.json.Decoder(_Header)
_MANIFEST = msgspec.json.Decoder(Manifest)


def write(folder: Path, manifest: Manifest) -> None:
    """Write a manifest beside the valid one, durable but not yet in force."""
    content = msgspec.json.encode(manifest)
    with _part(folder).open("wb") as file:
        file.write(content + f"\n{zlib.crc32(content)}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def put_in_force(folder: Path) -> None:
    """Replace the valid manifest by the one just written: this is the moment of the commit."""
    _part(folder).replace(folder / NAME)


def drop_part(folder: Path) -> None:
    """Remove what a failed `write` may have left."""
    _part(folder).unlink(missing_ok=True)


def read(folder: Path) -> Manifest | None:
    """Give the last commit, None if there was none; StateError if it is damaged or of another version."""
    path = folder / NAME
    try:
        content, checksum, *_ = path.read_bytes().split(b"\n")
        whole = int(checksum) == zlib.crc32(content)
    except FileNotFoundError:
        return None
    except ValueError:
        whole = False
    if not whole:
        raise StateError(f"{path} is damaged: restore it or start with a new folder")
    found = _HEADER.decode(content).format
    if found != FORMAT:
        raise StateError(f"{path} has the format {found}, this version of Tocsin reads {FORMAT}: use a new folder")
    return _MANIFEST.decode(content)


def _part(folder: Path) -> Path:
    return folder / f"{NAME}.part"
