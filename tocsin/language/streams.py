"""The words of `streams`: what comes in."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.language.collections import Many, MapOf
from tocsin.language.fields import FIELDS, FieldWord, known_field
from tocsin.language.records import Record, word
from tocsin.language.scalars import ANY_TEXT, COLUMN, DURATION, DURATION_OR_ZERO, EXPRESSION, TEXT
from tocsin.language.shapes import Choice, Reading, Schema
from tocsin.language.text import NOWHERE, Duration, Expression, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark
    from tocsin.language.nodes import Node

FORMAT = Choice("format", ("json", "ndjson", "csv", "avro", "parquet"), "bad-format")
BUILT_IN = ("alerts", "quality")


def _length(text: str) -> Duration:
    return Duration({"5m": 300_000, "1h": 3_600_000}[text], Text(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWord:
    """`time` of a stream: where event time stands and how late events may be."""

    field: Text = word("the field that holds the event's time", shape=COLUMN, example="at")
    lateness: Duration = word(
        "how far behind the latest event time of its partition an event may come and still count",
        shape=DURATION_OR_ZERO,
        example="5s",
    )
    idle: Duration = word(
        "how long a partition must be read to its end before it no longer holds the others back",
        shape=DURATION,
        example="30s",
        default=_length("5m"),
    )
    ahead: Duration = word(
        "how far an event's time may lie ahead of its ingestion before it is a dead letter",
        shape=DURATION,
        example="10m",
        default=_length("1h"),
    )
    skew: Duration = word(
        "how far the reading of this stream may run ahead of the others before it pauses",
        shape=DURATION,
        example="2h",
        default=_length("1h"),
    )
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckWord:
    """A check: what fails it is a dead letter; with `{should: condition}` it is only counted."""

    condition: Expression
    should: bool = False
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class ShouldWord:
    """The long form of a check: a failure is counted in the stream `quality`, and the record goes on."""

    should: Expression = word(
        "the condition; a record that fails it only counts", shape=EXPRESSION, example="amount < 1000"
    )
    mark: Mark = NOWHERE


class Check:
    """A check's condition, alone or after `should`."""

    words = "a condition, or {should: condition}"
    _long = Record(ShouldWord, "a check")

    def read(self, node: Node, reading: Reading) -> CheckWord:
        """Give the check."""
        if isinstance(node, Text):
            return CheckWord(condition=EXPRESSION.read(node, reading), mark=node.mark)
        long: ShouldWord = self._long.read(node, reading)
        return CheckWord(condition=long.should, should=True, mark=long.mark)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow both forms."""
        return {"anyOf": [EXPRESSION.schema(definitions), self._long.schema(definitions)]}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWord:
    """One stream of events."""

    name: Text
    fields: Mapping[Text, FieldWord] = word(
        "the fields of a record and their types", shape=FIELDS, example="{at: timestamp, card: person(card)}"
    )
    time: TimeWord = word(
        "where event time stands and how late events may be",
        shape=Record(TimeWord, "the time of a stream"),
        example="{field: at, lateness: 5s}",
    )
    id: Text | None = word(
        "the field that names an event: copies with the same key, id and time are one event",
        shape=COLUMN,
        example="payment_id",
        default=None,
    )
    topic: Text | None = word(
        "the Kafka topic that brings the events", shape=TEXT, example="payments.city.transaction.v1", default=None
    )
    format: Text = word("how records are encoded", shape=FORMAT, example="avro", default=Text("json"))
    owner: Text | None = word(
        "who answers for the stream; `stream.owner` in rules on `quality`",
        shape=TEXT,
        example="card team",
        default=None,
    )
    partitioned_by: tuple[Text, ...] = word(
        "the fields by which the topic is partitioned already: features by these need no exchange",
        shape=Many(COLUMN),
        example="card",
        default=(),
    )
    dedup: Duration | None = word(
        "for how long after the last kept copy of an event (same key and id) further copies are dropped, "
        "though their times differ; needs `id`",
        shape=DURATION,
        example="1h",
        default=None,
    )
    derive: Mapping[Text, Expression] = word(
        "further columns, computed on the raw record before persons become pseudonyms",
        shape=MapOf(COLUMN, EXPRESSION),
        example="{issuer: 'prefix(card, 6)'}",
        default_factory=dict,
    )
    checks: Mapping[Text, CheckWord] = word(
        "conditions on every record, by names of your own; what fails one is a dead letter that names it",
        shape=MapOf(ANY_TEXT, Check()),
        example="{positive: amount > 0, plausible: {should: amount < 100000}}",
        default_factory=dict,
    )
    mark: Mark = NOWHERE


def _finish(values: dict[str, Any], _mark: Mark, reading: Reading) -> None:
    """Refuse fields that are named but not declared, and the names of the built-in streams."""
    name, fields = values["name"], values["fields"]
    if name in BUILT_IN:
        reading.report.add(name.mark, "bad-name", f"{str(name)!r} is a built-in stream", "another name")
    known_field(values["time"].field, fields, reading)
    if values.get("id") is not None:
        known_field(values["id"], fields, reading)
    for column in values.get("partitioned_by", ()):
        known_field(column, {**fields, **values.get("derive", {})}, reading)
    for column in values.get("derive", {}):
        if column in fields:
            reading.report.add(column.mark, "duplicate-key", f"{str(column)!r} is a field already", "a new name")


STREAM = Record(StreamWord, "a stream", named="name", finish=_finish)
