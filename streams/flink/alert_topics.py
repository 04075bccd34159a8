"""Topics that Flink writes alerts to in its transactions; a limited sink is served as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sinks.kafka import KafkaSink
from streams.chosen_sinks import choose_sinks

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.flink.order import Order


class AlertTopic(NamedTuple):
    """A topic that alerts go to in Flink's transactions; `name`: of the sink, `limit`: bytes of its largest message."""

    name: str
    servers: str
    topic: str
    limit: int


def alert_topics(order: Order, limit_of: Callable[[KafkaSink], int]) -> dict[int, AlertTopic]:
    """Give them by the number of the sink."""
    return {
        number: AlertTopic(one.name, one.sink.address.servers, one.sink.address.topic, limit_of(one.sink))
        for number, one in enumerate(choose_sinks(order.plan, order.sinks))
        if isinstance(one.sink, KafkaSink) and one.at_most is None
    }
