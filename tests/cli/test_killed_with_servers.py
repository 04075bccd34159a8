"""kill -9 of a run and of the servers that it delivers to: in the end they say what an undisturbed run says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from redis import Redis
from shop import RUN, start, tocsin, write_shop

from operators.alerting.canonical import canonical
from sinks.clickhouse_read import ClickHouseReader
from sinks.ndjson import decode
from stack import ClickHouseServer, RedisServer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

WITHIN = 120.0
"""Seconds; the machines are shared."""


def streamed(url: str) -> pl.DataFrame:
    """Give what live readers of Redis have seen; a server that is starting has shown nothing."""
    client: Any = Redis.from_url(url, decode_responses=True)
    with client:
        return decode(entry["transition"].encode() for _, entry in client.xrange("tocsin:shop:stream"))


def current(url: str) -> list[str]:
    """Give the ids of the alerts that are open."""
    client: Any = Redis.from_url(url, decode_responses=True)
    with client:
        return sorted(client.zrange("tocsin:shop:current", "+inf", "+inf", byscore=True))


class TestServersAndRunsThatAreKilled:
    """Nothing lost, nothing doubled."""

    def test_end_with_the_same_alerts_in_both_servers(self, tmp_path: Path) -> None:
        write_shop(tmp_path)
        with ClickHouseServer(tmp_path / "clickhouse") as house, RedisServer(tmp_path / "redis") as redis:
            uri = f"clickhouse://{house.address}/shop"
            slowly = (*RUN, "--sink", uri, "--sink", redis.url, "--batch-rows", 40, "--commit-seconds", 0)
            for server in (redis, house):
                before = streamed(redis.url).height
                with start(tmp_path, *slowly) as process:
                    running = process
                    wait_until(lambda: streamed(redis.url).height > before or running.poll() is not None)  # noqa: B023  # called here only
                    server.kill()
                    assert process.poll() is None, "the lives were too short for this machine"
                    process.kill()
                    process.communicate()
                server.start()
            last = tocsin(tmp_path, *slowly)
            assert last.returncode == 0, last.stderr

            expected = canonical(decode((tmp_path / "alerts.ndjson").read_bytes().splitlines()))
            assert expected.height > 50
            assert canonical(streamed(redis.url)).equals(expected)
            with ClickHouseReader(uri) as reader:
                alerts = reader.alerts(most=10_000)
                history = pl.concat([reader.history(alert_id) for alert_id in alerts["alert_id"]])
                assert canonical(history).equals(expected)
                assert reader.counts()["transitions"].sum() == expected.height
            still_open = alerts.filter(pl.col("open") != 0)["alert_id"].sort().to_list()
            assert current(redis.url) == still_open
