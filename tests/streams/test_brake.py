"""The brake stops a run before a wrong schema drains its source into the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.brake import Brake
from streams.codecs.record import Layout
from streams.ingest.spec import IngestSpec
from streams.ingest.stage import Ingest
from streams.pseudonyms import Pseudonyms
from streams.sources.contract import Records
from tocsin.errors import BrakeError
from tocsin.model.types import STRING, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD, BAD = b'{"id": "e", "at": 1}', b'{"id": "e", "at": "yesterday"}'


def watch(fates: str, brake: Brake, *, size: int = 7) -> int:
    """Let records of these fates (g, b) pass in batches; give how many were watched."""
    ingest = Ingest(IngestSpec("payments", Layout({"id": STRING, "at": TIMESTAMP}, "at"), 0), Pseudonyms(b"k" * 16))
    state = ingest.initial()
    for first, part in batches(fates, size):
        step = ingest.step(Records(b"\n".join(GOOD if fate == "g" else BAD for fate in part), first), state)
        brake.watch(step)
        state = step.state
    return len(fates)


def batches(fates: str, size: int) -> Iterator[tuple[int, str]]:
    for first in range(0, len(fates), size):
        yield first, fates[first : first + size]


class TestABlock:
    def test_nearly_all_dead_stops_the_run_and_says_why_where_and_what_to_do(self) -> None:
        with pytest.raises(BrakeError, match=r"'payments': 19 of 20 .*wrong-type \(at\).*offset \d+.*tocsin dlq show"):
            watch("g" * 20 + "g" + "b" * 19, Brake("payments", block=20))

    @pytest.mark.parametrize("size", [1, 7, 20, 33, 100])
    def test_a_tenth_of_good_records_goes_on_however_they_are_batched(self, size: int) -> None:
        fates = ("gg" + "b" * 18) * 5
        assert watch(fates, Brake("payments", block=20), size=size) == 100

    @pytest.mark.parametrize("size", [1, 7, 20, 33, 100])
    def test_it_stops_by_the_number_of_records_not_by_batches(self, size: int) -> None:
        fates = "b" * 10 + "g" * 20 + "b" * 29  # the third block of 20 has 19 dead ones with the last record
        with pytest.raises(BrakeError):
            watch(fates, Brake("payments", block=20), size=size)
        assert watch(fates[:-1], Brake("payments", block=20), size=size) == 58


class TestTheEnd:
    def test_a_source_without_one_good_record_stops_the_run_however_short(self) -> None:
        brake = Brake("payments")
        watch("bbb", brake)
        with pytest.raises(BrakeError, match="all 3 records are dead letters"):
            brake.finish()

    def test_a_burst_of_bad_records_in_a_short_file_does_not(self) -> None:
        brake = Brake("payments")
        watch("b" * 90 + "g", brake)
        brake.finish()

    def test_an_empty_source_does_not(self) -> None:
        Brake("payments").finish()
