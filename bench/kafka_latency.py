"""From event time to the early copy on the alert topic, for an immediate rule, with events coming as they happen."""

from __future__ import annotations

import statistics
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from bench.kafka_live import ROOT, SilentError, produced, running
from bench.kafka_producing import Live
from bench.kafka_topologies import immediate
from bench.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.context import Bench
    from bench.kafka_cluster import Cluster
    from bench.kafka_producing import Made

RATE = 20_000
FEW = 500
"""A second, until the first alert comes: a backlog would be measured otherwise."""
SECONDS, LEAST_SECONDS = 30.0, 5.0
LOCAL_MOST, FAUST_MOST = 20.0, 50.0
MOST = 500
LEAST_COPIES = 100
"""For a 99th percentile."""


def rows(bench: Bench, cluster: Cluster) -> Iterator[Row]:
    """Give the median and the 99th percentile of both runtimes."""
    yield from of_runtime(bench, cluster, "local", (), LOCAL_MOST)
    yield from of_runtime(bench, cluster, "faust", ("--runtime", "faust", "--workers", "1"), FAUST_MOST)


def of_runtime(
    bench: Bench, cluster: Cluster, runtime: str, words: Sequence[str], most: float, warm: float = 5.0
) -> Iterator[Row]:
    """Give the median and the 99th percentile (ms) of one runtime, started with these words; `most`: of the latter.

    `warm`: for so many seconds events come before that are not measured.
    """
    latencies, made = _measured(bench, cluster, runtime, words, warm)
    cuts = statistics.quantiles(latencies, n=100)
    told = f"{len(latencies):,} early copies of {made.records:,} events in {_seconds(bench):.0f} s"
    if made.behind > RATE // 100:
        told += f"; the producer was up to {made.behind:,} events behind"
    yield Row(f"Kafka, {runtime}, latency p50", cuts[49], "ms", note=told)
    yield Row(f"Kafka, {runtime}, latency p99", cuts[98], "ms", most, most=True)


def _seconds(bench: Bench) -> float:
    return max(SECONDS * bench.scale, LEAST_SECONDS)


def _measured(
    bench: Bench, cluster: Cluster, runtime: str, words: Sequence[str], warm: float
) -> tuple[list[float], Made]:
    """Run, warm up, listen to what comes then."""
    topic, alerts = cluster.topic("live"), cluster.alerts()
    folder = bench.folder / f"latency-{runtime}"
    live = Live(cluster.servers, topic, RATE, _seconds(bench))
    few = msgspec.structs.replace(live, rate=FEW, seconds=1.0)
    with running(cluster, folder, immediate(topic, MOST), alerts, [*words, "--early"]) as run:
        run.await_(lambda: bool(produced(few)) and bool(cluster.values(alerts)), "an alert")
        produced(msgspec.structs.replace(live, seconds=warm * min(bench.scale, 1.0)))
        with _listener(cluster.servers, alerts) as listener:
            made = produced(live)
            said, _ = listener.communicate()
        latencies: list[float] = msgspec.json.decode(said)
    if len(latencies) < LEAST_COPIES:
        raise SilentError(f"{runtime} gave {len(latencies)} early copies of {made.records} events")
    return latencies, made


@contextmanager
def _listener(servers: str, topic: str) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "bench.kafka_listening", servers, topic]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as listener:  # noqa: S603  # our own module
        try:
            if listener.stdout is None or b"listening" not in listener.stdout.readline():
                raise SilentError(f"nobody listens to {topic}")
            yield listener
        finally:
            listener.kill()
