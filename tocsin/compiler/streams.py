"""Streams and tables: types, what is derived at decode, checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from operators.expressions.scope import Scope, TableShape
from tocsin.compiler.nodes import Context, Node, Shape
from tocsin.compiler.plan import Check, StreamPlan, TablePlan
from tocsin.compiler.types import column_type, field_types, known_unit
from tocsin.model.rows import SOURCE_SYSTEM, Schema
from tocsin.model.types import BOOLEAN, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.expressions.bound import Bound
    from tocsin.compiler.report import Report
    from tocsin.language.model import StreamWord, TableWord, Text

FORMATS = ("json", "ndjson", "csv", "avro", "parquet", "arrow")


def table_plans(words: Mapping[Text, TableWord], report: Report) -> dict[str, TablePlan]:
    """Type all tables."""
    return {str(name): _table(word, words, report) for name, word in words.items()}


def _table(word: TableWord, words: Mapping[Text, TableWord], report: Report) -> TablePlan:
    fields = field_types(word.fields, words, report)
    for part in word.key:
        if part not in fields:
            report.unknown(part, "field", fields)
    if word.time is not None and word.time not in fields:
        report.unknown(word.time, "field", fields)
    if not word.key:
        report.add(word.mark, "table-key", f"table {word.name} has no key", expected="key: FIELD")
    origins = [name for name, given in (("topic", word.topic), ("file", word.file), ("rows", word.rows)) if given]
    if len(origins) != 1:
        said = " and ".join(origins) or "none"
        report.add(word.mark, "table-origin", f"table {word.name} says {said}", expected="one of topic, file, rows")
    rows = None if word.rows is None else tuple({str(k): str(v) for k, v in row.items()} for row in word.rows)
    return TablePlan(
        str(word.name),
        tuple(map(str, word.key)),
        fields,
        _text(word.time) or None,
        str(word.format),
        word.broadcast,
        _text(word.topic),
        _file(word.file),
        rows,
    )


def _file(text: Text | None) -> str:
    """Give the path of a table's file: it lies beside the file in which the table is declared."""
    return "" if text is None else str(Path(text.mark.file).absolute().parent / text)


def _text(text: Text | None) -> str:
    return "" if text is None else str(text)


def shapes(plans: Mapping[str, TablePlan]) -> dict[str, TableShape]:
    """Give the tables as expressions see them."""
    return {n: TableShape(p.key, {f: column_type(t) for f, t in p.fields.items()}) for n, p in plans.items()}


def stream_plan(word: StreamWord, context: Context) -> StreamPlan:
    """Type one stream, and make it known as a node."""
    report = context.report
    fields = field_types(word.fields, context.topology.tables, report)
    _places(word, fields, context)
    raw = {name: _raw(column_type(type_)) for name, type_ in fields.items()}
    derive = _derive(word, raw, context)
    columns = {name: column_type(type_) for name, type_ in fields.items()} | {n: b.type for n, b in derive}
    checks = _checks(word, context.scope(raw | {n: b.type for n, b in derive}), report)
    node = Node(str(word.name), columns, Shape.STREAM, SOURCE_SYSTEM, numbered=word.id is None)
    context.nodes[node.name] = node
    return StreamPlan(
        node.name,
        fields,
        _text(word.id) or None,
        str(word.time.field),
        word.time.lateness.ms,
        word.time.idle.ms,
        word.time.ahead.ms,
        word.time.skew.ms,
        str(word.format),
        _text(word.topic),
        derive,
        checks,
        Schema(columns, SOURCE_SYSTEM),
    )


def _raw(type_: Type) -> Type:
    """At decode an identifier is still itself, so its parts may be read; tables are known by raw keys there."""
    return type_


def _places(word: StreamWord, fields: Mapping[str, Type], context: Context) -> None:
    """Check what the header of the stream names."""
    report = context.report
    time = fields.get(str(word.time.field))
    if time is None:
        report.unknown(word.time.field, "field", fields)
    elif time.kind is not Kind.TIMESTAMP:
        report.add(word.time.field, "time-field", f"{word.time.field} is {time}", expected="a timestamp field")
    for name in (*([word.id] if word.id is not None else []), *word.partitioned_by):
        if name not in fields:
            report.unknown(name, "field", fields)
    if word.format not in FORMATS:
        report.unknown(word.format, "format", FORMATS)
    for name, field in word.fields.items():
        if field.unit is not None and not known_unit(str(field.unit)):
            report.add(
                field.unit, "unit", f"unit {str(field.unit)!r} of {name} is unknown", expected="a unit or a noun"
            )


def _derive(word: StreamWord, columns: Mapping[str, Type], context: Context) -> tuple[tuple[str, Bound], ...]:
    derived: list[tuple[str, Bound]] = []
    scope_columns = dict(columns)
    for name, text in word.derive.items():
        if name in scope_columns:
            context.report.add(name, "name-twice", f"{name} is already a field of {word.name}", expected="a new name")
        if (bound := context.report.bind(text, context.scope(scope_columns))) is not None:
            derived.append((str(name), bound))
            scope_columns[str(name)] = bound.type
    return tuple(derived)


def _checks(word: StreamWord, scope: Scope, report: Report) -> tuple[Check, ...]:
    bounds = ((name, check, report.bind(check.condition, scope, expect=BOOLEAN)) for name, check in word.checks.items())
    return tuple(Check(str(name), bound, check.should) for name, check, bound in bounds if bound is not None)
