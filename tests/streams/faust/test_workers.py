"""Workers on a real broker raise the alerts of a run over files, whatever is done to them."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import sys
import time
from functools import partial
from threading import Event
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from shop_runs import BEGIN, EVENTS, Aside, Shop, expected, kill, records, stored_texts, workers_of

from streams.faust.app import changelog_of
from tests.sinks.alert_topic import ids, key, messages, value
from tests.waiting import wait_until
from tocsin.errors import SinkError, SourceError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from tests.servers.fixtures import Topics

FAILING = """
import sys
from pathlib import Path
from streams.faust import gathering, worker

taken, mark = gathering.Gathering.take_in, Path(__file__).with_suffix(".failed")

def take(self, news):
    done = taken(self, news)
    if not mark.exists():
        mark.touch()
        raise ValueError("on purpose")
    return done

gathering.Gathering.take_in = take
sys.exit(worker.main())
"""
"""A worker whose first batch fails once it is taken, the first time."""
METRICS = (
    'tocsin_records_read_total{stream="payments"}',
    'tocsin_consumer_lag_records{partition="0",stream="payments"}',
    'tocsin_process_info{runtime="faust"',
    "process_resident_memory_bytes ",
)
SEED = time.time_ns() % 100_000
"""Printed where a test fails; put it here to do the same again."""


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shop], pl.DataFrame]:
    """Give the canonical form of a run over files."""
    folder = tmp_path_factory.mktemp("local")

    def of(shop: Shop) -> pl.DataFrame:
        found = expected(folder, shop.filed)
        return found.drop("rule_version") if shop.tabled else found

    return of


@pytest.fixture
def make(tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str) -> Callable[..., Shop]:
    return partial(Shop, tmp_path, kafka, kafka_topics, unique)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def page(port: int, name: str, pages: dict[str, str]) -> str:
    """Read a page of a worker's web, and keep it; before it is there it is empty."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/{name}", timeout=5) as answer:
            pages[name] = answer.read().decode()
    except OSError:
        return ""
    return pages[name]


class TestOneWorker:
    def test_beside_one_partition_and_behind_the_exchange(
        self, make: Callable[..., Shop], wanted: Callable[[Shop], pl.DataFrame]
    ) -> None:
        shop, port = make(idle="2s"), free_port()
        letters = shop.topics(f"{shop.topic}.dlq")
        shop.produce_in_transactions()
        pages: dict[str, str] = {}

        def look() -> None:
            wait_until(lambda: all(metric in page(port, "metrics", pages) for metric in METRICS))
            assert page(port, "readyz", pages)
            wait_until(lambda: shop.told() > 0)
            shop.give_up_a_transaction()

        with Aside(look):
            assert shop.run(web=True, web_port=port), shop.logs()
        assert json.loads(pages["readyz"]) == {"good": True, "checks": {"sources": "good", "sinks": "good"}}
        assert shop.given().equals(wanted(shop)), (shop.unlike(wanted(shop)), shop.logs())
        dead = messages(shop.servers, letters)
        assert len(dead) == EVENTS // 997
        assert all(key(letter) in value(letter) for letter in dead), "each has the key of its record, the card"

    def test_whose_partitions_wait_for_one_another_again_and_again(
        self, make: Callable[..., Shop], wanted: Callable[[Shop], pl.DataFrame]
    ) -> None:
        shop = make(partitions=2, direct=False, skew="1s")

        def produce() -> None:
            wait_until(lambda: len(workers_of(shop.folder)) == 1)
            shop.produce(pause=5)

        with Aside(produce):
            assert shop.run(), shop.logs()
        assert shop.given().equals(wanted(shop)), (shop.unlike(wanted(shop)), shop.logs())


