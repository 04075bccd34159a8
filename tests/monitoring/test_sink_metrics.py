"""What a delivery tells of a sink: whether it can be reached, and since when something waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import polars as pl
import pytest

from monitoring import registry
from monitoring.metrics import MemoryMetrics
from sinks.contract import Sink
from sinks.delivery import Delivery
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Callable

L = TypeVar("L", bound=str)

NAME = "redis://ann:secret@host/0"
LABELS: dict[registry.Sink, str] = {"sink": "redis://host/0"}
ROW = pl.DataFrame(schema=TRANSITIONS).clear(1)


class Scripted(Sink):
    """A sink that does what a test says at each delivery; opens after `closed` tries."""

    def __init__(self, *acts: Callable[[], None], closed: int = 0) -> None:
        self.acts, self.closed = list(acts), closed

    def open(self, bookmark: str = "") -> None:
        """Open, or not yet."""
        del bookmark
        self.closed -= 1
        if self.closed >= 0:
            raise SinkUnavailable("down")

    def deliver(self, batch: pl.DataFrame) -> None:
        """Do what is next."""
        if batch.height:
            self.acts.pop(0)()

    def close(self) -> None:
        """Be done."""


class History(MemoryMetrics):
    """Keeps how a sink went up and down."""

    def __init__(self) -> None:
        super().__init__()
        self.ups: list[float] = []

    def gauge(self, metric: registry.Gauge[L], value: float) -> None:
        """Set a gauge."""
        super().gauge(metric, value)
        if metric.name == registry.SINK_UP.name:
            self.ups.append(value)


class Recorded:
    """A delivery over one row, at monotonic time 50 and wall time 1000, and what was recorded when."""

    def __init__(self, sink: Scripted) -> None:
        self.metrics, self.now = History(), 50.0
        self.delivery = Delivery(
            NAME, sink, metrics=self.metrics, clock=lambda: self.now, wall=lambda: self.now + 950, pause=self.pause
        )

    def pause(self, seconds: float) -> bool:
        """Go on at once, ten seconds later."""
        del seconds
        self.now += 10
        return False

    @property
    def since(self) -> float:
        """Since when the oldest waits."""
        return self.metrics.value(registry.SINK_QUEUE_SINCE.of(LABELS))

    def run(self) -> None:
        """Deliver one row and close."""
        assert self.delivery.offer(ROW, 1)
        self.delivery.start()
        assert self.delivery.close()


def refuse() -> None:
    raise SinkUnavailable("down")


class TestUp:
    def test_a_sink_that_takes_what_comes_is_up(self) -> None:
        recorded = Recorded(Scripted(lambda: None))
        recorded.run()
        assert set(recorded.metrics.ups) == {1}

    def test_a_sink_is_down_between_two_tries_and_up_after_the_good_one(self) -> None:
        recorded = Recorded(Scripted(refuse, refuse, lambda: None))
        recorded.run()
        assert recorded.metrics.ups == [1, 0, 0, 1]
        assert recorded.metrics.value(registry.SINK_UP.of(LABELS)) == 1

    @pytest.mark.parametrize("tries", [1, 2])
    def test_a_sink_that_does_not_open_is_down_until_it_does(self, tries: int) -> None:
        recorded = Recorded(Scripted(lambda: None, closed=tries))
        recorded.run()
        assert recorded.metrics.ups[: tries + 1] == [0] * tries + [1]

    def test_a_sink_that_refused_for_good_stays_down(self) -> None:
        def end() -> None:
            raise SinkError("gone")

        recorded = Recorded(Scripted(end))
        with pytest.raises(SinkError):
            recorded.run()
        assert recorded.metrics.ups[-1] == 0


class TestSince:
    def test_it_is_when_the_oldest_was_offered_also_while_it_is_tried_again(self) -> None:
        found: list[float] = []
        recorded = Recorded(Scripted(refuse, refuse, lambda: found.append(recorded.since)))
        recorded.run()
        assert found == [pytest.approx(1000)]
        assert recorded.now == 70

    def test_an_early_copy_that_is_tried_again_counts_too(self) -> None:
        found: list[float] = []
        recorded = Recorded(Scripted(refuse, lambda: found.append(recorded.since)))
        recorded.delivery.offer_early(ROW)
        recorded.delivery.start()
        assert recorded.delivery.close()
        assert found == [pytest.approx(1000)]

    def test_it_is_nothing_when_nothing_waits(self) -> None:
        recorded = Recorded(Scripted(lambda: None))
        recorded.run()
        assert recorded.since == 0
