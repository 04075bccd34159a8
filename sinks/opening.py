"""From what a user writes to a sink: `--sink ndjson:alerts.ndjson`, or `kind` and `target` of a topology's sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sinks.console import ConsoleSink
from sinks.file import FileSink
from tocsin.errors import SinkError, did_you_mean
from tocsin.language.sinks import KINDS as WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sinks.contract import Sink


def open_sink(uri: str) -> Sink:
    """Give the sink of a URI: `ndjson:PATH`, `console`, `clickhouse:FOLDER`, `redis://HOST`, …; nothing is touched.

    Raises SinkError for an unknown kind or a missing target.
    """
    kind, _, target = uri.partition(":")
    return make_sink(kind, target)


def make_sink(kind: str, target: str) -> Sink:
    """Give the sink of a kind, as topologies name it (`file` is `ndjson`), and its target."""
    if kind in WORDS and kind not in KINDS:
        raise SinkError(f"sinks of kind {kind} are not there yet: use one of {', '.join(KINDS)}")
    if kind not in KINDS:
        raise SinkError(f"unknown sink {kind!r}: expected one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    if kind != "console" and not target:
        raise SinkError(f"the sink {kind} needs a target: {kind}:PATH")
    return KINDS[kind](target)


def _console(target: str) -> Sink:
    if target not in {"", "table"}:
        raise SinkError(f"the console has no target {target!r}: write `console`")
    return ConsoleSink()


def _clickhouse(target: str) -> Sink:
    from sinks.clickhouse_address import names_server  # noqa: PLC0415  # start-up time
    from sinks.clickhouse_embedded import EmbeddedClickHouseSink  # noqa: PLC0415

    if not names_server(target):
        return EmbeddedClickHouseSink(target)
    try:
        from sinks.clickhouse_server import ClickHouseServerSink  # noqa: PLC0415  # the driver is an extra
    except ModuleNotFoundError as error:
        raise SinkError(f"a ClickHouse server needs {error.name}: install tocsin[servers]") from None
    return ClickHouseServerSink(target)


def _kafka(target: str) -> Sink:
    from sinks.kafka import KafkaSink  # noqa: PLC0415  # start-up time
    from tocsin.kafka import confluent  # noqa: PLC0415

    confluent(SinkError)
    return KafkaSink(target)


def _redis(target: str) -> Sink:
    try:
        from sinks.redis import RedisSink  # noqa: PLC0415  # the client is an extra
    except ModuleNotFoundError as error:
        raise SinkError(f"Redis needs {error.name}: install tocsin[servers]") from None
    return RedisSink(target)


def _redis_by_tls(target: str) -> Sink:
    return _redis(f"rediss:{target}")


KINDS: Mapping[str, Callable[[str], Sink]] = {
    "ndjson": FileSink,
    "file": FileSink,
    "console": _console,
    "clickhouse": _clickhouse,
    "kafka": _kafka,
    "redis": _redis,
    "rediss": _redis_by_tls,
}
