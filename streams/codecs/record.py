"""One record, field by field: its physical values, or why it is dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.codecs.reasons import Bad, Dead, Reason
from streams.codecs.scalars import read_value
from streams.codecs.times import check_event_time, read_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.model.types import Type


@dataclass(frozen=True, slots=True)
class Layout:
    """What records hold: the fields, which of them is the event time, and which the id ("" for none).

    `ahead`: ms that an event time may be after the record's ingestion timestamp, where it has one (semantics 4).
    `keys`: further fields that may not be missing. Rows of tables have no event time: theirs is like any timestamp.
    """

    fields: Mapping[str, Type]
    time: str
    id: str = ""
    ahead: int = 3_600_000
    keys: tuple[str, ...] = ()

    def latest(self, ingested: int | None) -> int | None:
        """Give the greatest plausible event time of a record."""
        return None if ingested is None else ingested + self.ahead

    @property
    def required(self) -> tuple[str, ...]:
        """The fields that may not be missing."""
        return tuple(name for name in (self.time, self.id, *self.keys) if name)


def read_record(values: Mapping[str, object], layout: Layout, ingested: int | None = None) -> dict[str, object]:
    """Give the physical values of all fields; Bad of the first field, in declared order, that is not to be taken."""
    return {name: _read_field(values.get(name), name, layout, ingested) for name in layout.fields}


def _read_field(value: object, name: str, layout: Layout, ingested: int | None) -> object:
    try:
        read = read_value(value, layout.fields[name])
        if name == layout.time and isinstance(read, int):
            check_event_time(read, layout.latest(ingested))
    except Bad as bad:
        raise Bad(bad.reason, bad.detail, name) from None
    if read is None and name in layout.required:
        raise Bad(Reason.MISSING, "the record has none", name)
    return read


def event_time(values: Mapping[str, object], layout: Layout, ingested: int | None = None) -> int | None:
    """Give the event time of a record that is dead for whatever reason, None if it has no plausible one."""
    try:
        return check_event_time(read_timestamp(values[layout.time]), layout.latest(ingested))
    except (Bad, KeyError):
        return None


def dead_letter(bad: Bad, offset: int, raw: bytes, time: int | None = None) -> Dead:
    """Put down why the record at `offset` is dead."""
    return Dead(offset, str(bad.reason), bad.field, bad.detail, time, raw)
