"""Early copies of a subtask: of what is packed in its process, and of packs that were packed elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from streams.flink.early import FetchedPack, path_here
from streams.flink.hosting import Hosting
from streams.flink.packs import pack
from streams.ingest.lateness import state_of
from streams.tasks.early import EarlyPath
from streams.tasks.source_task import SourceTask
from tests.streams.faust.shop_runs import BEGIN, TOPOLOGY, UNTIL, records
from tests.streams.flink.subtasks import MapState, order_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from streams.flink.keeping import Kept

pytestmark = pytest.mark.usefixtures("without_broker")
LINES = [line for _, line in records()][:1000]
OFFSETS, STAMPS = np.arange(len(LINES)), np.full(len(LINES), BEGIN)


@pytest.fixture
def copies(hosting: Hosting, monkeypatch: pytest.MonkeyPatch) -> list[pl.DataFrame]:
    """Give what sinks are offered early."""
    offered: list[pl.DataFrame] = []

    monkeypatch.setattr(path_of(hosting), "_offer", offered.append)
    return offered


@pytest.fixture
def hosting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosting]:
    """Give a subtask whose early copies are made when a test says so."""
    monkeypatch.setattr(EarlyPath, "start", lambda _: None)
    order = order_of(TOPOLOGY, tmp_path, 2, 1)
    hosting = Hosting(replace(order, early=True, sinks=(f"ndjson:{tmp_path / 'alerts.ndjson'}",)), print)
    hosting.start_early()
    yield hosting
    hosting.close()
    assert path_here(order.run) is None


def path_of(hosting: Hosting) -> EarlyPath:
    path = path_here(hosting.order.run)
    assert path is not None
    return path


def look(hosting: Hosting) -> None:
    path_of(hosting).go_on()


def kept(hosting: Hosting) -> Kept:
    """Open the task of the first partition."""
    return hosting.keeping.of(hosting.order.keys["payments/0"], MapState())


def ids(copies: list[pl.DataFrame]) -> set[str]:
    assert all(frame["early"].all() for frame in copies)
    return {one for frame in copies for one in frame["alert_id"]}


def packing(hosting: Hosting, partition: int) -> bytes:
    """Pack as the reader in the process of the subtask does."""
    module = pytest.importorskip("streams.flink.packing", reason="the runtime flink is an extra")
    pandas = pytest.importorskip("pandas")
    order = hosting.order
    rows = pandas.DataFrame(
        {
            "key": [None] * len(LINES),
            "value": LINES,
            "partition": np.full(len(LINES), partition, np.int32),
            "offset": OFFSETS,
            "stamp": pandas.to_datetime(STAMPS, unit="ms", utc=True),
        }
    )
    made = module.Packing(order.run, "payments", order.keys_of("payments")).eval(rows)
    packed: bytes = made["pack"][0]
    return packed


class TestWhatIsPackedHere:
    def test_is_looked_at_before_its_task_has_it_and_no_more_then(
        self, hosting: Hosting, copies: list[pl.DataFrame], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packed = packing(hosting, 0)
        look(hosting)
        assert len(ids(copies)) > 10
        monkeypatch.setattr(EarlyPath, "arrived", lambda _, batch: pytest.fail(f"{batch.tp} is looked at again"))
        hosting.take(kept(hosting), packed)

    def test_is_looked_at_where_its_task_is_elsewhere(self, hosting: Hosting, copies: list[pl.DataFrame]) -> None:
        packing(hosting, 1)
        look(hosting)
        assert len(ids(copies)) > 10

    def test_gives_none_where_it_is_late_for_its_task(self, hosting: Hosting, copies: list[pl.DataFrame]) -> None:
        task = kept(hosting).task
        assert isinstance(task, SourceTask)
        task.state = state_of(UNTIL)
        packing(hosting, 0)
        look(hosting)
        assert not copies


def test_what_was_packed_elsewhere_is_looked_at_when_its_task_has_it(
    hosting: Hosting, copies: list[pl.DataFrame]
) -> None:
    hosting.take(kept(hosting), pack(LINES, OFFSETS, STAMPS, [None] * len(LINES)))
    look(hosting)
    assert len(ids(copies)) > 10


def test_an_error_ends_the_subtask(hosting: Hosting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    path = path_of(hosting)
    monkeypatch.setattr(path, "go_on", lambda: 1 // 0)
    path.start()
    path.arrived(FetchedPack(("payments", 0), b"", 1, 1))

    def failed() -> bool:
        try:
            hosting.look(kept(hosting), 0)
        except ZeroDivisionError:
            return True
        return False

    wait_until(failed)
