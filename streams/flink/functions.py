"""The functions of a job: thin, around `hosting.py` and the sinks."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag
from pyflink.datastream.state import MapStateDescriptor

from monitoring.metrics import MemoryMetrics
from operators import state
from sinks.cloudevents import events
from sinks.delivery import Delivery
from streams.chosen_sinks import choose_sinks
from streams.flink.hosting import Hosting, Packet, Raised
from streams.flink.keeping import before_commit
from streams.flink.metrics import Reporter
from streams.flink.words import Word, refuse, say, words_of
from streams.tasks.key_check import KeyCheck, Told
from tocsin.errors import SinkUnavailable, TocsinError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from streams.flink.keeping import Kept, Store
    from streams.flink.order import Order

LOG = logging.getLogger("tocsin.flink")
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
KEYED = Types.ROW([Types.INT(), BYTES])
"""A Flink key, and something for it."""
MESSAGE = Types.ROW_NAMED(["key", "value", "headers"], [BYTES, BYTES, Types.MAP(Types.STRING(), BYTES)])
"""A Kafka message."""
WORD = Types.ROW_NAMED(["word"], [BYTES])
WORDS = OutputTag("words", WORD)
"""What tasks have to say to whoever started the job."""
DELIVERED = OutputTag("delivered", KEYED)
"""Transitions for sinks that are no Kafka topic, by the number of the sink, and KEYS."""
KEYS = -1
"""The key of what partitions tell of their keys; whoever serves the sinks compares it."""
LOOK_MS = 500
"""How often a task without news is looked at."""
FLUSH_LOOK_SECONDS = 0.005
AWAKE_MS = 20_000
ROWS = "rows"
_TOLD = msgspec.json.Decoder(Told)


def layer_tag(layer: int) -> OutputTag:
    """Give the output of packets for a layer of shards."""
    return OutputTag(f"layer-{layer}", KEYED)


def sink_tag(sink: int) -> OutputTag:
    """Give the output of messages for a Kafka sink."""
    return OutputTag(f"sink-{sink}", MESSAGE)


@contextmanager
def refusing(order: Order) -> Iterator[None]:
    """Tell whoever started the job of an error that another try would not mend."""
    try:
        yield
    except TocsinError as error:
        if not isinstance(error, SinkUnavailable):
            refuse(order.servers, words_of(order.group), order.run, error)
        raise


class TaskFunction(KeyedProcessFunction):  # type: ignore[misc]  # PyFlink has no types
    """Hosts tasks.

    `limits`: bytes of the largest message of each Kafka sink, by its number. `early`: whether early copies come from
    here.
    """

    def __init__(self, order: Order, limits: Mapping[int, int], *, early: bool) -> None:
        self._order = order
        self._limits = dict(limits)
        self._early = early

    def open(self, runtime_context: Any) -> None:  # noqa: ANN401  # PyFlink's
        """Make tasks' surroundings where they run; their states are written with each commit of Flink's."""
        self._attempt = runtime_context.get_attempt_number()
        if self._attempt:
            say(self._order.servers, words_of(self._order.group), Word(self._order.run, self._attempt))
        with refusing(self._order):
            self._hosting = Hosting(self._order, LOG.warning)
            if self._early:
                self._hosting.start_early()
        self._tags = {layer: layer_tag(layer) for layer in range(len(self._order.layout.layers))}
        self._sinks = {number: sink_tag(number) for number in self._limits}
        self._state = runtime_context.get_map_state(MapStateDescriptor("task", BYTES, BYTES))
        backend = runtime_context._keyed_state_backend  # noqa: SLF001  # see keeping.py

        def store_of(key: int) -> Store:
            backend.set_current_key(Row(key))
            store: Store = self._state
            return store

        before_commit(backend, lambda: self._hosting.keeping.write(store_of))
        self._reporter = Reporter.of(self._order, runtime_context, self._hosting.metrics)

    def close(self) -> None:
        """Let go of clients."""
        self._reporter.close()
        self._hosting.close()

    def process_element(self, value: bytes, ctx: Any) -> Iterator[Any]:  # noqa: ANN401
        """Take a pack or a packet; nothing at all only wakes the task."""
        with refusing(self._order):
            yield from self._taken(value, ctx)

    def _taken(self, value: bytes, ctx: Any) -> Iterator[Any]:  # noqa: ANN401
        key = ctx.get_current_key()
        known = key in self._hosting.keeping.kept
        kept = self._hosting.keeping.of(key, self._state)
        if not known:
            self._wake(ctx, LOOK_MS)
        if value:
            was = kept.fresh
            self._hosting.take(kept, value)
            if self._hosting.due(kept):
                yield from self._settled(kept)
            elif not was:
                self._wake(ctx, round(self._order.settle_seconds * 1000))

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:  # noqa: ANN401
        """Let time pass."""
        with refusing(self._order):
            yield from self._looked(timestamp, ctx)

    def _looked(self, timestamp: int, ctx: Any) -> Iterator[Any]:  # noqa: ANN401
        key = ctx.get_current_key()
        if not self._hosting.knows(key):
            self._hosting.let_go(key, dict(self._state.items()))
            self._state.clear()
            return
        kept = self._hosting.keeping.of(key, self._state)
        if timestamp % LOOK_MS == 0:
            self._hosting.look(kept, ctx.timer_service().current_processing_time())
            self._wake(ctx, LOOK_MS)
            if keys := self._hosting.told_keys():
                yield DELIVERED, Row(KEYS, msgspec.json.encode(keys))
        if self._hosting.due(kept):
            yield from self._settled(kept)

    @staticmethod
    def _wake(ctx: Any, within: int) -> None:  # noqa: ANN401
        """Come back; looks come at whole multiples of LOOK_MS, so that each task has one timer for them."""
        timers = ctx.timer_service()
        at = timers.current_processing_time() + within
        timers.register_processing_time_timer(at - at % LOOK_MS if within == LOOK_MS else at)

    def _settled(self, kept: Kept) -> Iterator[Any]:
        for leaving in self._hosting.settle(kept):
            if isinstance(leaving, Packet):
                yield self._tags[leaving.layer], Row(leaving.key, leaving.data)
            elif isinstance(leaving, Raised):
                yield from self._raised(leaving)
            else:
                yield WORDS, Row(msgspec.json.encode(Word(self._order.run, self._attempt, through=leaving.task)))

    def _raised(self, raised: Raised) -> Iterator[Any]:
        if raised.sink not in self._sinks:
            yield DELIVERED, Row(raised.sink, state.dump({ROWS: raised.rows}, "lz4"))
            return
        tag = self._sinks[raised.sink]
        self._hosting.handed_over(raised)
        for event in events(raised.rows, self._limits[raised.sink]):
            yield tag, Row(event.key, event.value, {name: text.encode() for name, text in event.headers})


class SinkFunction(KeyedProcessFunction):  # type: ignore[misc]  # PyFlink has no types
    """Carries transitions to a sink; a checkpoint waits until it has all of them. Compares the keys of partitions."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def open(self, runtime_context: Any) -> None:  # noqa: ANN401
        """Get ready where it runs."""
        self._deliveries: dict[int, Delivery] = {}
        self._keys = KeyCheck.of(self._order.layout)
        self._metrics = MemoryMetrics()
        self._reporter = Reporter.of(self._order, runtime_context, self._metrics)
        before_commit(runtime_context._keyed_state_backend, self._flush)  # noqa: SLF001  # see keeping.py

    def process_element(self, value: bytes, ctx: Any) -> Iterator[Any]:  # noqa: ANN401
        """Offer transitions, until they are taken; compare keys of partitions."""
        with refusing(self._order):
            if ctx.get_current_key() == KEYS:
                self._keys.hear(_TOLD.decode(value))
                return iter(())
            delivery = self._delivery(ctx.get_current_key(), ctx)
            rows: pl.DataFrame = state.restore(value)[ROWS]
            while not delivery.offer(rows, delivery.offered + rows.height, wait=1.0):
                LOG.warning("the sink %s is slow or away: %s", delivery.name, delivery.trouble)
        return iter(())

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:  # noqa: ANN401
        """Be called now and then: PyFlink closes a function to which nothing happens for a minute."""
        with refusing(self._order):
            delivery = self._deliveries.get(ctx.get_current_key())
            if delivery is not None:
                delivery.check()
                ctx.timer_service().register_processing_time_timer(timestamp + AWAKE_MS)
        return iter(())

    def _delivery(self, number: int, ctx: Any) -> Delivery:  # noqa: ANN401
        if number not in self._deliveries:
            timers = ctx.timer_service()
            timers.register_processing_time_timer(timers.current_processing_time() + AWAKE_MS)
            one = choose_sinks(self._order.plan, self._order.sinks)[number]
            self._deliveries[number] = Delivery(one.name, one.sink, at_most=one.at_most, metrics=self._metrics)
            self._deliveries[number].start()
        return self._deliveries[number]

    def _flush(self) -> None:
        for delivery in self._deliveries.values():
            self._flushed(delivery)

    def _flushed(self, delivery: Delivery) -> None:
        with refusing(self._order):
            while delivery.delivered < delivery.offered:
                delivery.check()
                time.sleep(FLUSH_LOOK_SECONDS)

    def close(self) -> None:
        """Let go of the sinks."""
        self._reporter.close()
        for delivery in self._deliveries.values():
            delivery.close(5.0)
