"""What travels between tasks: rows for the stages of one shard, as bytes and back.

    length of header u32 | header JSON | frames (`operators.state`), each named by stage and input

A task numbers what it sends to each shard from 0 on without a gap, so that a packet that comes twice is passed over and
one that is missing is noticed (semantics 3). `watermarks` are those of the sender's nodes after these rows; of
nodes that are `closed` nothing follows. `since`: from when on (ms) partitions count their `quality`, as far as the
sender knows.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from operators import state
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

Parts = dict[tuple[str, str], "pl.DataFrame"]
"""Prepared rows by stage and name of its input."""

PACKET_MOST = 512 << 10
"""Bytes of rows, about, that one packet holds: a batch that Kafka takes in its default settings (1 MB) has room."""
_LENGTH = struct.Struct(">I")
_BETWEEN = "\t"


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who sent it, its number among what that task sent to this shard, of which topology and how many shards."""

    sender: str
    number: int
    version: str
    shards: int
    watermarks: dict[str, int] = {}
    closed: list[str] = []
    since: int = 0


_HEADER = msgspec.json.Decoder(Header)


class Packet(NamedTuple):
    """A packet as it is read."""

    header: Header
    parts: Parts


def encode(header: Header, parts: Mapping[tuple[str, str], pl.DataFrame]) -> bytes:
    """Give a packet as bytes."""
    text = msgspec.json.encode(header)
    frames = {_BETWEEN.join(place): rows for place, rows in parts.items()}
    return b"".join([_LENGTH.pack(len(text)), text, state.dump(frames, "lz4") if frames else b""])


def decode(data: bytes) -> Packet:
    """Read a packet; StateError if it is damaged or none of ours."""
    try:
        (length,) = _LENGTH.unpack_from(data)
        header = _HEADER.decode(data[_LENGTH.size : _LENGTH.size + length])
    except (struct.error, msgspec.DecodeError) as error:
        raise StateError(f"the exchange holds a message that is no packet of ours: {error}") from error
    body = data[_LENGTH.size + length :]
    frames = state.restore(body) if body else {}
    return Packet(header, {_place(name): rows for name, rows in frames.items()})


def _place(name: str) -> tuple[str, str]:
    stage, _, item = name.partition(_BETWEEN)
    return stage, item


def cut(parts: Mapping[tuple[str, str], pl.DataFrame], most: int = PACKET_MOST) -> Iterator[Parts]:
    """Cut rows into packets of about `most` bytes, in order; at least one, which may be empty."""
    held: Parts = {}
    room = most
    for place, rows in parts.items():
        size = max(1, int(rows.estimated_size()))
        step = max(1, rows.height * most // size)
        for part in rows.iter_slices(step):
            bytes_ = size * part.height // max(1, rows.height)
            if held and (bytes_ > room or place in held):
                yield held
                held, room = {}, most
            held[place] = part
            room -= bytes_
    yield held
