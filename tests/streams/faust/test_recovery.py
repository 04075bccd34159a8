"""What a worker finds in a changelog when it takes a partition over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer, TopicPartition
from lone_worker import Cluster, LoneWorker, Tp
from shop_runs import Shop, expected

from streams.faust.app import changelog_of
from streams.faust.topics import exchange_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fixtures import Topics


def first_head(folder: Path, group: str, text: str) -> dict[bytes, bytes]:
    """Give what the first commit of a shard writes that has no rows yet."""
    cluster, shard = Cluster(), Tp(exchange_of(group), 0)

    async def story() -> None:
        worker = LoneWorker(folder, cluster, text=text, group=group)
        await worker.begin(shard)
        await worker.hosting.close(1.0)

    asyncio.run(story())
    return cluster.tables[shard.topic]


def test_its_first_record_is_read_too(tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str) -> None:
    shop = Shop(tmp_path, kafka, kafka_topics, unique, direct=False)
    shop.produce()
    entries = first_head(tmp_path, unique, shop.text)
    changelog = kafka_topics(changelog_of(unique, exchange_of(unique)), cleanup_policy="compact")
    exchange = kafka_topics(exchange_of(unique))
    producer = Producer({"bootstrap.servers": kafka})
    for key, value in entries.items():
        producer.produce(changelog, value, key, 0)
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": unique})
    consumer.commit(offsets=[TopicPartition(exchange, 0, 8)], asynchronous=False)  # so that a missing state would show
    consumer.close()
    assert shop.run(), shop.logs()
    folder = tmp_path / "local"
    folder.mkdir()
    wanted = expected(folder, shop.text)
    assert shop.given().equals(wanted), (shop.unlike(wanted), shop.logs())
