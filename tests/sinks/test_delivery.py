"""The delivery: nothing dropped, nothing said to be durable that is not, everything tried again."""

from __future__ import annotations

import threading
import time

import polars as pl
import pytest
from transition_rows import MemorySink, log, names

from monitoring import registry
from monitoring.metrics import MemoryMetrics
from sinks.backoff import Backoff
from sinks.contract import Batching
from sinks.delivery import Delivery, Progress
from sinks.pending import Limits, Pending
from sinks.where import Where
from tests.waiting import wait_until
from tocsin.errors import SinkError, SinkUnavailable

DOWN = SinkUnavailable("down")
NAME: dict[registry.Sink, str] = {"sink": "s"}


def never_waits(_: float) -> bool:
    return False


class BlockedSink(MemorySink):
    """Delivers nothing before `free` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def deliver(self, batch: pl.DataFrame) -> None:
        assert self.free.wait(5)
        super().deliver(batch)


class TestDelivering:
    """Batches arrive in order, positions follow."""

    def test_everything_arrives_in_order_and_is_confirmed(self) -> None:
        sink = MemorySink()
        delivery = Delivery("s", sink)
        delivery.start()
        for number in range(1, 30):
            assert delivery.offer(log(f"a{number}"), number)
        assert delivery.close()
        assert sink.rows == [f"a{number}" for number in range(1, 30)]
        assert delivery.progress.position == delivery.offered == 29
        assert delivery.progress.bookmark == str(len(sink.batches))
        assert sink.closed == 1

    def test_it_goes_on_where_the_commit_stood(self) -> None:
        sink = MemorySink()
        delivery = Delivery("s", sink, progress=Progress(7, bookmark="x"))
        delivery.start()
        assert delivery.offered == 7
        assert delivery.close()
        assert sink.opened_with == ["x"]
        assert delivery.delivered == 7

    def test_no_delivery_is_larger_than_the_sink_wants(self) -> None:
        class Small(MemorySink):
            batching = Batching(rows=2)

        sink = Small()
        delivery = Delivery("s", sink)
        delivery.start()
        delivery.offer(log("a1", "a2", "a3", "a4", "a5"), 5)
        assert delivery.close()
        assert [len(batch) for batch in sink.batches] == [2, 2, 1]

    def test_a_position_is_confirmed_only_when_all_before_it_is_durable(self) -> None:
        sink = BlockedSink()
        delivery = Delivery("s", sink)
        delivery.start()
        delivery.offer(log("a1"), 1)
        time.sleep(0.01)
        assert delivery.delivered == 0
        sink.free.set()
        wait_until(lambda: delivery.delivered == 1)
        assert delivery.close()

    def test_early_copies_have_no_position(self) -> None:
        sink = MemorySink()
        delivery = Delivery("s", sink)
        delivery.start()
        delivery.offer_early(log("a1*"))
        wait_until(lambda: sink.rows == ["a1*"])
        assert delivery.delivered == 0
        delivery.offer(log("a1"), 1)
        assert delivery.close()
        assert sink.rows == ["a1*", "a1"]

    def test_it_counts(self) -> None:
        metrics = MemoryMetrics()
        delivery = Delivery("s", MemorySink([DOWN]), metrics=metrics, pause=never_waits)
        delivery.start()
        delivery.offer(log("a1", "a2"), 2)
        delivery.close()
        assert metrics.value(registry.SINK_ROWS.of(NAME)) == 2
        assert metrics.value(registry.SINK_RETRIES.of(NAME)) == 1
        assert metrics.value(registry.SINK_QUEUE_ROWS.of(NAME)) == 0


class LookingSink(MemorySink):
    """Notes when it was to look back; is down the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.down = True

    def look_back(self, bookmark: str) -> None:
        if self.down:
            self.down = False
            raise DOWN
        self.batches.append([f"back to {bookmark}"])


