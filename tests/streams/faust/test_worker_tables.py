"""Workers read tables out of topics when they start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from shop_runs import BEGIN, TOPOLOGY, Shop, expected

from tocsin.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fixtures import Topics


class TableShop(Shop):
    """The shop whose table is a topic."""

    @property
    def text(self) -> str:
        """Give the topology."""
        return TOPOLOGY.replace("    file: shops.csv\n", f"    topic: {self.group}.shops\n")


def shop(folder: Path, servers: str, topics: Topics, unique: str) -> TableShop:
    """Make a shop of two workers."""
    return TableShop(folder, servers, topics, unique, partitions=2, workers=2)


def test_the_same_alerts_as_with_the_table_in_a_file(
    tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str
) -> None:
    made = shop(tmp_path, kafka, kafka_topics, unique)
    topic = kafka_topics(f"{unique}.shops", partitions=2, cleanup_policy="compact")
    folder = tmp_path / "local"
    folder.mkdir()
    wanted = expected(folder, TOPOLOGY)
    producer = Producer({"bootstrap.servers": kafka})
    rows = (folder / "shops.csv").read_text().splitlines()[1:]
    for name, most in (row.split(",") for row in rows):
        producer.produce(topic, json.dumps({"shop": name, "most": most}), name, timestamp=BEGIN - 3_600_000)
    assert producer.flush(30) == 0
    made.produce()
    assert made.run(), made.logs()
    same = wanted.drop("rule_version").equals(made.given().drop("rule_version"))  # that tells where tables come from
    assert same, made.logs()


def test_a_topic_that_is_not_there_is_told_before_workers_start(
    tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str
) -> None:
    made = shop(tmp_path, kafka, kafka_topics, unique)
    with pytest.raises(SourceError, match=rf"the table shops: .*{unique}.shops does not exist.*`tocsin topics apply`"):
        made.run()
    assert not (tmp_path / "state").exists()
