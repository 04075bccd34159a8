"""The words of `sinks`: who receives alerts."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.errors import nearest
from tocsin.language.collections import entries_of
from tocsin.language.nodes import MapNode, Node
from tocsin.language.records import WHY, Record, described, word, words_of
from tocsin.language.report import Refused
from tocsin.language.scalars import EXPRESSION, TEXT
from tocsin.language.shapes import Reading, Scalar, Schema, matching
from tocsin.language.text import NOWHERE, Expression, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark

CONSOLE = "console"

KINDS: Mapping[str, tuple[str, str]] = {
    "clickhouse": ("the ClickHouse server or folder whose tables receive the alerts", "clickhouse://localhost/tocsin"),
    "kafka": ("the Kafka topic that receives the alerts as CloudEvents", "tocsin.city.alerts.v1"),
    "redis": ("the Redis server that holds the current alerts", "redis://localhost/0"),
    "webhook": ("the address that alerts are posted to", "https://example.org/alerts"),
    "alertmanager": ("the Alertmanager that alerts are sent to", "http://localhost:9093"),
    "cap": ("the address that receives CAP 1.2 messages", "https://example.org/cap"),
    "file": ("the file that alerts are appended to, one JSON line each", "alerts.ndjson"),
    "console": ("a table on the console", "table"),
}
"""What each kind of sink takes as its target, and an example."""

AT_MOST = r"[1-9][0-9]* per ([1-9][0-9]* ?(s|m|min|h|d)|second|minute|hour|day)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkWord:
    """Where alerts go: a kind, its target, and which of them."""

    name: Text
    kind: Text
    target: Text
    where: Expression | None = None
    at_most: Text | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkOptions:
    """The words of a sink beside its kind."""

    where: Expression | None = word(
        "which alerts it receives; once one transition of an alert passed, all its later ones do",
        shape=EXPRESSION,
        example="level >= orange",
        default=None,
    )
    at_most: Text | None = word(
        "how many alerts it receives in any such time; others are held back and counted, and it is told of that",
        shape=Scalar("a rate such as 10 per hour", "bad-rate", matching(AT_MOST, "rate"), AT_MOST),
        example="10 per hour",
        default=None,
    )
    mark: Mark = NOWHERE


class Sink:
    """`{kind: target, where: condition}`; `console` may stand alone."""

    words = f"a map {{kind: target, where: condition}}, the kind one of {', '.join(KINDS)}"
    _options = Record(SinkOptions, "a sink")

    def read(self, node: Node, reading: Reading) -> SinkWord:
        """Read a sink that stands under no name."""
        return self.read_named(node, Text("", node.mark), reading)

    def read_named(self, node: Node, name: Text, reading: Reading) -> SinkWord:
        """Give the sink."""
        if node == CONSOLE:
            return SinkWord(name=name, kind=Text(CONSOLE, node.mark), target=Text("", node.mark), mark=name.mark)
        entries = entries_of(node, self.words, reading)
        kinds = [key for key, _ in entries if key in KINDS]
        unknown = self._refuse_unknown([key for key, _ in entries], reading)
        if len(kinds) != 1:
            if not unknown:
                what = f"a sink with {' and '.join(kinds)}" if kinds else "a sink without a kind"
                reading.report.add(name.mark, "unknown-sink", what, f"one of {', '.join(KINDS)}")
            raise Refused
        found = dict(entries)
        options = MapNode(tuple((key, found[key]) for key in found if key in _OPTIONS), node.mark)
        read: SinkOptions = self._options.read(options, reading)
        return SinkWord(
            name=name,
            kind=kinds[0],
            target=TEXT.read(found[kinds[0]], reading),
            where=read.where,
            at_most=read.at_most,
            mark=name.mark,
        )

    def _refuse_unknown(self, keys: list[Text], reading: Reading) -> bool:
        """Report words that are neither kinds nor options; whether there are any."""
        valid = (*KINDS, *_OPTIONS)
        strange = [key for key in keys if key not in valid]
        for key in strange:
            what = f"{str(key)!r} is no kind of sink, nor a word of one"
            reading.report.add(key.mark, "unknown-sink", what, f"one of {', '.join(valid)}", nearest(key, valid))
        return bool(strange)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow one kind with its options, or `console` alone."""
        target = TEXT.schema(definitions)
        kinds = {kind: {"description": doc, "examples": [example]} | target for kind, (doc, example) in KINDS.items()}
        options = {word.spelled: described(word, definitions) for word in words_of(SinkOptions)}
        words = {
            "type": "object",
            "properties": kinds | options | {"why": {"description": WHY} | target},
            "oneOf": [{"required": [kind]} for kind in KINDS],
            "additionalProperties": False,
        }
        return {"anyOf": [{"const": CONSOLE}, words]}


_OPTIONS = tuple(word.spelled for word in words_of(SinkOptions))
SINK = Sink()
