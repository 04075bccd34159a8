"""What agents get, on its way to the one decoder."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from streams.codecs.reasons import Reason
from streams.faust.batches import NO_TIMESTAMP, Batch

if TYPE_CHECKING:
    from streams.faust.batches import Record


def batch(*records: tuple[int, bytes | None, bytes | None], stamp: int = 7) -> Batch:
    """Make a batch of (offset, key, value)."""
    made = [SimpleNamespace(offset=at, key=key, value=value, timestamp=stamp) for at, key, value in records]
    return Batch("p0", [cast("Record", one) for one in made], records[-1][0] + 1)


class TestRecordsOfABatch:
    def test_those_before_an_offset_are_known_already(self) -> None:
        one = batch((3, b"k3", b"{}"), (4, b"k4", b"[]"))
        raw = one.raw_from(4)
        assert raw is not None
        assert raw.ingested is not None
        assert (raw.blob, raw.first, raw.ingested.to_list()) == (b"[]\n", 4, [7])
        assert one.raw_from(5) is None
        assert one.values_from(4) == [b"[]"]

    def test_each_is_found_with_its_key_and_what_is_dead_already_has_it(self) -> None:
        raw = batch((3, b"k3", b"{}"), (4, b"k4", None), (9, None, b"")).raw_from(0)
        assert raw is not None
        assert raw.key_of is not None
        assert [raw.key_of(place) for place in range(3)] == [b"k3", b"k4", None]
        assert [(dead.offset, dead.reason, dead.key) for dead in raw.dead] == [
            (4, Reason.TOMBSTONE, b"k4"),
            (9, Reason.EMPTY, None),
        ]

    def test_a_record_may_have_no_time(self) -> None:
        raw = batch((3, None, b"{}"), stamp=NO_TIMESTAMP).raw_from(0)
        assert raw is not None
        assert raw.ingested is not None
        assert raw.ingested.to_list() == [None]
