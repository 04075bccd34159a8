"""Checkpoints of a Flink job: of a million keys, and how soon after them alerts of windows are visible."""

from __future__ import annotations

import math
import statistics
import time
from datetime import datetime
from threading import Thread
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import Consumer, TopicPartition

from bench.events import Load
from bench.flink_job import PARALLELISM
from bench.kafka_cluster import CLIENT
from bench.kafka_latency import FEW, RATE
from bench.kafka_live import SilentError, produced, producing, running
from bench.kafka_producing import Live
from bench.kafka_topologies import on_topic
from bench.rows import Row
from bench.topologies import NEVER, standard

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from bench.context import Bench
    from bench.kafka_cluster import Cluster
    from bench.kafka_live import LiveRun

KEYS, PER_KEY = 1_000_000, 5
"""Events per key: one in 150 keys has none."""
CHECKPOINT_MOST = 5.0
WINDOWED_MOST = 1.5
CHECKPOINT_SECONDS = 1.0
SIZE_MS, LATENESS_MS = 5_000, 2_000
WARM_SECONDS, SECONDS = 60.0, 60.0
"""A JVM compiles what it does often for the first minute."""
PATIENCE_SECONDS = 900.0
WORDS = ("--runtime", "flink", "--parallelism", str(PARALLELISM))
AFTER_SECONDS, LOOK_SECONDS = 10.0, 0.5
LEAST_ALERTS = 100
"""For a 99th percentile."""
TAKEN = "tocsin_records_read_total"
NUMBER, DURATION, SIZE = (
    f"flink_jobmanager_job_{name}"
    for name in ("lastCompletedCheckpointId", "lastCheckpointDuration", "lastCheckpointFullSize")
)


class _Alert(msgspec.Struct):
    time: str


def rows(bench: Bench, cluster: Cluster) -> Iterator[Row]:
    """Give both."""
    yield _of_many_keys(bench, cluster)
    yield from _windowed(bench, cluster)


def sum_of(metrics: dict[str, float], name: str) -> float:
    """Add up what a metric says with all its labels."""
    return sum(value for known, value in metrics.items() if known.partition("{")[0] == name)


def _of_many_keys(bench: Bench, cluster: Cluster) -> Row:
    """Give how long checkpoints take with a million keys in the state, of which some are written anew each time."""
    keys = bench.sized(KEYS)
    load = Load(keys * PER_KEY, keys=keys)
    topic, alerts = cluster.topic("keys"), cluster.alerts()
    cluster.fill(topic, load)
    text = on_topic(standard("tumbling 1h", NEVER), topic)
    with running(cluster, bench.folder / "flink-keys", text, alerts, WORDS, served=True) as run:
        run.await_(lambda: sum_of(run.metrics(), TAKEN) >= load.events, "all is read", PATIENCE_SECONDS)
        shift = load.events * 1_000 // load.per_second
        again = Thread(target=cluster.fill, args=(topic, Load(keys, keys=keys), shift))
        again.start()
        completed = _checkpoints(run, again)
    cluster.remove(topic)
    took, size = zip(*completed, strict=True)
    note = f"{len(took)} checkpoints of up to {max(size) / 2**20:.0f} MB, while most of the keys come once more"
    return Row("Flink, checkpoint, a million keys", max(took) / 1000, "s", CHECKPOINT_MOST, most=True, note=note)


def _checkpoints(run: LiveRun, writer: Thread) -> list[tuple[float, float]]:
    """Give duration (ms) and bytes of what is completed while somebody writes, and for some seconds after that."""
    before, found = sum_of(run.metrics(), NUMBER), dict[float, tuple[float, float]]()
    until = math.inf
    while time.monotonic() < until or not found:
        run.check()
        metrics = run.metrics()
        if sum_of(metrics, NUMBER) > before:
            found[sum_of(metrics, NUMBER)] = sum_of(metrics, DURATION), sum_of(metrics, SIZE)
        if not writer.is_alive():
            until = min(until, time.monotonic() + AFTER_SECONDS)
        time.sleep(LOOK_SECONDS)
    return list(found.values())


def _windowed(bench: Bench, cluster: Cluster) -> Iterator[Row]:
    """Give how late alerts of windows are visible to who reads what is committed, with a checkpoint every second.

    From the moment at which the watermark passes a window's end (the clock's time as event time, and the lateness), a
    second may go by until a checkpoint begins; what comes above that is what is asked for.
    """
    topic, alerts = cluster.topic("live"), cluster.alerts()
    # An event of a hundred has 999: some windows of a key are above it.
    text = on_topic(standard(f"tumbling {SIZE_MS}ms", 900), topic)
    seconds = max(bench.scale, 0.1)
    live = Live(cluster.servers, topic, RATE, (WARM_SECONDS + SECONDS) * seconds)
    few = msgspec.structs.replace(live, rate=FEW, seconds=2.0)
    words = [*WORDS, "--flink", f"execution.checkpointing.interval={CHECKPOINT_SECONDS:.0f} s"]
    with running(cluster, bench.folder / "flink-windowed", text, alerts, words) as run:
        run.await_(lambda: bool(produced(few)) and bool(cluster.values(alerts)), "an alert")
        with producing(live) as producer:
            time.sleep(WARM_SECONDS * seconds)
            late = _arrivals(cluster, alerts, run, producer)
    if len(late) < LEAST_ALERTS:
        raise SilentError(f"{len(late)} alerts of windows")
    cuts = statistics.quantiles(late, n=100)
    note = f"{len(late):,} alerts, {RATE:,} events a second"
    beyond = CHECKPOINT_SECONDS
    yield Row("Flink, windows, from the watermark until visible, p50", cuts[49], "s", note=note)
    yield Row("Flink, windows, from the watermark until visible, p99", cuts[98], "s", WINDOWED_MOST + beyond, most=True)


def _arrivals(cluster: Cluster, topic: str, run: LiveRun, producer: subprocess.Popen[bytes]) -> list[float]:
    """Give the seconds by which alerts come behind the watermark that passes their window, while events come."""
    settings = {"group.id": CLIENT, "enable.auto.commit": "false", "isolation.level": "read_committed"}
    consumer = Consumer({"bootstrap.servers": cluster.servers, **settings})
    numbers = consumer.list_topics(topic, timeout=30.0).topics[topic].partitions
    ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number), 30.0)[1] for number in numbers}
    consumer.assign([TopicPartition(topic, number, end) for number, end in ends.items()])
    decode, found = msgspec.json.Decoder(_Alert).decode, list[float]()
    while producer.poll() is None:
        run.check()
        message = consumer.poll(0.1)
        now = time.time()
        if message is None:
            continue
        if message.error() is not None:
            raise SilentError(f"{topic}: {message.error()}")
        at = datetime.fromisoformat(decode(message.value() or b"").time).timestamp() * 1000
        end = -(-at // SIZE_MS) * SIZE_MS
        found.append(now - (end + LATENESS_MS) / 1000)
    consumer.close()
    return found
