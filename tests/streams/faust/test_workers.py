"""Workers on a real broker raise the alerts of a run over files, whatever is done to them."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shop_runs import Aside, Shop, expected, kill, until, workers_of

from streams.faust.topics import CHANGELOG
from tocsin.errors import SourceError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from tests.servers.fixtures import Topics

SEED = time.time_ns() % 100_000
"""Printed where a test fails; put it here to do the same again."""


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shop], pl.DataFrame]:
    """Give the canonical form of a run over files."""
    folder = tmp_path_factory.mktemp("local")
    return lambda shop: expected(folder, shop.text)


@pytest.fixture
def shop(tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str) -> Shop:
    return Shop(tmp_path, kafka, kafka_topics, unique)


class TestOneWorker:
    def test_beside_one_partition_and_behind_the_exchange(
        self, shop: Shop, wanted: Callable[[Shop], pl.DataFrame]
    ) -> None:
        shop.produce()
        assert shop.run(), shop.logs()
        assert shop.given().equals(wanted(shop)), shop.logs()


class TestThreeWorkers:
    """Records come while they run."""

    def test_one_is_killed_at_a_random_moment(self, shop: Shop, wanted: Callable[[Shop], pl.DataFrame]) -> None:
        chance = random.Random(SEED)  # noqa: S311  # chaos, not secrets
        shop.workers, shop.partitions = 3, 4
        shop.__post_init__()

        def disturb() -> None:
            until(lambda: len(workers_of(shop.folder)) == 3)
            shop.produce(pause=12)

        def strike() -> None:
            until(lambda: len(workers_of(shop.folder)) == 3)
            time.sleep(chance.uniform(4, 10))  # the moment is the point
            kill(shop.folder, chance.randint(0, 2))

        with Aside(disturb), Aside(strike):
            assert shop.run(), (SEED, shop.logs())
        assert shop.warned, "nobody was killed"
        assert shop.given().equals(wanted(shop)), (SEED, shop.logs())
