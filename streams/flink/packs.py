"""Consecutive records of a partition on their way from the reader to the source task.

Their bytes are laid out as `java/tocsin/flink/Pack.java` says.

They travel as the decoder takes them: one buffer of all values, and columns beside it. So no record is touched again
where they arrive.
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streams.kafka.payloads import joined
from streams.sources.contract import RECORD_MOST, Records
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

MARK = int.from_bytes(b"TOC1", "little")
NO_STAMP = -1
"""As Kafka's protocol has it of a record without a time."""
NOTHING = -1
"""The length of a key or value that is not there."""
_HEAD_BYTES, _RECORD_BYTES = 16, 24


class Pack:
    """A pack that has come. `first`, `end`: offsets of its first record, and behind its last one.

    `offsets`, `stamps`: of each record, the latter in ms since the epoch or NO_STAMP. StateError if the bytes are none.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        mark, count, self._value_bytes, _ = np.frombuffer(data[:_HEAD_BYTES].ljust(_HEAD_BYTES), dtype="<i4").tolist()
        if mark != MARK or count < 1 or len(data) < _HEAD_BYTES + _RECORD_BYTES * count + self._value_bytes:
            raise StateError(
                "records that wait in the state are damaged, or of another version: take the tocsin that wrote it, or "
                "another --state"
            )
        at = _HEAD_BYTES
        self.offsets: npt.NDArray[np.int64] = np.frombuffer(data, "<i8", count, at)
        self.stamps: npt.NDArray[np.int64] = np.frombuffer(data, "<i8", count, at + 8 * count)
        self._lengths: npt.NDArray[np.int32] = np.frombuffer(data, "<i4", count, at + 16 * count)
        self._key_lengths: npt.NDArray[np.int32] = np.frombuffer(data, "<i4", count, at + 20 * count)
        self._values_at = at + _RECORD_BYTES * count
        self.first, self.end = int(self.offsets[0]), int(self.offsets[-1]) + 1

    @property
    def count(self) -> int:
        """The number of records."""
        return len(self.offsets)

    @cached_property
    def _key_ends(self) -> npt.NDArray[np.int64]:
        ends: npt.NDArray[np.int64] = np.cumsum(np.maximum(self._key_lengths, 0), dtype=np.int64)
        ends += self._values_at + self._value_bytes
        return ends

    def key(self, place: int) -> bytes | None:
        """Give the key of a record by its place."""
        length, end = int(self._key_lengths[place]), int(self._key_ends[place])
        return None if length == NOTHING else self._data[end - length : end]

    def records(self) -> Records:
        """Give them as the decoder takes them; what `joined` says of bad ones and of newlines holds."""
        blob = self._data[self._values_at : self._values_at + self._value_bytes]
        ingested = pl.Series("ingested", self.stamps)
        if (none := self.stamps == NO_STAMP).any():
            ingested = ingested.set(pl.Series(none), None)
        fits = self._lengths.min() > 0 and self._lengths.max() <= RECORD_MOST
        if not fits or blob.count(b"\n") != self.count:
            keys = [self.key(place) for place in range(self.count)]
            return joined(self._values(blob), self.offsets.tolist(), ingested.to_list(), keys)
        gaps = self.end - self.first != self.count
        offsets = pl.Series("offset", self.offsets) if gaps else None
        return Records(blob, self.first, offsets=offsets, ingested=ingested, key_of=self.key)

    def _values(self, blob: bytes) -> Sequence[bytes | None]:
        ends = accumulate(max(length, 0) + 1 for length in self._lengths.tolist())
        return [
            None if length == NOTHING else blob[end - 1 - length : end - 1]
            for length, end in zip(self._lengths.tolist(), ends, strict=True)
        ]
