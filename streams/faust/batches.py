"""What agents get: the records of one partition that one fetch brought, and its way to the one decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from streams.kafka.payloads import joined
from streams.sources.contract import RECORD_MOST

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

    `begin`: where it went on behind those that it brought before, None if there were none.

    Faust sees it as one message: its offset and timestamp are those of the last record.
    """

    tp: Any
    records: Sequence[Record]
    end: int
    begin: int | None = None

    @property
    def last(self) -> Record:
        """The last record."""
        return self.records[-1]

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
        return joined(values, [record.offset for record in taken], stamps, keys, RECORD_MOST)


def refuse_gap(batch: Batch, expected: int) -> None:
    """Raise RuntimeError if a batch that was fetched before this one never came: a restart reads it again.

    Faust may drop what was fetched while a connection was lost and the group came together anew. Offsets that hold no
    record, such as marks of transactions, are no gap: the batch before ended behind them.
    """
    if batch.begin is not None and expected < batch.begin <= batch.records[0].offset:
        raise RuntimeError(
            f"{batch.tp.topic}/{batch.tp.partition}: the records from offset {expected} to {batch.begin} were fetched "
            "and did not arrive; the worker starts again from its last state"
        )
