"""Consecutive records of a partition on their way from the reader to the source task, as bytes and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from streams.kafka.payloads import joined

if TYPE_CHECKING:
    from streams.sources.contract import Records


class Pack(msgspec.Struct, array_like=True):
    """Consecutive records of a partition, at least one. `stamps`: ms, None where a record has none."""

    offsets: list[int]
    stamps: list[int | None]
    keys: list[bytes | None]
    values: list[bytes | None]

    @property
    def end(self) -> int:
        """The offset behind the last record."""
        return self.offsets[-1] + 1

    def records(self) -> Records:
        """Give them as the decoder takes them."""
        return joined(self.values, self.offsets, self.stamps, self.keys)


def unpack(data: bytes) -> Pack:
    """Read a pack again."""
    return _DECODER.decode(data)


_DECODER = msgspec.msgpack.Decoder(Pack)
