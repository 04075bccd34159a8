"""Workers are told to end while their broker is away, and go on when it is back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shop_runs import Aside, Shop, expected, topics_of

from stack import KafkaBroker
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

WITHIN_SECONDS = 30.0


def test_they_end_in_time_and_nothing_is_lost(tmp_path: Path) -> None:
    with KafkaBroker(tmp_path / "kafka") as broker:
        topics = topics_of(broker.servers)
        shop = Shop(tmp_path, broker.servers, topics, "group", partitions=2, direct=False)
        shop.produce()
        told = []

        def leave() -> None:
            try:
                wait_until(lambda: shop.told() > 0)
                broker.kill()
                time.sleep(1)  # the moment is any
            finally:
                told.append(time.monotonic())
                shop.stopped.set()

        with Aside(leave):
            assert not shop.run(), "it was told to end"
        assert time.monotonic() - told[0] < WITHIN_SECONDS
        log = (shop.folder / "state" / "worker-0.log").read_text()
        assert 0 < log.count("Unable connect to node") < 10, "the client tells the same over and over"
        assert "the next start goes on from what is durable" in shop.logs(), "the supervisor did not have to kill them"
        broker.start()
        shop.stopped.clear()
        assert shop.run(), shop.logs()
        folder = tmp_path / "local"
        folder.mkdir()
        wanted = expected(folder, shop.text)
        assert shop.given().equals(wanted), (shop.unlike(wanted), shop.logs())
