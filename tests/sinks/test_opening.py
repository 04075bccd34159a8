"""What a user writes for a sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sinks.clickhouse_embedded import EmbeddedClickHouseSink
from sinks.clickhouse_server import ClickHouseServerSink
from sinks.console import ConsoleSink
from sinks.file import FileSink
from sinks.opening import make_sink, open_sink
from sinks.redis import RedisSink
from tocsin.errors import SinkError

if TYPE_CHECKING:
    from pathlib import Path


class TestOpening:
    """A URI or a kind names a sink; nothing is touched."""

    @pytest.mark.parametrize(
        ("uri", "kind"),
        [
            ("ndjson:{}/a.ndjson", FileSink),
            ("file:{}/a.ndjson", FileSink),
            ("console", ConsoleSink),
            ("clickhouse:{}/ch", EmbeddedClickHouseSink),
            ("clickhouse://db:9000/tocsin", ClickHouseServerSink),
            ("redis://db:6379/0", RedisSink),
            ("rediss://db", RedisSink),
        ],
    )
    def test_a_uri_names_a_sink(self, uri: str, kind: type, tmp_path: Path) -> None:
        assert isinstance(open_sink(uri.format(tmp_path)), kind)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("uri", "message"),
        [
            ("njson:x", "unknown sink 'njson': expected one of .*; did you mean 'ndjson'"),
            ("alerts.ndjson", "unknown sink 'alerts.ndjson'"),
            ("ndjson:", "needs a target"),
            ("webhook:https://example.org", "sinks of kind webhook are not there yet"),
            ("console:red", "the console has no target 'red'"),
        ],
    )
    def test_a_wrong_uri_says_what_was_expected(self, uri: str, message: str) -> None:
        with pytest.raises(SinkError, match=message):
            open_sink(uri)

    def test_a_topology_names_kind_and_target(self) -> None:
        assert isinstance(make_sink("console", "table"), ConsoleSink)
        assert isinstance(make_sink("clickhouse", "clickhouse://db/tocsin"), ClickHouseServerSink)
        assert isinstance(make_sink("redis", "rediss://db/0"), RedisSink)
