"""What agents get: the records of one partition that one fetch brought, and its way to the one decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from streams.codecs.reasons import Dead, Reason
from streams.sources.contract import KEPT_MOST, RECORD_MOST, Records

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    def values_from(self, offset: int) -> list[bytes]:
        """Give the values of the records from an offset on; tombstones left out."""
        return [record.value for record in self.records if record.offset >= offset and record.value is not None]

    def raw_from(self, offset: int, header: tuple[str, ...] = (), most: int = RECORD_MOST) -> Records | None:
        """Give the records from an offset on as the decoder takes them; None if there are none.

        A tombstone and a record of more than `most` bytes are dead; a blank line stands in their place.
        """
        taken = self.records
        if taken[0].offset < offset:
            taken = [record for record in taken if record.offset >= offset]
            if not taken:
                return None
        values = [record.value or b"" for record in taken]
        offsets = [record.offset for record in taken]
        stamps = [record.timestamp for record in taken]
        times = [None if at == NO_TIMESTAMP else at for at in stamps] if NO_TIMESTAMP in stamps else stamps
        dead: tuple[Dead, ...] = ()
        if not all(values) or max(map(len, values)) > most:
            dead = tuple(_dead(record, most) for record in taken if _bad(record.value, most))
            values = [b"" if _bad(value, most) else value for value in values]
        return Records.of(values, offsets, times, header, dead)


def _bad(value: bytes | None, most: int) -> bool:
    return not value or len(value) > most


def _dead(record: Record, most: int) -> Dead:
    value, offset = record.value, record.offset
    if value is None:
        what = "a message without a value, which deletes from tables only"
        return Dead(offset, Reason.TOMBSTONE, "", what, None, b"")
    if not value:
        return Dead(offset, Reason.EMPTY, "", "a message of no bytes", None, b"")
    detail = f"{len(value)} bytes, the limit is {most}; the first {KEPT_MOST} are kept"
    return Dead(offset, Reason.TOO_LONG, "", detail, None, value[:KEPT_MOST])
