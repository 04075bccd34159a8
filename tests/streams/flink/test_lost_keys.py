"""A state under keys that no task of a job has: a stream or layer was taken out, or the state is cut otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from streams.flink.hosting import Hosting
from tests.streams.faust.shop_runs import TOPOLOGY, records
from tests.streams.flink.subtasks import MapState, order_of, pack
from tocsin.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

    from streams.flink.order import Order

pytestmark = pytest.mark.usefixtures("without_broker")


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return order_of(TOPOLOGY.replace("    partitioned_by: card\n", ""), tmp_path, 2, 2)


@pytest.fixture
def lost(order: Order) -> int:
    """Give a key that tasks of the next job do not have."""
    return order.keys["payments/1"]


@pytest.fixture
def stored(order: Order, lost: int) -> dict[bytes, bytes]:
    """Give the state of a task that has taken something."""
    before, store = hosting(order), MapState()
    kept = before.keeping.of(lost, store)
    lines = [line for _, line in records()][:50]
    before.take(kept, pack(lines, np.arange(50), np.zeros(50, np.int64), [None] * 50))
    list(before.settle(kept))
    before.keeping.write(lambda _: store)
    assert store
    return store


def hosting(order: Order) -> Hosting:
    return Hosting(order, lambda _: None)


def test_what_was_taken_out_may_go(order: Order, lost: int, stored: dict[bytes, bytes]) -> None:
    now = hosting(replace(order, keys={"payments/0": 1}))
    assert not now.knows(lost)
    now.let_go(lost, stored)
    now.let_go(lost, {})


def test_other_shards_are_refused(order: Order, lost: int, stored: dict[bytes, bytes]) -> None:
    with pytest.raises(StateError, match="has its keys in 2 shards, not in 3: run with --buckets 2"):
        hosting(replace(order, shards=3)).let_go(lost, stored)


def test_other_partitions_are_refused(order: Order, lost: int, stored: dict[bytes, bytes]) -> None:
    with pytest.raises(StateError, match="has read 2 partitions of payments, not 3"):
        hosting(replace(order, partitions={"payments": 3})).let_go(lost, stored)
