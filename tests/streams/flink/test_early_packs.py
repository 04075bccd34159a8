"""Early copies of a subtask: of packs as they come to its tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from streams.flink.early import FetchedPack
from streams.flink.hosting import Hosting
from streams.flink.packs import Pack
from streams.ingest.lateness import state_of
from streams.tasks.early import EarlyPath
from streams.tasks.source_task import SourceTask
from tests.streams.faust.shop_runs import BEGIN, TOPOLOGY, UNTIL, records
from tests.streams.flink.subtasks import MapState, order_of, pack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from streams.flink.keeping import Kept

pytestmark = pytest.mark.usefixtures("without_broker")
LINES = [line for _, line in records()][:1000]
PACKED = pack(LINES, np.arange(len(LINES)), np.full(len(LINES), BEGIN), [None] * len(LINES))


@pytest.fixture
def hosting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosting]:
    """Give a subtask whose early copies are made when a test says so."""
    monkeypatch.setattr(EarlyPath, "start", lambda _: None)
    order = order_of(TOPOLOGY, tmp_path, 2, 1)
    hosting = Hosting(replace(order, early=True, sinks=(f"ndjson:{tmp_path / 'alerts.ndjson'}",)), print)
    hosting.start_early()
    yield hosting
    hosting.close()


@pytest.fixture
def copies(hosting: Hosting, monkeypatch: pytest.MonkeyPatch) -> list[pl.DataFrame]:
    """Give what sinks are offered early."""
    offered: list[pl.DataFrame] = []
    monkeypatch.setattr(path_of(hosting), "_offer", offered.append)
    return offered


def path_of(hosting: Hosting) -> EarlyPath:
    assert hosting._early is not None
    return hosting._early.path


def kept(hosting: Hosting) -> Kept:
    """Open the task of the first partition."""
    return hosting.keeping.of(hosting.order.keys["payments/0"], MapState())


def test_are_made_before_stages_have_the_records(hosting: Hosting, copies: list[pl.DataFrame]) -> None:
    hosting.take(kept(hosting), PACKED)
    path_of(hosting).go_on()
    assert all(frame["early"].all() for frame in copies)
    assert len({one for frame in copies for one in frame["alert_id"]}) > 10
    assert kept(hosting).waiting == [PACKED], "for the task"


def test_are_not_made_of_what_is_late_for_its_task(hosting: Hosting, copies: list[pl.DataFrame]) -> None:
    task = kept(hosting).task
    assert isinstance(task, SourceTask)
    task.state = state_of(UNTIL)
    hosting.take(kept(hosting), PACKED)
    path_of(hosting).go_on()
    assert not copies


def test_an_error_ends_the_subtask(hosting: Hosting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    path = path_of(hosting)
    monkeypatch.setattr(path, "go_on", lambda: 1 // 0)
    path.start()
    path.arrived(FetchedPack(("payments", 0), Pack(PACKED)))

    def failed() -> bool:
        try:
            hosting.look(kept(hosting), 0)
        except ZeroDivisionError:
            return True
        return False

    wait_until(failed)
