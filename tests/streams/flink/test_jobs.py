"""Jobs on a real mini-cluster and broker raise the alerts of a run over files, whatever is done to them."""

from __future__ import annotations

import signal
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import pytest

from operators.alerting.canonical import canonical
from sinks import ndjson
from tests.sinks.alert_topic import ids, key, messages, value
from tests.streams.faust.shop_runs import EVENTS, Aside, Shop, expected
from tests.streams.flink.shop_jobs import ShopJob

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from tests.servers.fixtures import Topics


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shop], pl.DataFrame]:
    """Give the canonical form of a run over files."""
    folder = tmp_path_factory.mktemp("local")
    return lambda shop: expected(folder, shop.filed)


@pytest.fixture
def make(tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str) -> Callable[..., ShopJob]:
    return partial(ShopJob, tmp_path, kafka, kafka_topics, unique)


class TestJobs:
    def test_that_is_stopped_goes_on_at_another_parallelism(
        self, make: Callable[..., ShopJob], wanted: Callable[[Shop], pl.DataFrame]
    ) -> None:
        shop, stopped = make(partitions=3, direct=False), Event()
        letters = shop.topics(f"{shop.topic}.dlq")
        with Aside(lambda: shop.produce(pause=8, until=stopped)):
            assert shop.stopped_when(lambda: shop.told() > 0, signal.SIGTERM, parallelism=1) == 143, shop.log
            stopped.set()
        assert shop.ends(parallelism=3) == 0, shop.log
        assert shop.given().equals(wanted(shop)), (shop.unlike(wanted(shop)), shop.log)
        assert len(set(given := ids(shop.servers, shop.alerts))) == len(given), "there are copies"
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
