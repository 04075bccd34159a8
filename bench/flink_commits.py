"""Checkpoints of a Flink job: of a million keys, and how soon after them alerts of windows are visible."""

from __future__ import annotations

import statistics
import time
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import Consumer, TopicPartition

from bench.events import Load
from bench.flink_job import PARALLELISM
from bench.kafka_cluster import CLIENT
from bench.kafka_latency import RATE
from bench.kafka_live import producing, running
from bench.kafka_producing import Live
from bench.kafka_topologies import on_topic
from bench.rows import Row
from bench.topologies import NEVER, standard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.context import Bench
    from bench.kafka_cluster import Cluster
    from bench.kafka_live import LiveRun

KEYS, PER_KEY = 1_000_000, 3
CHECKPOINT_MOST = 5.0
WINDOWED_MOST = 1.5
CHECKPOINT_SECONDS = 1.0
SIZE_MS, LATENESS_MS = 5_000, 2_000
WARM_SECONDS, SECONDS = 60.0, 60.0
PATIENCE_SECONDS = 900.0
WORDS = ("--runtime", "flink", "--parallelism", str(PARALLELISM))
TAKEN, DURATION, SIZE = (
    "tocsin_records_total",
    "flink_jobmanager_job_lastCheckpointDuration",
    "flink_jobmanager_job_lastCheckpointFullSize",
)


class _Alert(msgspec.Struct):
    time: str
    early: bool


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
    folder = bench.folder / "flink-keys"
    folder.mkdir()
    topology = folder / "topology.yaml"
    topology.write_text(on_topic(standard("tumbling 1h", NEVER), topic), encoding="utf-8")
    with running(cluster, topology, alerts, [*WORDS, "--state", str(folder / "state")], served=True) as run:
        run.await_(lambda: sum_of(run.metrics(), TAKEN) >= load.events, "all is read", PATIENCE_SECONDS)
        shift = load.events * 1_000 // load.per_second
        cluster.fill(topic, Load(keys // 2, keys=keys), shift=shift)
        took, size = zip(*_checkpoints(run), strict=True)
    cluster.remove(topic)
    note = f"{len(took)} checkpoints, {size[-1] / 2**20:.0f} MB; half of the keys come once more meanwhile"
    return Row("Flink, checkpoint, a million keys", max(took) / 1000, "s", CHECKPOINT_MOST, most=True, note=note)


def _checkpoints(run: LiveRun) -> list[tuple[float, float]]:
    """Give duration (ms) and bytes of what was completed in half a minute."""
    found, until = [], time.monotonic() + 30.0
    while time.monotonic() < until or not found:
        run.check()
        metrics = run.metrics()
        if DURATION in {name.partition("{")[0] for name in metrics}:
            found.append((sum_of(metrics, DURATION), sum_of(metrics, SIZE)))
        time.sleep(1.0)
    return found


def _windowed(bench: Bench, cluster: Cluster) -> Iterator[Row]:
    """Give how late alerts of windows are visible to who reads what is committed, with a checkpoint every second.

    From the moment at which the watermark passes a window's end (the clock's time as event time, and the lateness), a
    second may go by until a checkpoint begins; what comes above that is what is asked for.
    """
    topic, alerts = cluster.topic("live"), cluster.alerts()
    folder = bench.folder / "flink-windowed"
    folder.mkdir()
    topology = folder / "topology.yaml"
    # An event of a hundred has 999: some windows of a key are above it.
    topology.write_text(on_topic(standard(f"tumbling {SIZE_MS}ms", 900), topic), encoding="utf-8")
    seconds = max(bench.scale, 0.1)
    live = Live(cluster.servers, topic, RATE, (WARM_SECONDS + SECONDS) * seconds + 60.0)
    words = [*WORDS, "--flink", f"execution.checkpointing.interval={CHECKPOINT_SECONDS:.0f} s"]
    with running(cluster, topology, alerts, [*words, "--state", str(folder / "state")]) as run:
        run.await_(lambda: cluster.messages(alerts) is not None, "a job")
        with producing(live):
            run.await_(lambda: bool(cluster.values(alerts)), "an alert")
            time.sleep(WARM_SECONDS * seconds)
            late = _arrivals(cluster, alerts, SECONDS * seconds)
    cuts = statistics.quantiles(late, n=100)
    note = f"{len(late):,} alerts, {RATE:,} events a second"
    beyond = CHECKPOINT_SECONDS
    yield Row("Flink, windows, from the watermark until visible, p50", cuts[49], "s", note=note)
    yield Row("Flink, windows, from the watermark until visible, p99", cuts[98], "s", WINDOWED_MOST + beyond, most=True)


def _arrivals(cluster: Cluster, topic: str, seconds: float) -> list[float]:
    """Give the seconds by which alerts come behind the watermark that passes the end of their window."""
    settings = {"group.id": CLIENT, "enable.auto.commit": "false", "isolation.level": "read_committed"}
    consumer = Consumer({"bootstrap.servers": cluster.servers, **settings})
    numbers = consumer.list_topics(topic, timeout=30.0).topics[topic].partitions
    ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number), 30.0)[1] for number in numbers}
    consumer.assign([TopicPartition(topic, number, end) for number, end in ends.items()])
    decode, found, until = msgspec.json.Decoder(_Alert).decode, [], time.time() + seconds
    while time.time() < until:
        message = consumer.poll(0.1)
        now = time.time()
        if message is None or message.error() is not None:
            continue
        at = datetime.fromisoformat(decode(message.value() or b"").time).timestamp() * 1000
        end = -(-at // SIZE_MS) * SIZE_MS
        found.append(now - (end + LATENESS_MS) / 1000)
    consumer.close()
    return found
