"""Jobs on a real mini-cluster and broker raise the alerts of a run over files, whatever is done to them."""

from __future__ import annotations

import signal
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import pytest

from operators.alerting.canonical import canonical
from sinks import ndjson
from stack import FlinkCluster
from tests.sinks.alert_topic import ids, key, messages, transitions, value
from tests.streams.faust.shop_runs import EVENTS, Aside, Shop, expected
from tests.streams.flink.shop_jobs import ENDS_WITHIN, ShopJob
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl
    from confluent_kafka import Message

    from tests.servers.fixtures import Topics


needs_flink = pytest.mark.skipif(bool(FlinkCluster.lacking()), reason=FlinkCluster.lacking())


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shop], pl.DataFrame]:
    """Give the canonical form of a run over files."""
    folder = tmp_path_factory.mktemp("local")

    def of(shop: Shop) -> pl.DataFrame:
        found = expected(folder, shop.filed)
        return found.drop("rule_version") if shop.tabled else found

    return of


def by_early(found: list[Message]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Give alert and sequence of early copies, and of the truth."""
    early = [message for message in found if b'"early":true' in value(message)]
    return transitions(early), transitions([message for message in found if message not in early])


@pytest.fixture
def make(tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str) -> Callable[..., ShopJob]:
    return partial(ShopJob, tmp_path, kafka, kafka_topics, unique)


@needs_flink
class TestJobs:
    def test_that_is_stopped_goes_on_at_another_parallelism(
        self, make: Callable[..., ShopJob], wanted: Callable[[Shop], pl.DataFrame]
    ) -> None:
        shop, stopped = make(partitions=3, direct=False, tabled=True, more=["--early"]), Event()
        shop.produce_table()
        letters = shop.topics(f"{shop.topic}.dlq")
        with Aside(lambda: shop.produce(pause=8, until=stopped)):
            assert shop.stopped_when(lambda: shop.told() > 0, signal.SIGTERM, parallelism=1) == 143, shop.log
            stopped.set()
        assert shop.ends(parallelism=3) == 0, shop.log
        assert shop.given().equals(wanted(shop)), (shop.unlike(wanted(shop)), shop.log)
        early, truth = by_early(messages(shop.servers, shop.alerts))
        assert len(set(truth)) == len(truth), "there are copies"
        assert len(set(early) & set(truth)) > 10, "immediate rules have early copies"
        dead = messages(shop.servers, letters)
        assert len(dead) >= EVENTS // 997
        assert all(key(letter) in value(letter) for letter in dead), "each has the key of its record, the card"

    def test_that_is_killed_goes_on_from_its_last_checkpoint_and_raises_no_alert_twice(
        self, make: Callable[..., ShopJob], wanted: Callable[[Shop], pl.DataFrame], tmp_path: Path
    ) -> None:
        shop, killed = make(partitions=2, sinks=[f"ndjson:{tmp_path / 'alerts.ndjson'}"]), Event()
        with Aside(lambda: shop.produce(pause=8, until=killed)):
            shop.stopped_when(lambda: shop.told() > 0, signal.SIGKILL)
            killed.set()
        assert shop.ends() == 0, shop.log
        assert shop.given().equals(wanted(shop)), (shop.unlike(wanted(shop)), shop.log)
        assert len(set(given := ids(shop.servers, shop.alerts))) == len(given), "there are copies"
        written = canonical(ndjson.decode((tmp_path / "alerts.ndjson").read_bytes().splitlines()))
        assert written.equals(wanted(shop)), shop.log

    def test_on_a_cluster_goes_on_when_a_task_manager_is_killed_and_not_beyond_its_end(
        self, make: Callable[..., ShopJob], wanted: Callable[[Shop], pl.DataFrame], tmp_path: Path
    ) -> None:
        with FlinkCluster(tmp_path / "flink", slots=4) as cluster:
            shop, killed = make(partitions=2, direct=False, cluster=cluster.address, judged=True), Event()
            with Aside(lambda: shop.produce(pause=8, until=killed)), shop.job(parallelism=4) as process:
                wait_until(lambda: shop.told() > 0, lambda: shop.log)
                cluster.tasks.kill()
                cluster.tasks.start()
                killed.set()
                assert process.wait(ENDS_WITHIN) == 0, shop.log
            assert shop.given().equals(wanted(shop)), (shop.unlike(wanted(shop)), shop.log)
            assert len(set(given := ids(shop.servers, shop.alerts))) == len(given), "there are copies"
            assert shop.counted() == shop.quality, "each record is counted once"
            shop.until += 3_600_000
            assert shop.ends() == 2
            assert "the run of this state folder has ended at 2026-03-02" in shop.log
            assert "take another --state" in shop.log
            assert "Traceback" not in shop.log
