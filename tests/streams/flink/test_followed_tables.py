"""Tables out of topics, as the tasks of a subtask see them: on a broker, without Flink."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

import polars as pl
import pytest
from confluent_kafka import Producer

from operators.lookups import GONE
from streams.flink.hosting import FOLLOW_SECONDS, Hosting
from streams.flink.order import Order
from streams.ingest.lateness import state_of
from streams.pseudonyms import load_pseudonyms
from streams.tasks.source_task import SourceTask
from tests.streams.faust.shop_runs import BEGIN, SHOPS, Shop, topology_in
from tests.waiting import wait_until
from tocsin.compiler import compile_topology
from tocsin.language import load
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from pathlib import Path

    from streams.flink.keeping import Kept, Store
    from tests.servers.fixtures import Topics

ALWAYS_BEFORE = BEGIN - 86_400_000


@pytest.fixture
def shop(tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str) -> Shop:
    """Give a shop whose table is a topic."""
    found = Shop(tmp_path, kafka, kafka_topics, unique, tabled=True)
    found.produce_table()
    return found


class Clock:
    """Seconds that pass from look to look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Give the time."""
        self.now += FOLLOW_SECONDS
        return self.now


def hosting_of(shop: Shop, servers: str = "") -> Hosting:
    """Make what hosts the tasks of a subtask, and its first partition."""
    order = Order(
        compile_topology(load(topology_in(shop.folder, shop.text))),
        run="r",
        group=shop.group,
        servers=shop.servers,
        topics={"payments": shop.topic},
        partitions={"payments": 1},
        shards=1,
        letters=shop.folder / "dead",
        fingerprint=load_pseudonyms().fingerprint,
        keys={"payments/0": 0, ">/0": 1},
        followed={"shops": f"kafka://{servers or shop.servers}/{shop.group}.shops"},
    )
    return Hosting(order, print, monotonic=Clock())


def task_of(hosting: Hosting) -> Kept:
    """Open the task of the partition; nothing is in Flink's state."""
    return hosting.keeping.of(0, cast("Store", {}))


def versions(hosting: Hosting, shop: str) -> list[tuple[object, ...]]:
    """Give the versions of a row: from when on it holds, what it says, whether it is deleted."""
    table = task_of(hosting).task.hosted.tables["shops"]
    return table.filter(pl.col("shop") == shop).select(TIME, "most", GONE).rows()


def tell(shop: Shop, row: bytes | None, at: int) -> None:
    """Write a record about the first shop."""
    producer = Producer({"bootstrap.servers": shop.servers})
    producer.produce(f"{shop.group}.shops", row, b"s0", timestamp=at)
    assert producer.flush(30) == 0


class TestTablesOutOfTopics:
    def test_are_read_before_a_task_is_opened_and_followed_from_then_on(self, shop: Shop) -> None:
        with closing(hosting_of(shop)) as hosting:
            kept = task_of(hosting)
            assert set(kept.task.hosted.tables["shops"]["shop"]) == set(SHOPS)
            tell(shop, b'{"shop": "s0", "most": 99}', BEGIN)
            tell(shop, b"no row", BEGIN)
            tell(shop, None, BEGIN + 5)

            def changed() -> bool:
                hosting.look(kept, 0)
                return len(versions(hosting, "s0")) > 2

            wait_until(changed)
            assert versions(hosting, "s0") == [
                (ALWAYS_BEFORE, SHOPS["s0"], False),
                (BEGIN, 99, False),
                (BEGIN + 5, None, True),
            ]
            assert hosting.metrics.values["tocsin_table_changes_total", (("table", "shops"),)] == 2
        assert len(list((shop.folder / "dead").rglob("*.ndjson*"))) == 1, "what is no row is put aside"

    def test_a_change_that_comes_late_counts_from_the_next_moment_of_the_tasks(self, shop: Shop) -> None:
        with closing(hosting_of(shop)) as hosting:
            kept = task_of(hosting)
            assert isinstance(kept.task, SourceTask)
            kept.task.state = state_of(BEGIN + 10_000 + 500)  # its lateness is 10 s
            kept.task.settle()
            tell(shop, b'{"shop": "s0", "most": 99}', BEGIN)

            def changed() -> bool:
                hosting.look(kept, 0)
                return len(versions(hosting, "s0")) > 1

            wait_until(changed)
            assert versions(hosting, "s0")[1] == (BEGIN + 500, 99, False)

    def test_where_brokers_do_not_answer_flink_tries_again(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streams.kafka.tables.PATIENCE_SECONDS", 0.5)
        with pytest.raises(OSError, match="the brokers do not answer"):
            hosting_of(shop, "127.0.0.1:1")