class TestLookingBack:
    """Work that another process did goes on here."""

    def test_the_sink_looks_back_before_it_gets_what_is_offered_later(self) -> None:
        sink = LookingSink()
        delivery = Delivery("s", sink, pause=never_waits)
        delivery.start()
        delivery.offer(log("a1"), 1)
        wait_until(lambda: delivery.delivered == 1)
        delivery.look_back("7")
        delivery.offer(log("b1"), 2)
        assert delivery.close()
        assert sink.rows == ["a1", "back to 7", "b1"]

    def test_a_sink_that_knows_copies_by_itself_has_nothing_to_do(self) -> None:
        sink = MemorySink()
        delivery = Delivery("s", sink)
        delivery.start()
        delivery.look_back("7")
        delivery.offer(log("a1"), 1)
        assert delivery.close()
        assert sink.rows == ["a1"]


class TestWhere:
    """What a sink's `where` holds back counts as delivered; its memory belongs to the position."""

    def test_rows_that_do_not_pass_move_the_position(self) -> None:
        sink = MemorySink()
        delivery = Delivery("s", sink, where=Where(pl.col("alert_id") == "a"))
        delivery.start()
        delivery.offer(log("a1", "b1", "b2-"), 3)
        assert delivery.close()
        assert sink.rows == ["a1"]
        assert delivery.progress.position == 3
        assert delivery.progress.passed["alert_id"].to_list() == ["a"]

    def test_after_a_restart_the_same_transitions_pass(self) -> None:
        """The clearing was decided with a memory that later transitions have changed since."""
        red = Where(pl.col("level") == "red")
        parts = [(log("a1"), 1), (log("a2-"), 2), (log("b1"), 3)]
        for crashed_at in range(3):
            progress, rows = Progress(), []
            for begin, end in ((0, crashed_at), (crashed_at, 3)):
                sink = MemorySink()
                delivery = Delivery("s", sink, where=red, progress=progress)
                delivery.start()
                for part, position in parts[begin:end]:
                    delivery.offer(part, position)
                assert delivery.close()
                progress = delivery.progress
                rows += sink.rows
            assert rows == ["a1", "a2-", "b1"]


class TestTryingAgain:
    """A sink that is down is tried again; one that refuses stops the host."""

    def test_the_same_batch_comes_again_until_it_is_durable(self) -> None:
        sink = MemorySink([DOWN, DOWN, None])
        waits: list[float] = []

        def pause(seconds: float) -> bool:
            waits.append(seconds)
            return False

        delivery = Delivery("s", sink, pause=pause, backoff=Backoff(first=0.1, draw=lambda: 1.0))
        delivery.start()
        delivery.offer(log("a1"), 1)
        assert delivery.close()
        assert sink.rows == ["a1"]
        assert waits == pytest.approx([0.1, 0.2])
        assert delivery.trouble is None

    def test_a_sink_that_is_down_at_the_start_is_opened_later(self) -> None:
        sink = MemorySink(refuses=DOWN)

        def pause(_: float) -> bool:
            sink.refuses = None
            return False

        delivery = Delivery("s", sink, pause=pause)
        delivery.start()
        delivery.offer(log("a1"), 1)
        assert delivery.close()
        assert sink.rows == ["a1"]

    def test_a_sink_that_refuses_to_open_is_an_error_at_once(self) -> None:
        delivery = Delivery("s", MemorySink(refuses=SinkError("no such folder")))
        with pytest.raises(SinkError, match="no such folder"):
            delivery.start()

    @pytest.mark.parametrize("trouble", [SinkError("refused"), RuntimeError("refused")], ids=["error", "defect"])
    def test_an_error_for_good_surfaces_in_the_host(self, trouble: Exception) -> None:
        sink = MemorySink([trouble])
        delivery = Delivery("s", sink)
        delivery.start()
        delivery.offer(log("a1"), 1)
        wait_until(lambda: sink.closed == 1)
        for call in (delivery.check, delivery.close, lambda: delivery.offer(log("a2"), 2)):
            with pytest.raises(SinkError, match="refused"):
                call()
        assert delivery.delivered == 0

    def test_one_sink_does_not_wait_for_another(self) -> None:
        slow, quick = BlockedSink(), MemorySink()
        deliveries = [Delivery("slow", slow), Delivery("quick", quick)]
        for delivery in deliveries:
            delivery.start()
            delivery.offer(log("a1"), 1)
        wait_until(lambda: deliveries[1].delivered == 1)
        assert deliveries[0].delivered == 0
        slow.free.set()
        assert all(delivery.close() for delivery in deliveries)

    def test_closing_gives_up_at_its_deadline(self) -> None:
        """What the sink did not take stays in the outbox."""
        sink = MemorySink([DOWN] * 1000)
        delivery = Delivery("s", sink, backoff=Backoff(first=60, most=60, draw=lambda: 1.0))
        delivery.start()
        delivery.offer(log("a1"), 1)
        wait_until(lambda: delivery.trouble is not None)
        begin = time.monotonic()
        assert not delivery.close(deadline=0.05)
        assert time.monotonic() - begin < 2
        assert delivery.delivered == 0
        assert sink.closed == 1


