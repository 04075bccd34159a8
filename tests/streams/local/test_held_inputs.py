"""Of the live inputs, those that are too far ahead wait for those that lag."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from streams.local.dataflow import BEGINNING
from streams.local.inputs import Inputs

if TYPE_CHECKING:
    from streams.local.feed import Feed
    from streams.local.live import Topic

SKEW = 1_000


@dataclass
class Partition:
    """A live feed that stands somewhere; it is also its own plan, steps and source, as far as inputs look at them."""

    watermark: int
    held: bool = False
    ended: bool = False
    ready: bool = True
    skew: int = SKEW
    rows: int = 100_000
    live: Partition = field(init=False)
    plan: Partition = field(init=False)
    source: Partition = field(init=False)

    def __post_init__(self) -> None:
        """Be all of them."""
        self.live = self.plan = self.source = self

    def hold(self, held: bool) -> None:  # noqa: FBT001  # as the source has it
        """Note it."""
        self.held = held


def inputs(**partitions: Partition) -> Inputs:
    return Inputs(cast("dict[str, Feed]", partitions), topics=[cast("Topic", object())])


class TestSkew:
    def test_who_is_ahead_by_more_is_neither_read_nor_fetched_until_the_last_one_has_come(self) -> None:
        last, ahead = Partition(5_000), Partition(5_001 + SKEW)
        both = inputs(last=last, ahead=ahead)
        assert both.ready() == ["last"]
        assert (last.held, ahead.held) == (False, True)
        last.watermark += 1
        assert both.ready() == ["last", "ahead"]
        assert not ahead.held

    def test_who_is_at_its_end_holds_nobody(self) -> None:
        assert inputs(over=Partition(5_000, ended=True), ahead=Partition(90_000)).ready() == ["ahead"]

    def test_a_partition_without_a_record_stands_where_the_first_one_began(self) -> None:
        empty, other = Partition(BEGINNING), Partition(5_000)
        both = inputs(empty=empty, other=other)
        assert both.ready() == ["empty", "other"]
        other.watermark += SKEW + 1
        assert both.ready() == ["empty"]
        assert other.held
