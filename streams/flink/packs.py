"""Consecutive records of a partition on their way from the reader to the source task, as bytes and back.

They travel as the decoder takes them: one buffer of all values, and columns beside it. So no record is touched again
where they arrive.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from streams.codecs.reasons import Dead  # noqa: TC001  # msgspec reads the annotations
from streams.kafka.payloads import joined
from streams.sources.contract import Records
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

NO_STAMP = -1
"""As Kafka's protocol has it of a record without a time."""
NO_KEY = -1


class _Written(msgspec.Struct, array_like=True):
    """What of `Records` and their keys travels.

    `offsets`, `starts`: int64 each, empty where `Records` has None; `stamps`: int64, ms since the epoch or NO_STAMP;
    `keys`: one after the other, `lengths`: int32 of each, or NO_KEY. `looked`: whether early copies are made of them.
    """

    blob: bytes
    first: int
    end: int
    offsets: bytes
    starts: bytes
    stamps: bytes
    keys: bytes
    lengths: bytes
    dead: tuple[Dead, ...]
    looked: bool = False


def pack(
    values: Sequence[bytes | None],
    offsets: npt.NDArray[np.int64],
    stamps: npt.NDArray[np.int64],
    keys: Sequence[bytes | None],
    *,
    looked: bool = False,
) -> bytes:
    """Pack consecutive records of a partition, at least one.

    `stamps`: ms since the epoch, or NO_STAMP. `looked`: whether early copies are made of them already.
    """
    first, end = int(offsets[0]), int(offsets[-1]) + 1
    whole = end - first == len(offsets)
    raw = joined(values, range(first, end) if whole else offsets.tolist(), None, keys)
    written = _Written(
        raw.blob,
        first,
        end,
        b"" if whole else offsets.tobytes(),
        b"" if raw.starts is None else raw.starts.tobytes(),
        stamps.tobytes(),
        b"".join(filter(None, keys)),
        np.array([NO_KEY if key is None else len(key) for key in keys], dtype=np.int32).tobytes(),
        raw.dead,
        looked,
    )
    return _ENCODER.encode(written)


class Pack:
    """A pack that has come. `first`, `end`: offsets of its first record, and behind its last one.

    `stamps`: ms since the epoch, or NO_STAMP. `looked`: whether early copies were made before it came.
    StateError if the bytes are none.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._written = _DECODER.decode(data)
        except msgspec.DecodeError as error:
            raise StateError(f"records that wait in the state are damaged, or of another version: {error}") from error
        self.first, self.end = self._written.first, self._written.end
        self.looked = self._written.looked
        self.stamps: npt.NDArray[np.int64] = np.frombuffer(self._written.stamps, dtype=np.int64)

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum(np.maximum(self._lengths, 0), dtype=np.int64)

    @property
    def _lengths(self) -> npt.NDArray[np.int32]:
        return np.frombuffer(self._written.lengths, dtype=np.int32)

    def key(self, place: int) -> bytes | None:
        """Give the key of a record by its place."""
        length = int(self._lengths[place])
        end = int(self._ends[place])
        return None if length == NO_KEY else self._written.keys[end - length : end]

    def records(self) -> Records:
        """Give them as the decoder takes them."""
        written = self._written
        ingested = pl.Series("ingested", self.stamps)
        if (none := self.stamps == NO_STAMP).any():
            ingested = ingested.set(pl.Series(none), None)
        return Records(
            written.blob,
            written.first,
            starts=np.frombuffer(written.starts, dtype=np.int64) if written.starts else None,
            offsets=pl.Series("offset", np.frombuffer(written.offsets, dtype=np.int64)) if written.offsets else None,
            ingested=ingested,
            dead=written.dead,
            key_of=self.key,
        )


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Written)
