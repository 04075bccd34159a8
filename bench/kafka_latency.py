"""From event time to the early copy on the alert topic, for an immediate rule, with events coming as they happen."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.kafka_producing import Live, Made
from bench.kafka_topologies import immediate
from bench.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.context import Bench
    from bench.kafka_cluster import Cluster

RATE = 20_000
FEW = 500
"""A second, until the first alert comes: a backlog would be measured otherwise."""
SECONDS, LEAST_SECONDS, WARM_SECONDS = 30.0, 5.0, 5.0
LOCAL_MOST, FAUST_MOST = 20.0, 50.0
MOST = 500
LEAST_COPIES = 100
"""For a 99th percentile."""
ROOT = Path(__file__).parents[1]
READY_SECONDS = 90.0


class SilentError(Exception):
    """No early copy arrived."""


def rows(bench: Bench, cluster: Cluster) -> Iterator[Row]:
    """Give the median and the 99th percentile of both runtimes."""
    yield from of_runtime(bench, cluster, "local", (), LOCAL_MOST)
    yield from of_runtime(bench, cluster, "faust", ("--runtime", "faust", "--workers", "1"), FAUST_MOST)


def of_runtime(bench: Bench, cluster: Cluster, runtime: str, words: Sequence[str], most: float) -> Iterator[Row]:
    """Give the median and the 99th percentile (ms) of one runtime, started with these words; `most`: of the latter."""
    latencies, made = _measured(bench, cluster, runtime, words)
    cuts = statistics.quantiles(latencies, n=100)
    told = f"{len(latencies):,} early copies of {made.records:,} events in {_seconds(bench):.0f} s"
    if made.behind > RATE // 100:
        told += f"; the producer was up to {made.behind:,} events behind"
    yield Row(f"Kafka, {runtime}, latency p50", cuts[49], "ms", note=told)
    yield Row(f"Kafka, {runtime}, latency p99", cuts[98], "ms", most, most=True)


def _seconds(bench: Bench) -> float:
    return max(SECONDS * bench.scale, LEAST_SECONDS)


def _measured(bench: Bench, cluster: Cluster, runtime: str, words: Sequence[str]) -> tuple[list[float], Made]:
    """Run, warm up, listen to what comes then."""
    topic, alerts = cluster.topic("live"), cluster.alerts()
    folder = bench.folder / f"latency-{runtime}"
    folder.mkdir()
    topology = folder / "topology.yaml"
    topology.write_text(immediate(topic, MOST), encoding="utf-8")
    with _run(cluster, topology, alerts, [*words, "--early", "--state", str(folder / "state")]) as alive:
        _await(lambda: bool(_produced(cluster, topic, 1.0, FEW)) and bool(cluster.values(alerts)), alive)
        _produced(cluster, topic, WARM_SECONDS)
        with _listener(cluster.servers, alerts) as listener:
            made = _produced(cluster, topic, _seconds(bench))
            said, _ = listener.communicate()
        latencies: list[float] = msgspec.json.decode(said)
    if len(latencies) < LEAST_COPIES:
        raise SilentError(f"{runtime} gave {len(latencies)} early copies of {made.records} events")
    return latencies, made


def _produced(cluster: Cluster, topic: str, seconds: float, rate: int = RATE) -> Made:
    """Produce for so long, in a process of its own."""
    order = msgspec.json.encode(Live(cluster.servers, topic, rate, seconds))
    words = [sys.executable, "-m", "bench.kafka_producing"]
    done = subprocess.run(words, input=order, stdout=subprocess.PIPE, check=True, cwd=ROOT)  # noqa: S603  # our own module
    return msgspec.json.decode(done.stdout, type=Made)


@contextmanager
def _run(cluster: Cluster, topology: Path, alerts: str, words: Sequence[str]) -> Iterator[Callable[[], str]]:
    """Run a topology until the block ends; gives what tells why it has ended before, "" while it has not."""
    sink = f"kafka://{cluster.servers}/{alerts}"
    command = [sys.executable, "-m", "tocsin.cli", "run", str(topology), "--kafka", cluster.servers, "--sink", sink]
    log = topology.with_name("run.log")
    with log.open("wb") as file:
        running = subprocess.Popen([*command, *words], stdout=file, stderr=file)  # noqa: S603  # our own module
    try:
        yield lambda: log.read_text(encoding="utf-8")[-2000:] or "silently" if running.poll() is not None else ""
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


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


def _await(done: Callable[[], bool], ended: Callable[[], str]) -> None:
    """Wait for a condition; SilentError if the run ends before, or if it takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while not done():
        if why := ended():
            raise SilentError(f"the run ended: {why}")
        if time.monotonic() > deadline:
            raise SilentError("no alert came")
