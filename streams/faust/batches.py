"""What agents get: the records of one partition that one fetch brought, and its way to the one decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from streams.kafka.payloads import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.sources.contract import Records

NO_TIMESTAMP = -1


class Record(Protocol):
    """A record as the client parses it; `timestamp`: ms, -1 for none."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, at least one. `end`: where the reader goes on behind them.

    Faust sees it as one message: its offset and timestamp are those of the last record.
    """

    tp: Any
    records: Sequence[Record]
    end: int

    @property
    def last(self) -> Record:
        """The last record."""
        return self.records[-1]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.records)

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return sum(len(record.value or b"") for record in self.records)

    def values_from(self, offset: int) -> list[bytes]:
        """Give the values of the records from an offset on; tombstones left out."""
        return [record.value for record in self.records if record.offset >= offset and record.value is not None]

    def raw_from(self, offset: int) -> Records | None:
        """Give the records from an offset on as the decoder takes them; None if there are none."""
        taken = self.records
        if taken[0].offset < offset:
            taken = [record for record in taken if record.offset >= offset]
            if not taken:
                return None
        stamps = [None if record.timestamp == NO_TIMESTAMP else record.timestamp for record in taken]
        values, keys = [record.value for record in taken], [record.key for record in taken]
        return joined(values, [record.offset for record in taken], stamps, keys)
