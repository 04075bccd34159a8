"""Half an hour by the clock with constant keys: memory of `local`, state of a Flink job; both read the same topic."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from bench.flink_commits import SIZE, WORDS, sum_of
from bench.kafka import HEAP, missing_broker
from bench.kafka_cluster import SETTINGS, Cluster
from bench.kafka_live import SilentError, producing, running
from bench.kafka_producing import KEYS, Live, Made
from bench.kafka_topologies import on_topic
from bench.rows import Row
from bench.topologies import standard
from stack import KafkaBroker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.context import Bench

MINUTES, WARM_MINUTES = 30.0, 5.0
RATE = 5_000
LOOK_SECONDS = 3.0
"""No part of the ten seconds of a window, so that checkpoints are looked at in all their phases."""
BLOCKS = 5
"""Parts of the time behind the warming whose states are compared."""
MEMORY_MOST, STATE_MOST = 0.05, 0.10


def rows(bench: Bench) -> Iterator[Row]:
    """Give both rows; one that says why where there is no broker to be had."""
    if missing := missing_broker():
        yield Row("half an hour", None, "of it", note=missing)
        return
    with KafkaBroker(bench.folder / "kafka", settings=SETTINGS, heap=HEAP) as broker:
        resident, sizes = _sampled(bench, Cluster(broker.servers))
    minutes = MINUTES * bench.scale
    told = f"{RATE:,} events a second for {minutes:.0f} minutes, {KEYS:,} keys"
    begin, end = around(resident, WARM_MINUTES / MINUTES), around(resident, 1.0)
    note = f"{begin / 2**20:.0f} MB to {end / 2**20:.0f} MB; {told}"
    yield Row("growth of memory, minute 5 to 30, local", end / begin - 1, "of it", MEMORY_MOST, most=True, note=note)
    if not sizes:
        why = "no checkpoint was completed" if find_spec("pyflink") else "apache-flink is not in this environment"
        yield Row("state of a Flink job", None, "of it", note=why)
        return
    parts = fullest(sizes)
    worst = max(abs(part / statistics.median(parts) - 1) for part in parts)
    note = f"checkpoints of {min(parts) / 2**20:.2f} to {max(parts) / 2**20:.2f} MB, fullest of five minutes; {told}"
    yield Row("state of a Flink job, most off its median", worst, "of it", STATE_MOST, most=True, note=note)


def _sampled(bench: Bench, cluster: Cluster) -> tuple[list[float], list[float]]:
    """Give resident bytes of the one, and bytes of checkpoints of the other, over and over."""
    topic = cluster.topic("steady")
    resident, sizes = list[float](), list[float]()
    with ExitStack() as ending:
        hosts: dict[str, Sequence[str]] = {"local": (), "flink": WORDS} if find_spec("pyflink") else {"local": ()}
        local, *jobs = (
            ending.enter_context(
                running(cluster, bench.folder / name, on_topic(standard(), topic), cluster.alerts(), words, served=True)
            )
            for name, words in hosts.items()
        )
        live = Live(cluster.servers, topic, RATE, MINUTES * 60 * bench.scale)
        producer = ending.enter_context(producing(live))
        while producer.poll() is None:
            time.sleep(LOOK_SECONDS)
            local.check()
            resident.append(local.resident)
            for job in jobs:
                job.check()
                sizes += [size] if (size := sum_of(job.metrics(), SIZE)) > 0 else []
        said, _ = producer.communicate()
        made = msgspec.json.decode(said, type=Made)
    if made.behind > RATE:
        raise SilentError(f"the producer was up to {made.behind:,} events behind: the rate was not kept")
    return resident, sizes


def around(samples: Sequence[float], part: float) -> float:
    """Give the median of a tenth of the samples around a part of the run."""
    width = max(len(samples) // 10, 1)
    end = min(max(int(len(samples) * part) + width // 2, width), len(samples))
    return statistics.median(samples[end - width : end])


def fullest(samples: Sequence[float]) -> list[float]:
    """Give how much nine of ten samples are below, block by block, without the time that the run takes to warm."""
    settled = samples[int(len(samples) * WARM_MINUTES / MINUTES) :]
    width = max(len(settled) // BLOCKS, 1)
    blocks = [sorted(settled[at * width : (at + 1) * width]) for at in range(min(BLOCKS, len(settled)))]
    return [block[len(block) * 9 // 10] for block in blocks]
