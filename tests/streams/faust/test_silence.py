"""Which partitions are idle, and which keys lie in two of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import polars as pl
import pytest

from streams.faust.skew import Skew
from streams.ingest.lateness import state_of
from streams.tasks.key_check import FEW, MOST, KeyCheck
from streams.tasks.silence import Silence
from streams.tasks.source_task import SourceTask
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from streams.faust.unit import Unit
    from tocsin.compiler.plan import StreamPlan


def unit(end: int) -> Unit:
    task = SourceTask.__new__(SourceTask)
    task.end, task.through = end, False
    task.stream = cast("StreamPlan", SimpleNamespace(idle=1000))
    return cast("Unit", SimpleNamespace(tp="p0", task=task))


class TestSilence:
    def test_a_partition_at_its_end_is_idle_after_a_while_by_the_clock(self) -> None:
        silence, one = Silence(), unit(5)
        assert silence.still([one]) == [], "the first look knows nothing"
        still = silence.still([one])
        assert silence.idle(still, {"p0": 0}, 10_000) == []
        assert silence.idle(silence.still([one]), {"p0": 0}, 10_999) == []
        assert silence.idle(silence.still([one]), {"p0": 0}, 11_000) == still

    def test_one_that_has_not_read_all_is_not(self) -> None:
        silence, one = Silence(), unit(5)
        silence.still([one])
        silence.idle(silence.still([one]), {"p0": 0}, 10_000)
        assert silence.idle(silence.still([one]), {"p0": 1}, 20_000) == []
        assert silence.idle(silence.still([one]), {"p0": 0}, 30_000) == [], "it begins anew"

    def test_one_that_has_read_while_the_ends_were_asked_is_not(self) -> None:
        silence, one = Silence(), unit(5)
        silence.still([one])
        silence.idle(silence.still([one]), {"p0": 0}, 10_000)
        still = silence.still([one])
        one.task.end = 6
        assert silence.idle(still, {"p0": 0}, 20_000) == []

    def test_one_that_reads_is_not(self) -> None:
        silence, one = Silence(), unit(5)
        silence.still([one])
        silence.idle(silence.still([one]), {"p0": 0}, 10_000)
        one.task.end = 6
        assert silence.still([one]) == []
        assert silence.idle(silence.still([one]), {"p0": 0}, 20_000) == []


class TestSkew:
    def units(self, *watermarks: int) -> list[Unit]:
        found = []
        for number, watermark in enumerate(watermarks):
            one = unit(0)
            task = cast("SourceTask", one.task)
            task.name, task.until, task.state = f"s/{number}", None, state_of(watermark + 1)
            task.stream = cast("StreamPlan", SimpleNamespace(lateness=0, skew=1000))
            one.tp = f"p{number}"
            found.append(one)
        return found

    def test_who_is_too_far_ahead_of_anybody_in_the_group_is_held_until_they_have_come(self) -> None:
        skew = Skew(exchanged=True)
        assert skew.look(self.units(0, 1_000, 1_001), {}) == {"p2"}
        assert skew.look(self.units(1, 1_000, 1_001), {"t/0": 500}) == set()
        assert skew.look(self.units(5_000, 5_000, 5_000), {"t/0": 500}) == {"p0", "p1", "p2"}

    def test_nobody_is_where_all_stages_stand_beside_partitions(self) -> None:
        assert Skew(exchanged=False).look(self.units(0, 9_000), {}) == set()


class TestKeys:
    STREAM = cast("StreamPlan", SimpleNamespace(partitioned_by=("card",)))

    def check(self) -> KeyCheck:
        return KeyCheck({"s": self.STREAM})

    def rows(self, first: int, end: int) -> pl.DataFrame:
        return pl.DataFrame({"card": [f"c{number}" for number in range(first, end)], "other": 1})

    def test_one_key_in_two_partitions_is_found_across_workers(self) -> None:
        one, other, listener = self.check(), self.check(), self.check()
        one.note("s", 0, self.rows(0, 10))
        other.note("s", 1, self.rows(9, 20))
        listener.hear(one.tell())
        with pytest.raises(
            SourceError, match=r"partitioned_by card, but one card has records in the partitions 0 and 1"
        ):
            listener.hear(other.tell())

    def test_keys_that_are_where_they_should_be_are_no_error(self) -> None:
        check = self.check()
        for _ in range(3):
            check.note("s", 0, self.rows(0, 10))
            check.note("s", 1, self.rows(10, 20))
            check.hear(check.tell())

    def test_of_many_keys_a_sample_is_kept(self) -> None:
        check = self.check()
        for begin in range(0, 500_000, 50_000):
            check.note("s", 0, self.rows(begin, begin + 50_000))
        (_, _, keys), *_ = check.tell()
        assert len(keys) <= MOST
        assert len(check._own["s", 0]) <= MOST
        assert len(check._own["s", 0]) >= FEW

    def test_what_needs_the_exchange_anyway_is_not_looked_at(self) -> None:
        check = self.check()
        check.note("t", 0, self.rows(0, 10))
        assert check.tell() == []
