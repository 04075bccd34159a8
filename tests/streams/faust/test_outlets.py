"""What a worker has given to the alert topic is not given again by the one that goes on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
from lone_worker import PAYMENTS, Cluster, LoneWorker, settled

from sinks import kafka as kafka_sink
from sinks.contract import HERE
from sinks.delivery import Delivery, Progress
from sinks.kafka import KafkaSink
from streams.tasks import values
from streams.tasks.task import Plain
from tests.sinks.alert_topic import ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pytest

    from tests.servers.fixtures import Topics


def plain_of(table: dict[bytes, bytes]) -> Plain:
    """Give what a commit says."""
    loaded = values.load(table, 0)
    assert loaded is not None
    return msgspec.json.decode(loaded.head.plain, type=Plain)


class TestATaskThatIsTakenOver:
    """Its worker was killed when the sink had its alerts, and no commit said so."""

    def test_gives_no_copies_and_looks_no_further_back_than_to_where_the_sink_stood(
        self, tmp_path: Path, kafka: str, kafka_topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster, alerts = Cluster(), f"kafka://{kafka}/{kafka_topics(partitions=2)}"
        looks: list[dict[int, int]] = []
        read = kafka_sink.read_to_end

        def noted(address: object, settings: object, starts: Mapping[int, int], *rest: object) -> Iterator[object]:
            looks.append(dict(starts))
            return read(address, settings, starts, *rest)  # type: ignore[arg-type]  # as they came

        monkeypatch.setattr(kafka_sink, "read_to_end", noted)

        async def life(end: int) -> None:
            delivery = Delivery("alerts", KafkaSink(alerts), progress=Progress(bookmark=HERE))
            worker = LoneWorker(tmp_path, cluster, [delivery])
            worker.hosting.outlets.start()
            await worker.begin(PAYMENTS)
            await worker.give(PAYMENTS, 0, end)
            await settled(worker, end)
            await worker.hosting.close(10.0)
            assert not worker.failed, worker.failed

        asyncio.run(life(1000))
        stood = json.loads(plain_of(cluster.heads[-1]).bookmarks["alerts"])
        assert sum(stood.values()) == len(ids(kafka, topic_of(alerts))) > 0
        before = len(cluster.heads)
        asyncio.run(life(2000))
        given = ids(kafka, topic_of(alerts))
        waiting = [table for table in cluster.heads[before:] if sinks_behind(table)]
        assert waiting, "no commit holds alerts that no sink has confirmed"
        cluster.tables[PAYMENTS.topic] = waiting[-1]
        looks.clear()
        asyncio.run(life(2000))
        assert ids(kafka, topic_of(alerts)) == given
        assert {int(number): offset for number, offset in stood.items()} in looks
        assert all(sum(starts.values()) > 0 for starts in looks), "the whole topic was read"


def sinks_behind(table: dict[bytes, bytes]) -> bool:
    """Whether a commit holds alerts that a sink has not confirmed."""
    plain = plain_of(table)
    return plain.sinks["alerts"] < plain.outbox_end


def topic_of(uri: str) -> str:
    return uri.rpartition("/")[2]
