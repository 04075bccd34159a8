"""The sinks of a run: those of the command line, or else those of the topology with their `where` and `at_most`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sinks.at_most import AtMost
from sinks.contract import HERE
from sinks.delivery import Delivery, Progress
from sinks.opening import make_sink, open_sink
from sinks.where import Where
from tocsin.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

    from monitoring.metrics import Metrics
    from sinks.contract import Sink
    from tocsin.compiler import Plan
    from tocsin.compiler.plan import SinkPlan

_ONE_WRITER = ("ndjson", "file", "clickhouse")


class ChosenSink(NamedTuple):
    """A sink that is not open yet, and what of the log it gets."""

    name: str
    sink: Sink
    where: Where | None = None
    at_most: AtMost | None = None


def sink_uris(plan: Plan, uris: Sequence[str]) -> list[str]:
    """Give the sinks of a run as URIs: `uris`, or those of the plan where there are none."""
    return list(uris) or [f"{sink.kind}:{sink.target}" for sink in plan.sinks]


def is_written_by_one(uri: str) -> bool:
    """Whether one process alone can write to a sink: a file, an embedded ClickHouse."""
    kind, _, target = uri.partition(":")
    return kind in _ONE_WRITER and "//" not in target


def choose_sinks(plan: Plan, uris: Sequence[str]) -> list[ChosenSink]:
    """Make the sinks of `uris`, or those of the plan where there are none; SinkError if one is given twice."""
    chosen = [ChosenSink(uri, open_sink(uri)) for uri in uris] or [_declared(sink) for sink in plan.sinks]
    names = [sink.name for sink in chosen]
    if len(set(names)) < len(names):
        raise SinkError(f"one sink is given twice: {', '.join(names)}")
    return chosen


def _declared(sink: SinkPlan) -> ChosenSink:
    where = None if sink.where is None else Where(sink.where)
    at_most = None if sink.at_most is None else AtMost(sink.name, sink.at_most)
    return ChosenSink(sink.name, make_sink(sink.kind, sink.target), where, at_most)


def deliveries(sinks: Sequence[ChosenSink], metrics: Metrics) -> list[tuple[Delivery, Where | None]]:
    """Give the deliveries of sinks that go on where their targets are, and what each sink gets."""
    begin = Progress(bookmark=HERE)
    return [
        (Delivery(one.name, one.sink, at_most=one.at_most, progress=begin, metrics=metrics), one.where) for one in sinks
    ]


def offer_early(copies: pl.DataFrame, outlets: Iterable[tuple[Delivery, Where | None]]) -> None:
    """Pass early copies on at once, in any thread; they may be lost."""
    for delivery, where in outlets:
        rows = copies
        if where is not None:
            rows, _ = where.through(copies, where.nothing_passed())
        delivery.offer_early(rows)