class TestThreeWorkers:
    """Records come while they run."""

    def test_one_is_killed_at_a_random_moment(
        self, make: Callable[..., Shop], wanted: Callable[[Shop], pl.DataFrame]
    ) -> None:
        chance = random.Random(SEED)  # noqa: S311  # chaos, not secrets
        shop, struck = make(workers=3, partitions=4, judged=True), Event()

        def disturb() -> None:
            wait_until(lambda: len(workers_of(shop.folder)) == 3)
            shop.produce(pause=8, until=struck)

        def strike() -> None:
            wait_until(lambda: shop.told() > 0)
            time.sleep(chance.uniform(0, 4))  # the moment is the point
            kill(shop.folder, chance.randint(0, 2))
            struck.set()

        with Aside(disturb), Aside(strike):
            assert shop.run(), (SEED, shop.logs())
        assert shop.crashes, "nobody was killed"
        assert shop.given().equals(wanted(shop)), (SEED, shop.unlike(wanted(shop)), shop.logs())
        assert shop.counted() == shop.quality, (SEED, "each record is counted once")
        assert len(set(given := ids(shop.servers, shop.alerts))) == len(given), (SEED, "there are copies")

    def test_workers_come_and_go_while_keys_are_exchanged(
        self, make: Callable[..., Shop], wanted: Callable[[Shop], pl.DataFrame]
    ) -> None:
        shop, struck = make(workers=3, partitions=4, direct=False, tabled=True), Event()
        shop.produce_table()

        def disturb() -> None:
            wait_until(lambda: len(workers_of(shop.folder)) == 3)
            with Aside(lambda: shop.produce(pause=8, until=struck)):
                wait_until(lambda: shop.told() > 0)
                time.sleep(random.Random(SEED).uniform(0, 4))  # noqa: S311  # the moment is the point
                kill(shop.folder, 1, signal.SIGTERM)
                struck.set()

        with Aside(disturb):
            assert shop.run(), (SEED, shop.logs())
        assert shop.given().equals(wanted(shop)), (SEED, shop.unlike(wanted(shop)), shop.logs())
        assert len(set(given := ids(shop.servers, shop.alerts))) == len(given), (SEED, "there are copies")


class TestPersons:
    def test_no_raw_identifier_is_in_what_a_group_keeps_in_kafka(self, make: Callable[..., Shop]) -> None:
        shop = make(partitions=2)
        shop.produce()
        assert shop.run(until=BEGIN + 600_000), shop.logs()
        assert shop.run(until=BEGIN + 600_000), "it is through already"
        raw = re.compile(r"(?<!\d)4000\d{4}(?!\d)")
        texts = list(stored_texts(shop))
        assert sum("p:" in text or re.search("[0-9a-f]{16}", text) is not None for text in texts) > 10
        assert [found for text in texts if (found := raw.search(text))] == []
        assert raw.search(shop.logs()) is None
        assert raw.search(next(records())[1].decode()), "the numbers that were planted"


class TestWhatFails:
    def test_an_error_in_an_agent_crashes_the_worker_and_loses_nothing(
        self, make: Callable[..., Shop], wanted: Callable[[Shop], pl.DataFrame], tmp_path: Path
    ) -> None:
        script = tmp_path / "failing.py"
        script.write_text(FAILING)
        shop = make(command=(sys.executable, str(script)))
        shop.produce()
        assert shop.run(), shop.logs()
        assert "exit code 1" in shop.crashes[0]
        assert "on purpose" in shop.logs()
        assert shop.given().equals(wanted(shop)), (shop.unlike(wanted(shop)), shop.logs())

    def test_a_state_that_the_changelog_does_not_take_is_told_with_the_setting(
        self, make: Callable[..., Shop], kafka_topics: Topics
    ) -> None:
        shop = make()
        kafka_topics(changelog_of(shop.group, shop.topic), cleanup_policy="compact", max_message_bytes="2000")
        shop.produce()
        with pytest.raises(StateError, match=r"raise its max\.message\.bytes"):
            shop.run()

    def test_a_stream_that_is_not_partitioned_as_it_says_ends_the_run(self, make: Callable[..., Shop]) -> None:
        shop = make(partitions=3, scattered=True)
        shop.produce()
        with pytest.raises(StateError, match="says that it is partitioned_by card, but one card has records in"):
            shop.run()

    def test_a_topic_or_broker_that_is_not_there_is_told_at_once(self, make: Callable[..., Shop]) -> None:
        shop = make()
        with pytest.raises(SourceError, match="has no topic nothing"):
            shop.run(sources={"payments": f"kafka://{shop.servers}/nothing"})
        with pytest.raises(SourceError, match="no Kafka broker answers"):
            shop.run(sources={"payments": "kafka://127.0.0.1:1/nothing"})

    def test_a_table_whose_topic_is_not_there_is_told_before_workers_start(self, make: Callable[..., Shop]) -> None:
        shop = make(tabled=True)
        missing = rf"the table shops: .*{shop.group}.shops does not exist.*`tocsin topics apply`"
        with pytest.raises(SourceError, match=missing):
            shop.run()
        assert not (shop.folder / "state").exists()

    def test_files_are_written_to_by_one_worker_only(self, make: Callable[..., Shop]) -> None:
        with pytest.raises(SinkError, match="by one process"):
            make(workers=2).run(sinks=["ndjson:alerts.ndjson"])
