"""Kafka in, Kafka out: throughput, latency, how soon a worker takes over; on one broker that ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import kafka_latency, kafka_standard, kafka_takeover
from bench.kafka_cluster import SETTINGS, Cluster
from bench.rows import Row
from stack import KafkaBroker, StackError
from stack.jars import BROKER
from stack.server import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.context import Bench

HEAP = "512m"


def rows(bench: Bench) -> Iterator[Row]:
    """Give all rows; one that says why where there is no broker to be had."""
    missing = missing_broker()
    if missing:
        yield Row("Kafka", None, "events/s", note=missing)
        return
    with KafkaBroker(bench.folder / "kafka", settings=SETTINGS, heap=HEAP) as broker:
        cluster = Cluster(broker.servers)
        for measure in (kafka_standard, kafka_latency, kafka_takeover):
            yield from measure.rows(bench, cluster)


def missing_broker() -> str:
    """Say what of a broker is not on this machine; "" if nothing."""
    try:
        BROKER.classpath()
    except StackError as missing:
        return str(missing)
    return "" if find_program("java") else "there is no java here, which `python -m stack fetch` installs"
