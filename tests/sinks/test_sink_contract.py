"""What every sink that remembers must do (sinks/contract.py), against the real targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pytest
from redis import Redis
from transition_rows import bring, log, names

from sinks import ndjson
from sinks.clickhouse_read import ClickHouseReader
from sinks.opening import open_sink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Shown = Callable[[], tuple[list[str], list[str]]]

FIRST = [["a1", "b1*", "a2-"], ["b1", "c1", "b2"]]
CURRENT = ["a2-", "b2", "c1"]
LOG = ["a1", "a2-", "b1", "b2", "c1"]
"""The log without early copies, sorted."""


@dataclass(frozen=True)
class Target:
    """A sink's URI, and what the target shows: the last transition of each alert, and the log, both sorted."""

    uri: str
    shown: Shown

    def deliver(self, *batches: Sequence[str], topology: str) -> None:
        """Bring batches, as after a start."""
        sink = open_sink(self.uri)
        bring(sink, *(log(*batch).with_columns(topology=pl.lit(topology)) for batch in batches))
        sink.close()


def _last(rows: pl.DataFrame) -> list[str]:
    return sorted(names(rows.sort("early", "sequence", descending=[True, False]).unique("alert_id", keep="last")))


def _file(tmp_path: Path) -> Target:
    path = tmp_path / "alerts.ndjson"

    def shown() -> tuple[list[str], list[str]]:
        rows = ndjson.decode(path.read_bytes().splitlines())
        return _last(rows), sorted(names(rows.filter(~pl.col("early"))))

    return Target(f"ndjson:{path}", shown)


def _clickhouse(store: str, uri: str) -> Target:
    def shown() -> tuple[list[str], list[str]]:
        with ClickHouseReader(store) as reader:
            current = reader.alerts()
            history = [reader.history(alert_id) for alert_id in current["alert_id"]]
            return sorted(names(current)), sorted(names(pl.concat(history).filter(~pl.col("early"))))

    return Target(uri, shown)


def _redis(url: str, topology: str) -> Target:
    def shown() -> tuple[list[str], list[str]]:
        with Redis.from_url(url, decode_responses=True) as client:
            alerts = [client.hget(key, "transition") for key in client.keys(f"tocsin:{topology}:alert:*")]
            entries = [entry["transition"] for _, entry in client.xrange(f"tocsin:{topology}:stream")]
        stream = ndjson.decode(str(entry).encode() for entry in entries)
        current = ndjson.decode(str(alert).encode() for alert in alerts)
        return sorted(names(current)), sorted(names(stream.filter(~pl.col("early"))))

    return Target(url, shown)


@pytest.fixture(params=["file", "embedded ClickHouse", "ClickHouse server", "Redis"])
def target(request: pytest.FixtureRequest, tmp_path: Path, unique: str) -> Target:
    match request.param:
        case "file":
            return _file(tmp_path)
        case "embedded ClickHouse":
            return _clickhouse(str(tmp_path), f"clickhouse:{tmp_path}")
        case "ClickHouse server":
            host, port = request.getfixturevalue("clickhouse_server")
            uri = f"clickhouse://{host}:{port}/{unique}"
            return _clickhouse(uri, uri)
        case _:
            return _redis(request.getfixturevalue("redis_url"), unique)


class TestEverySink:
    """After second deliveries a target says what it said."""

    @pytest.mark.parametrize(
        "again",
        [
            [],
            FIRST,
            [["a1"], ["b1*", "a2-", "b1"], ["c1"], ["b2"]],
            [["a1", "b1*", "a2-", "b1", "c1", "b2"]],
            [["b1", "c1", "b2"], ["b1*"]],
        ],
        ids=["once", "the same", "cut differently", "all in one", "the tail, then an early copy"],
    )
    def test_says_the_same_as_if_every_transition_had_come_once(
        self, again: Sequence[Sequence[str]], target: Target, unique: str
    ) -> None:
        target.deliver(*FIRST, topology=unique)
        if again:
            target.deliver(*again, topology=unique)
        assert target.shown() == (CURRENT, LOG)

    def test_an_early_copy_that_no_truth_confirms_stays_one(self, target: Target, unique: str) -> None:
        target.deliver(["a1*", "b1"], topology=unique)
        assert target.shown() == (["a1*", "b1"], ["b1"])
