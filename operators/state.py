"""State of operators as bytes and back, without loss.

    magic "TOCSINST" | format version u16 | length of header u32 | header JSON | Arrow IPC streams of all frames

The header holds the version of the key hash, and each frame's name, length and CRC-32. Int128 columns pass unchanged.

Any thread may dump while others use Polars: frames are written to a file without a name, whose descriptor Polars writes
to by itself. It would call a buffer in memory back from a thread of its pool, which needs the interpreter's lock while
another thread may hold that and wait for the pool (decision 7).
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Literal

import msgspec
import polars as pl

from tocsin.errors import StateError
from tocsin.model.keys import HASH_VERSION

if TYPE_CHECKING:
    from operators.contract import State

Compression = Literal["uncompressed", "lz4", "zstd"]
MAGIC = b"TOCSINST"
FORMAT = 4
_PREFIX = struct.Struct(">8sHI")


class _Frame(msgspec.Struct, frozen=True):
    name: str
    length: int
    crc: int


class _Header(msgspec.Struct, frozen=True):
    hash: str
    frames: tuple[_Frame, ...]


_HEADER = msgspec.json.Decoder(_Header)


def dump(state: State, compression: Compression = "uncompressed") -> bytes:
    """Give the state as bytes."""
    bodies = _bodies(state, compression)
    frames = tuple(_Frame(name, len(body), zlib.crc32(body)) for name, body in zip(state, bodies, strict=True))
    header = msgspec.json.encode(_Header(HASH_VERSION, frames))
    sealed = header + zlib.crc32(header).to_bytes(4, "big")
    return b"".join([_PREFIX.pack(MAGIC, FORMAT, len(sealed)), sealed, *bodies])


def restore(data: bytes) -> State:
    """Give the state that `dump` was given; StateError if the bytes are damaged or of another format."""
    header, at = _header(data)
    frames: dict[str, pl.DataFrame] = {}
    for frame in header.frames:
        body = data[at : at + frame.length]
        if len(body) != frame.length or zlib.crc32(body) != frame.crc:
            raise StateError(
                f"the state is damaged: frame {frame.name!r} is not what was written; use an older snapshot"
            )
        frames[frame.name] = pl.read_ipc_stream(body)
        at += frame.length
    if at != len(data):
        raise StateError("the state is damaged: there is more after its last frame; use an older snapshot")
    return frames


def hash_version(data: bytes) -> str:
    """Give the version of the key hash that the state was cut into buckets with; another one means: bucket it anew."""
    return _header(data)[0].hash


def _bodies(state: State, compression: Compression) -> list[bytes]:
    ends = [0]
    with _nameless() as file:
        for frame in state.values():
            frame.clone().write_ipc_stream(file, compression=compression)  # Polars locks what it writes
            ends.append(file.seek(0, os.SEEK_END))
        return [os.pread(file.fileno(), end - start, start) for start, end in pairwise(ends)]


def _nameless() -> BinaryIO:
    """Open a file that nobody else sees: in memory where the system has such, else in the folder of temporary files."""
    if sys.platform == "linux":
        return open(os.memfd_create("state"), "w+b", buffering=0)  # noqa: PTH123  # a descriptor, no path
    return tempfile.TemporaryFile(buffering=0)


def _header(data: bytes) -> tuple[_Header, int]:
    """Give the header and where the first frame begins."""
    if len(data) < _PREFIX.size:
        raise StateError("the state is damaged: it is shorter than its header; use an older snapshot")
    magic, version, length = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise StateError("these bytes are no state of an operator")
    if version != FORMAT:
        raise StateError(f"the state has format {version}, this program reads {FORMAT}; start from the source again")
    end = _PREFIX.size + length
    text, crc = data[_PREFIX.size : end - 4], data[end - 4 : end]
    if len(data) < end or zlib.crc32(text).to_bytes(4, "big") != crc:
        raise StateError("the state is damaged: its header is not what was written; use an older snapshot")
    return _HEADER.decode(text), end
