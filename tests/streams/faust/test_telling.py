"""What a worker tells of itself, as Prometheus gets it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from lone_worker import PAYMENTS, Cluster, LoneWorker, settled

from monitoring import registry
from streams.faust import committing

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

STREAM: dict[registry.Stream, str] = {"stream": "payments"}
PACE: dict[registry.Stage, str] = {"stage": "pace"}
BUSY: dict[registry.Rule, str] = {"rule": "busy"}
LAG = registry.CONSUMER_LAG.of({**STREAM, "partition": "0"})


class TestWhatAWorkerTells:
    def test_of_partitions_states_and_open_alerts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(committing, "MEASURE_SECONDS", 0.0)
        cluster = Cluster()

        async def life(end: int) -> LoneWorker:
            worker = LoneWorker(tmp_path, cluster)
            await worker.begin(PAYMENTS)
            await worker.give(PAYMENTS, 0, end)
            await settled(worker, end)
            await worker.hosting.close(1.0)
            cluster.log_ends[PAYMENTS] = 2500
            worker.hosting.tell()
            return worker

        first = asyncio.run(life(1000)).metrics
        assert first.value(LAG) == 1500
        assert first.value(registry.PAUSED.of(STREAM)) == 0
        assert first.value(registry.WATERMARK.of(STREAM)) > 1.7e9
        assert first.value(registry.STATE_KEYS.of(PACE)) > 100
        assert first.value(registry.STATE_ROWS.of(PACE)) > 100
        assert first.value(registry.STATE_BYTES.of(PACE)) > 1000
        assert time.time() - first.value(registry.COMMIT_TIME) < 60
        opened = first.value(registry.OPEN_ALERTS.of(BUSY))
        kinds = {kind: first.value(registry.TRANSITIONS.of({**BUSY, "kind": kind})) for kind in ("raised", "cleared")}
        assert opened == kinds["raised"] - kinds["cleared"] > 0
        again = asyncio.run(life(1001)).metrics
        assert again.value(LAG) == 1499
        assert again.value(registry.OPEN_ALERTS.of(BUSY)) >= opened - 5, "those of the worker before are open"

    def test_a_partition_that_is_gone_has_no_lag(self, tmp_path: Path) -> None:
        async def story() -> LoneWorker:
            worker = LoneWorker(tmp_path, Cluster(log_ends={PAYMENTS: 7}))
            await worker.begin(PAYMENTS)
            worker.hosting.tell()
            assert worker.metrics.value(LAG) == 7
            await worker.hosting.release()
            await worker.hosting.load([])
            worker.hosting.tell()
            return worker

        worker = asyncio.run(story())
        assert not [name for name, _ in worker.metrics.values if name == LAG.name]

    def test_a_commit_that_does_not_come_shows(self, tmp_path: Path) -> None:
        async def story() -> LoneWorker:
            worker = LoneWorker(tmp_path, Cluster())
            await worker.begin(PAYMENTS)
            await worker.give(PAYMENTS, 0, 10)
            await settled(worker, 10)
            await worker.hosting.release()
            unit = worker.hosting.units[PAYMENTS]
            unit.dirty, unit.committed_at, unit.since = True, time.monotonic() - 500, 0.0
            worker.hosting.tell()
            return worker

        age = time.time() - asyncio.run(story()).metrics.value(registry.COMMIT_TIME)
        assert 499 < age < 600
