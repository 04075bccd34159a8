"""From what a user writes to a sink: `--sink ndjson:alerts.ndjson`, or `kind` and `target` of a topology's sink."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from sinks.console import ConsoleSink
from sinks.file import FileSink
from tocsin.errors import SinkError
from tocsin.language.sinks import KINDS as WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sinks.contract import Sink


def open_sink(uri: str) -> Sink:
    """Give the sink of a URI: `ndjson:PATH`, `console`, `clickhouse:FOLDER`; nothing is touched yet.

    Raises SinkError for an unknown kind or a missing target.
    """
    kind, _, target = uri.partition(":")
    return make_sink(kind, target)


def make_sink(kind: str, target: str) -> Sink:
    """Give the sink of a kind, as topologies name it (`file` is `ndjson`), and its target."""
    if kind in WORDS and kind not in KINDS:
        raise SinkError(f"sinks of kind {kind} are not there yet: use one of {', '.join(KINDS)}")
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise SinkError(f"unknown sink {kind!r}: expected one of {', '.join(KINDS)}{meant}")
    if kind != "console" and not target:
        raise SinkError(f"the sink {kind} needs a target: {kind}:PATH")
    return KINDS[kind](target)


def _console(target: str) -> Sink:
    if target not in {"", "table"}:
        raise SinkError(f"the console has no target {target!r}: write `console`")
    return ConsoleSink()


def _clickhouse(target: str) -> Sink:
    from sinks.clickhouse_embedded import EmbeddedClickHouseSink  # noqa: PLC0415  # start-up time

    if "//" in target:
        raise SinkError(f"{target} names a ClickHouse server; only a folder can be used yet: clickhouse:FOLDER")
    return EmbeddedClickHouseSink(target)


KINDS: Mapping[str, Callable[[str], Sink]] = {
    "ndjson": FileSink,
    "file": FileSink,
    "console": _console,
    "clickhouse": _clickhouse,
}
