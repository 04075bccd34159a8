"""Partitions whose quality is judged, as a subtask hosts them: without Flink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from streams.flink.hosting import Hosting, Packet
from streams.tasks.packets import decode
from tests.streams.faust.shop_runs import BEGIN, COUNTED, TOPOLOGY, records
from tests.streams.flink.subtasks import MapState, order_of, pack
from tocsin.model.quality import MINUTE, QUALITY

if TYPE_CHECKING:
    from pathlib import Path

    from streams.flink.order import Order

pytestmark = pytest.mark.usefixtures("without_broker")
PARTITION = "payments/0"
"""The only one."""


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """Give a job of one partition and one shard."""
    return order_of(TOPOLOGY + COUNTED, tmp_path, 1, 1)


def subtask(order: Order) -> Hosting:
    """Make a subtask whose time stands still, so that it asks no broker whether there is more."""
    return Hosting(order, print, monotonic=lambda: 0.0)


def take(hosting: Hosting, store: MapState, begin: int, end: int) -> None:
    """Take records in and settle; what leaves is thrown away."""
    kept = hosting.keeping.of(hosting.order.keys[PARTITION], store)
    lines = [line for _, line in records()][begin:end]
    hosting.take(kept, pack(lines, np.arange(begin, end), np.full(end - begin, BEGIN), [None] * len(lines)))
    list(hosting.settle(kept))


def counted(hosting: Hosting, store: MapState, clock: int) -> list[int]:
    """Look at the partition when the clock shows this; give the records that it then says it has counted."""
    kept = hosting.keeping.of(hosting.order.keys[PARTITION], store)
    hosting.look(kept, clock)
    parts = [decode(one.data).parts for one in hosting.settle(kept) if isinstance(one, Packet)]
    rows = [part for given in parts for (stage, _), part in given.items() if stage == QUALITY]
    return [part.filter(field="")["records"].item() for part in rows]


class TestMinutes:
    def test_that_are_over_are_told_once_also_by_who_goes_on_from_a_checkpoint(self, order: Order) -> None:
        one, state = subtask(order), MapState()
        assert counted(one, state, BEGIN) == []
        take(one, state, 0, 100)
        assert counted(one, state, BEGIN + MINUTE - 1) == []
        one.keeping.write({order.keys[PARTITION]: state}.__getitem__)
        assert counted(one, MapState(), BEGIN + MINUTE) == [100]
        other = subtask(order)  # the first one was lost, with all that it told after the checkpoint
        take(other, state, 100, 150)
        assert counted(other, state, BEGIN + MINUTE) == [150]
        other.keeping.write({order.keys[PARTITION]: state}.__getitem__)
        assert counted(subtask(order), state, BEGIN + 2 * MINUTE) == []
