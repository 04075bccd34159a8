"""Early copies of a worker: of what was fetched, whatever its tasks are at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from lone_worker import PAYMENTS, Cluster, LoneWorker, Tp, event

from streams.faust.outlets import Outlets
from streams.ingest.lateness import state_of
from streams.tasks import early
from streams.tasks.source_task import SourceTask
from tests.streams.faust.shop_runs import UNTIL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[pl.DataFrame]:
    """Give what sinks are offered early."""
    offered: list[pl.DataFrame] = []

    def note(_: Outlets, rows: pl.DataFrame) -> None:
        offered.append(rows)

    monkeypatch.setattr(Outlets, "offer_early", note)
    return offered


def look(folder: Path, fetched: Sequence[tuple[Tp, int, int]], greatest: int | None = None) -> LoneWorker:
    """Let a worker have fetched records, and look at them for early copies; its tasks take none.

    `greatest`: the event time that the task of PAYMENTS knows from before.
    """

    async def story() -> LoneWorker:
        worker = LoneWorker(folder, Cluster(), early=True)
        await worker.begin(PAYMENTS)
        task = worker.hosting.units[PAYMENTS].task
        assert isinstance(task, SourceTask)
        task.state = state_of(greatest)
        for tp, begin, end in fetched:
            worker.hosting.arrived(event(tp, begin, end).value)
        assert worker.hosting.early is not None
        worker.hosting.early.go_on()
        await worker.hosting.close(1.0)
        return worker

    return asyncio.run(story())


def ids(copies: list[pl.DataFrame]) -> list[str]:
    return [one for frame in copies for one in frame["alert_id"]]


class TestEarlyCopies:
    def test_they_come_before_any_task_takes_a_record(self, tmp_path: Path, copies: list[pl.DataFrame]) -> None:
        worker = look(tmp_path, [(PAYMENTS, 0, 1000), (PAYMENTS, 1000, 2000)])
        assert worker.hosting.units[PAYMENTS].task.end == 0
        assert len(ids(copies)) > 10
        assert all(frame["early"].all() for frame in copies)

    def test_they_do_not_depend_on_how_records_were_fetched(self, tmp_path: Path, copies: list[pl.DataFrame]) -> None:
        look(tmp_path, [(PAYMENTS, 0, 2000)])
        at_once, copies[:] = ids(copies), []
        look(tmp_path, [(PAYMENTS, begin, begin + 100) for begin in range(0, 2000, 100)])
        assert sorted(ids(copies)) == sorted(at_once)

    def test_of_a_backlog_only_the_last_records_are_looked_at(
        self, tmp_path: Path, copies: list[pl.DataFrame], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        look(tmp_path, [(PAYMENTS, 1000, 2000)])
        last, copies[:] = ids(copies), []
        monkeypatch.setattr(early, "WAITING_MOST", 1000)
        look(tmp_path, [(PAYMENTS, 0, 1000), (PAYMENTS, 1000, 2000)])
        assert ids(copies) == last
        monkeypatch.setattr(early, "WAITING_MOST", 10)
        copies.clear()
        look(tmp_path, [(PAYMENTS, 0, 1000), (PAYMENTS, 1000, 2000)])
        assert ids(copies) == last, "the newest batch is looked at, however large it is"

    def test_what_is_fetched_again_is_looked_at_once(self, tmp_path: Path, copies: list[pl.DataFrame]) -> None:
        look(tmp_path, [(PAYMENTS, 0, 2000)])
        once, copies[:] = ids(copies), []
        look(tmp_path, [(PAYMENTS, 0, 1500), (PAYMENTS, 1000, 2000)])
        assert ids(copies) == once

    def test_what_is_late_for_the_task_gives_none(self, tmp_path: Path, copies: list[pl.DataFrame]) -> None:
        look(tmp_path, [(PAYMENTS, 0, 1000)], greatest=UNTIL)
        assert not copies

    def test_partitions_of_other_workers_give_none(self, tmp_path: Path, copies: list[pl.DataFrame]) -> None:
        look(tmp_path, [(Tp("payments", 1), 0, 1000)])
        assert not copies

    def test_an_error_ends_the_worker(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def story() -> LoneWorker:
            worker = LoneWorker(tmp_path, Cluster(), early=True)
            path = worker.hosting.early
            assert path is not None
            monkeypatch.setattr(path, "go_on", lambda: 1 // 0)
            await worker.begin(PAYMENTS)
            path.start()
            worker.hosting.arrived(event(PAYMENTS, 0, 10).value)
            while not worker.failed:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
            await worker.hosting.close(1.0)
            return worker

        assert isinstance(asyncio.run(story()).failed[0], ZeroDivisionError)
