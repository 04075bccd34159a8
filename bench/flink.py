"""The standard job in Flink: the whole topology hosted, beside the same job in plain Flink SQL, exactly once both."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench import flink_commits
from bench.events import Load
from bench.flink_commits import WARM_SECONDS, WORDS
from bench.flink_job import SETTINGS, Ordered, Pace, paced
from bench.kafka import missing_broker
from bench.kafka_cluster import SETTINGS as BROKER_SETTINGS
from bench.kafka_cluster import Cluster
from bench.kafka_latency import of_runtime
from bench.kafka_standard import Topic, filled
from bench.peer import SIZE, Alert
from bench.rows import Row
from bench.standard import WrongError, milliseconds
from stack import KafkaBroker
from streams.flink.jars import jars
from tocsin.errors import SourceError
from tocsin.model.display import display
from tocsin.model.types import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.context import Bench

EVENTS = 5_000_000
LEAST = 0.55
START_UP_MOST = 15.0
LATENCY_MOST = 300.0
PEER = "Flink SQL"


class _Time(msgspec.Struct):
    time: str


def rows(bench: Bench) -> Iterator[Row]:
    """Give all rows; one that says why where there is no broker, no Flink or no connector to be had."""
    if missing := missing_broker() or _missing():
        yield Row("Flink", None, "events/s", note=missing)
        return
    with KafkaBroker(bench.folder / "kafka", settings=BROKER_SETTINGS, heap="512m") as broker:
        cluster = Cluster(broker.servers)
        yield from _standard(bench, cluster)
        yield from of_runtime(bench, cluster, "flink", WORDS, LATENCY_MOST, WARM_SECONDS)
        yield from flink_commits.rows(bench, cluster)


def _missing() -> str:
    if find_spec("pyflink") is None:
        return "apache-flink is not installed in this environment"
    try:
        jars()
    except SourceError as missing:
        return str(missing)
    return ""


def _standard(bench: Bench, cluster: Cluster) -> Iterator[Row]:
    load = Load(bench.sized(EVENTS))
    topic = filled(bench, cluster, "flink", load)
    sql, found = _sql(topic, load)
    ours, raised = _ours(topic, load)
    raised = list(filter(topic.complete, raised))
    if lacking := sorted(set(raised) - set(found))[:3]:
        raise WrongError(f"Flink SQL lacks windows of {len(raised)} alerts of Tocsin: {lacking}")
    yield _row(PEER, sql, sql, f"{len(found)} windows above the threshold")
    yield _row("Flink, a topology hosted", ours, sql, f"{len(raised)} alerts of complete windows, all in Flink SQL's")
    yield Row("  against Flink SQL", ours.rate / sql.rate, "x", LEAST)
    yield Row("  start-up, to the first alert", ours.start_up, "s", START_UP_MOST, most=True, note=_started(sql))


def _row(name: str, pace: Pace, peer: Pace, note: str) -> Row:
    used = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(pace.used.items()) if seconds >= 1)
    told = f"{note}; {pace.events:,} events in {pace.seconds:.1f} s; CPU with all starts: {used}"
    return Row(name, pace.rate, "events/s", ratio=pace.rate / peer.rate, base=PEER, cpu=pace.cpu, note=told)


def _started(peer: Pace) -> str:
    return f"Flink SQL: {peer.start_up:.1f} s"


def _sql(topic: Topic, load: Load) -> tuple[Pace, list[Alert]]:
    order = topic.order(topic.cluster.stamped())
    given = msgspec.json.encode(Ordered(order, SETTINGS))
    decode = msgspec.json.Decoder(Alert).decode
    words = ("-m", "bench.peers.flink_sql")
    pace = paced(words, given, topic.cluster, order.alerts, lambda value: decode(value).time, load.per_second)
    return pace, topic.told(order)


def _ours(topic: Topic, load: Load) -> tuple[Pace, list[Alert]]:
    order = topic.order(topic.cluster.stamped())
    decode = msgspec.json.Decoder(_Time).decode
    source, sink = (f"kafka://{order.servers}/{name}" for name in (order.topic, order.alerts))
    settings = [f"{name}={value}" for name, value in SETTINGS.items()]
    words = (
        *("-m", "tocsin.cli", "run", order.topology, "--runtime", "flink", "--group", order.alerts),
        *("--source", f"payments={source}", "--sink", sink, "--state", str(Path(order.folder) / "flink")),
        *("--until", display(order.until, TIMESTAMP).replace(" ", "T")),
        *(word for setting in settings for word in ("--flink", setting)),
    )
    end = lambda value: -(-milliseconds(decode(value).time) // SIZE) * SIZE - 1  # noqa: E731
    pace = paced(words, b"", topic.cluster, order.alerts, end, load.per_second)
    return pace, [alert for alert in topic.said(order) if alert.kind == "raised"]
