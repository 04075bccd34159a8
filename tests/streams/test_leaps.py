"""One record with a time far ahead makes those after it late; that is said, with its place."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from streams.codecs.record import Layout
from streams.ingest.lateness import state_of
from streams.ingest.spec import IngestSpec
from streams.ingest.stage import Ingest
from streams.leaps import MANY, Leaps, Seen
from streams.pseudonyms import Pseudonyms
from streams.sources.contract import Records
from tocsin.model.types import INT64, STRING, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3_600_000
FAR = 4_070_908_800_000
"""2099-01-01."""


def said(times: Sequence[object], *, size: int = 7, before: int | None = None, again: int = -1) -> list[str]:
    """Let records of these times pass in batches, and the source end; give all that is said.

    `before`: the greatest time in the commit from which the run goes on. `again`: the offset at which it begins anew,
    from a commit.
    """
    layout = Layout({"id": STRING, "at": TIMESTAMP, "n": INT64}, "at", "id")
    ingest, leaps = Ingest(IngestSpec("payments", layout, 1000), Pseudonyms(b"k" * 16)), Leaps("payments", HOUR)
    state, sentences = ingest.initial(), list[str]()
    if before is not None:
        state = state_of(before)
        leaps.go_on(state, None)
    for first in range(0, len(times), size):
        if first == again:
            seen = msgspec.convert(msgspec.json.decode(msgspec.json.encode(leaps.seen)), Seen)
            leaps = Leaps("payments", HOUR)
            leaps.go_on(state, seen)
        lines = [json.dumps({"id": "e", "at": at}).encode() for at in times[first : first + size]]
        step = ingest.step(Records(b"\n".join(lines), first), state)
        sentences += leaps.watch(step)
        state = step.state
    return sentences + leaps.finish()


def numbers(sentence: str) -> tuple[int, int, int]:
    """Give the offset, how many are late, of how many."""
    found = re.search(r"at offset (\d+) .* by it ([\d,]+) of the ([\d,]+) records", sentence)
    assert found is not None, sentence
    offset, late, after = (int(number.replace(",", "")) for number in found.groups())
    return offset, late, after


@pytest.mark.parametrize("size", [1, 7, 1000])
class TestALeap:
    """A record far ahead of all before it, whatever the batches."""

    def test_that_makes_all_later_records_late_is_told_of_once_with_its_place(self, size: int) -> None:
        times = [1000 * n for n in range(30)]
        (sentence,) = said([*times[:20], FAR, *times[20:]], size=size)
        assert numbers(sentence) == (20, 10, 10)
        assert "is of 2099-01-01 00:00:00 UTC, " in sentence
        assert "after all before it" in sentence

    def test_may_be_the_first_record(self, size: int) -> None:
        (sentence,) = said([FAR, *(1000 * n for n in range(10))], size=size)
        assert numbers(sentence) == (0, 10, 10)

    def test_is_not_the_first_record_behind_a_commit(self, size: int) -> None:
        times = [100_500, *(1000 * n for n in range(20))]
        assert said(times, size=size, before=100_000) == []
        assert len(said(times, size=size)) == 1

    def test_may_be_by_a_record_that_is_dead_for_another_reason(self, size: int) -> None:
        layout = Layout({"id": STRING, "at": TIMESTAMP, "n": INT64}, "at", "id")
        ingest, leaps = Ingest(IngestSpec("payments", layout, 0), Pseudonyms(b"k" * 16)), Leaps("payments", HOUR)
        wrong = json.dumps({"id": "e", "at": FAR, "n": "many"}).encode()
        lines = [wrong, *(json.dumps({"id": "e", "at": n}).encode() for n in range(size % 20))]
        leaps.watch(ingest.step(Records(b"\n".join(lines), 0), ingest.initial()))
        assert [numbers(sentence)[0] for sentence in leaps.finish()] == ([0] if size % 20 else [])

    def test_after_a_silence_is_nothing_to_tell(self, size: int) -> None:
        day = [1000 * n for n in range(30)]
        late = [24 * HOUR + 1000 * n for n in (20, 30, 5, 40, 50)]
        assert said([*day, *late], size=size) == []

    def test_is_told_of_when_the_next_one_comes_too(self, size: int) -> None:
        ahead, much_later = [5 * HOUR, *(1000 * n for n in range(20, 50))], [24 * HOUR + 1000 * n for n in range(20)]
        sentences = said([*(1000 * n for n in range(20)), *ahead, *much_later], size=size)
        assert [numbers(sentence) for sentence in sentences] == [(20, 30, 30)]

    def test_that_makes_a_few_of_many_late_is_nothing_to_tell(self, size: int) -> None:
        times = [1000 * n for n in range(200)]
        assert said([*times[:197], FAR, *times[197:]], size=size) == []


class TestARunThatGoesOn:
    """From a commit, as if it had never stopped."""

    TIMES = (*(1000 * n for n in range(20)), FAR, *(1000 * n for n in range(20, 30)))

    @pytest.mark.parametrize("again", range(len(TIMES)))
    def test_tells_of_a_leap_before_it_once(self, again: int) -> None:
        assert said(self.TIMES, size=1, again=again) == said(self.TIMES, size=1)

    def test_says_nothing_twice(self) -> None:
        times = [*(1000 * n for n in range(20)), FAR, *(1000 * n for n in range(400))]
        assert len(said(times, size=1, again=20 + MANY + 50)) == 1


class TestALongStream:
    """Where the end is far away, or never comes."""

    def test_is_told_of_as_soon_as_many_records_are_late(self) -> None:
        times = [1000 * n for n in range(2000)]
        sentences = said([*times[:1700], FAR, *times[1700:]], size=10)
        (told,) = [numbers(sentence) for sentence in sentences]
        assert told[0] == 1700
        assert MANY <= told[1] < MANY + 10
