"""The words of `tables`: what is looked up."""

# ruff: noqa: RUF009  # `word` is a `dataclasses.field`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.language.collections import ListOf, Many
from tocsin.language.fields import FIELDS, PART_OF, PLAIN_TYPES, FieldWord, known_field
from tocsin.language.nodes import MapNode, Node
from tocsin.language.records import Record, word
from tocsin.language.scalars import ANY_TEXT, BOOLEAN, COLUMN, INTEGER, TEXT
from tocsin.language.shapes import Reading, Schema, wrong_shape
from tocsin.language.streams import FORMAT
from tocsin.language.text import NOWHERE, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.errors import Mark


class Row:
    """A row of a table that stands in the file: values by field; `why` is a field like others here."""

    words = "a map {field: value}"

    def read(self, node: Node, reading: Reading) -> dict[Text, Text]:
        """Give the row."""
        if not isinstance(node, MapNode):
            raise wrong_shape(node, self.words, reading)
        return {name: ANY_TEXT.read(value, reading) for name, value in node.entries}

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow any fields."""
        return {"type": "object", "additionalProperties": ANY_TEXT.schema(definitions)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWord:
    """One table: rows by key, looked up as of the event's time."""

    name: Text
    key: tuple[Text, ...] = word(
        "the fields that name a row; the first alone finds all rows that begin with it",
        shape=Many(COLUMN),
        example="terminal",
    )
    fields: Mapping[Text, FieldWord] = word(
        "the fields of a row and their types, those of the key too",
        shape=FIELDS,
        example="{terminal: string, place: point}",
    )
    time: Text | None = word(
        "the field from whose time on a row holds; else the record's own timestamp (`file` and `rows`: always)",
        shape=COLUMN,
        example="since",
        default=None,
    )
    broadcast: int = word(
        "every worker keeps the whole table, up to so many rows", shape=INTEGER, example="50000", default=1_000_000
    )
    keyed: bool = word(
        "the table is spread over the workers by its key, and what reads it is sent there",
        shape=BOOLEAN,
        example="true",
        default=False,
    )
    format: Text = word("how records are encoded", shape=FORMAT, example="csv", default=Text("json"))
    topic: Text | None = word(
        "the compacted Kafka topic that brings the rows; an empty record deletes",
        shape=TEXT,
        example="lists.city.terminal.v1",
        default=None,
    )
    file: Text | None = word(
        "the file that holds the rows, relative to this one", shape=TEXT, example="terminals.csv", default=None
    )
    rows: tuple[Mapping[Text, Text], ...] | None = word(
        "the rows themselves", shape=ListOf(Row()), example="[{terminal: t1, place: 39.90 116.40}]", default=None
    )
    mark: Mark = NOWHERE


def _finish(values: dict[str, Any], mark: Mark, reading: Reading) -> None:
    """Refuse keys and row values that are no fields, two origins, and names that are types."""
    name, fields = values["name"], values["fields"]
    if name in PLAIN_TYPES or name in PART_OF:
        reading.report.add(name.mark, "bad-name", f"{str(name)!r} is a type", "another name for the table")
    for column in (*values["key"], *filter(None, [values.get("time")])):
        known_field(column, fields, reading)
    for row in values.get("rows") or ():
        for column in row:
            known_field(column, fields, reading)
    origins = [origin for origin in ("topic", "file", "rows") if values.get(origin) is not None]
    if len(origins) > 1:
        what = f"{str(name)!r} has {' and '.join(origins)}"
        reading.report.add(mark, "contradiction", what, "one of topic, file, rows")
    if values.get("keyed") and "broadcast" in values:
        reading.report.add(mark, "contradiction", f"{str(name)!r} is keyed and broadcast", "one of them")


TABLE = Record(TableWord, "a table", named="name", finish=_finish)