class TestBackPressure:
    """A full queue says no; it never drops and never grows."""

    def test_an_offer_beyond_the_limit_is_refused_and_nothing_is_taken(self) -> None:
        sink = BlockedSink()
        delivery = Delivery("s", sink, limits=Limits(rows=2))
        delivery.start()
        delivery.offer(log("a1"), 1)
        wait_until(lambda: delivery._pending.rows == 0)  # the worker holds it now
        assert delivery.offer(log("a2", "a3"), 3)
        assert not delivery.offer(log("a4"), 4)
        assert delivery.offered == 3
        sink.free.set()
        assert delivery.offer(log("a4"), 4, wait=5)
        assert delivery.close()
        assert sink.rows == ["a1", "a2", "a3", "a4"]

    def test_bytes_are_a_limit_too(self) -> None:
        pending = Pending(Limits(bytes=1))
        assert pending.offer(log("a1"), 1)
        assert not pending.offer(log("a2"), 2)

    def test_a_batch_larger_than_the_limit_is_taken_alone(self) -> None:
        pending = Pending(Limits(rows=2))
        assert pending.offer(log("a1", "a2", "a3"), 3)
        assert not pending.offer(log("a4"), 4)

    def test_early_copies_are_given_up_when_the_queue_is_full(self) -> None:
        sink, metrics = BlockedSink(), MemoryMetrics()
        delivery = Delivery("s", sink, limits=Limits(rows=1), metrics=metrics)
        delivery.start()
        delivery.offer(log("a1"), 1)
        wait_until(lambda: delivery._pending.rows == 0)
        delivery.offer_early(log("b1*"))
        delivery.offer_early(log("c1*"))
        sink.free.set()
        assert delivery.close()
        assert sink.rows == ["a1", "b1*"]
        assert metrics.value(registry.SINK_EARLY_LOST.of(NAME)) == 1


class TestBatching:
    """A batch is due when it is large enough or old enough."""

    def test_a_batch_is_due_by_age_or_by_rows(self) -> None:
        now = [0.0]
        pending = Pending(clock=lambda: now[0])
        batching = Batching(rows=3, seconds=1.0)
        assert not pending.due(batching)
        pending.offer(log("a1"), 1)
        assert not pending.due(batching)
        now[0] = 1.0
        assert pending.due(batching)
        now[0] = 0.5
        pending.offer(log("a2", "a3"), 3)
        assert pending.due(batching)

    def test_when_closed_what_is_left_is_due_at_once(self) -> None:
        pending = Pending()
        pending.offer(log("a1"), 1)
        pending.close()
        assert [names(item.rows) for item in pending.take(Batching(seconds=60))] == [["a1"]]
        assert pending.take(Batching(seconds=60)) == []
        assert not pending.offer(log("a2"), 2)


class TestBackoff:
    """Exponential, capped, spread over the whole range."""

    def test_the_ceiling_doubles_up_to_the_most(self) -> None:
        backoff = Backoff(first=0.1, factor=2, most=1.0, draw=lambda: 1.0)
        assert [backoff.delay(attempt) for attempt in (0, 1, 2, 3, 4, 10**6)] == pytest.approx(
            [0.1, 0.2, 0.4, 0.8, 1, 1]
        )

    def test_jitter_covers_everything_from_zero(self) -> None:
        assert Backoff(first=4, draw=lambda: 0.0).delay(0) == 0
        assert Backoff(first=4, draw=lambda: 0.25).delay(0) == 1
