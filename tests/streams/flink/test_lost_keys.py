"""A state under keys that no task of a job has: a stream or layer was taken out, or the state is cut otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from streams.flink.hosting import Hosting
from streams.flink.order import Order, layout_of
from streams.flink.packs import pack
from streams.kafka.dead_letters import DeadLettersByStream
from streams.pseudonyms import load_pseudonyms
from streams.tasks.inputs import load_tables, tables_of
from tests.streams.faust.shop_runs import TOPOLOGY, records, topology_in
from tocsin.compiler import compile_topology
from tocsin.errors import StateError
from tocsin.language import loads

if TYPE_CHECKING:
    from pathlib import Path

LOST = 7
"""A key that tasks of the next job do not have."""


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    monkeypatch.setattr(
        DeadLettersByStream, "of", classmethod(lambda kind, _uris, otherwise, _warn: kind({}, otherwise))
    )
    text = TOPOLOGY.replace("    partitioned_by: card\n", "")
    plan = compile_topology(loads(text, str(topology_in(tmp_path, text))))
    partitions = {"payments": 2}
    return Order(
        plan,
        run="r",
        group="g",
        servers="127.0.0.1:1",
        topics={"payments": "p"},
        partitions=partitions,
        shards=2,
        letters=tmp_path / "letters",
        fingerprint=load_pseudonyms().fingerprint,
        keys={name: LOST + at for at, name in enumerate(sorted(layout_of(plan, partitions, 2).tasks, reverse=True))},
        tables=load_tables(plan, tables_of(plan, {}, ""), tmp_path, load_pseudonyms()).tables,
    )


@pytest.fixture
def stored(order: Order) -> dict[bytes, bytes]:
    """Give the state of a task that has taken something."""

    class Store(dict[bytes, bytes]):
        def put(self, key: bytes, value: bytes) -> None:
            self[key] = value

    before, store = hosting(order), Store()
    kept = before.keeping.of(LOST, store)
    lines = [line for _, line in records()][:50]
    before.take(kept, pack(lines, np.arange(50), np.zeros(50, np.int64), [None] * 50))
    list(before.settle(kept))
    before.keeping.write(lambda _: store)
    assert store
    return store


def hosting(order: Order) -> Hosting:
    return Hosting(order, lambda _: None)


def test_what_was_taken_out_may_go(order: Order, stored: dict[bytes, bytes]) -> None:
    now = hosting(replace(order, keys={"payments/0": 1}))
    assert not now.knows(LOST)
    now.let_go(LOST, stored)
    now.let_go(LOST, {})


def test_other_shards_are_refused(order: Order, stored: dict[bytes, bytes]) -> None:
    with pytest.raises(StateError, match="has its keys in 2 shards, not in 3: run with --buckets 2"):
        hosting(replace(order, shards=3)).let_go(LOST, stored)


def test_other_partitions_are_refused(order: Order, stored: dict[bytes, bytes]) -> None:
    with pytest.raises(StateError, match="has read 2 partitions of payments, not 3"):
        hosting(replace(order, partitions={"payments": 3})).let_go(LOST, stored)
