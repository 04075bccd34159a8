"""Streams and tables: types, what is derived at decode, checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from operators.expressions.scope import TableShape
from tocsin.compiler.constant_conditions import check_varies
from tocsin.compiler.fitting import check_stream
from tocsin.compiler.nodes import Context, Node, Shape
from tocsin.compiler.plan import Check, StreamPlan, TablePlan
from tocsin.compiler.types import NO_KEY, column_type, field_types
from tocsin.language.model import Text
from tocsin.model.rows import SOURCE_SYSTEM, Schema
from tocsin.model.types import BOOLEAN, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.expressions.bound import Bound
    from tocsin.compiler.report import Report
    from tocsin.language.model import StreamWord, TableWord


def table_plans(words: Mapping[Text, TableWord], report: Report) -> dict[str, TablePlan]:
    """Type all tables."""
    return {str(name): _table(word, words, report) for name, word in words.items()}


def _table(word: TableWord, words: Mapping[Text, TableWord], report: Report) -> TablePlan:
    fields = field_types(word.fields, words, report)
    _check_table(word, fields, report)
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
        keyed=word.keyed,
    )


def _check_table(word: TableWord, fields: Mapping[str, Type], report: Report) -> None:
    for part in word.key:
        if fields[str(part)].kind in NO_KEY:
            what = f"{part} is of type {fields[str(part)]}, which is no key"
            report.add(part, "key", what, expected="texts, whole numbers, exact decimals or times")
    if word.time is not None and fields[str(word.time)].kind is not Kind.TIMESTAMP:
        what = f"{word.time} is of type {fields[str(word.time)]}"
        report.add(word.time, "time-field", what, expected="a timestamp field, from which on the row holds")
    if word.topic is None and word.file is None and word.rows is None:
        expected = "one of topic, file, rows"
        report.add(word.mark, "table-origin", f"nothing fills the table {word.name}", expected=expected)
    _check_rows(word, report)


def _check_rows(word: TableWord, report: Report) -> None:
    """Note rows that stand in the file without their key, or twice for one key."""
    seen: dict[tuple[str, ...], Text] = {}
    for row in word.rows or ():
        missing = [str(part) for part in word.key if part not in row]
        if missing:
            what = f"a row of {word.name} without {', '.join(missing)}"
            report.add(next(iter(row), word.name), "table-row", what, expected="all parts of the key")
            continue
        if word.time is not None:
            continue
        key = tuple(str(row[part]) for part in word.key)
        first = row[word.key[0]]
        if key in seen:
            what = f"a second row of {word.name} for {', '.join(key)}"
            report.add(first, "table-row", what, expected=f"one row per key (first: {seen[key].mark})")
        seen.setdefault(key, first)


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
    _check_time(word, fields, report)
    check_stream(word, report)
    raw = {name: column_type(type_) for name, type_ in fields.items()}
    derive = _derive(word, raw, context)
    columns = raw | {name: bound.type for name, bound in derive}
    checks = _checks(word, context, columns)
    dedup = 0 if word.dedup is None else word.dedup.ms
    node = Node(str(word.name), columns, Shape.STREAM, SOURCE_SYSTEM, numbered=word.id is None, dedup=dedup)
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
        partitioned_by=tuple(map(str, word.partitioned_by)),
        dedup=dedup,
    )


def _check_time(word: StreamWord, fields: Mapping[str, Type], report: Report) -> None:
    time = fields[str(word.time.field)]
    if time.kind is not Kind.TIMESTAMP:
        report.add(word.time.field, "time-field", f"{word.time.field} is of type {time}", expected="a timestamp field")


def _derive(word: StreamWord, columns: Mapping[str, Type], context: Context) -> tuple[tuple[str, Bound], ...]:
    """Type what is computed on the raw record. Tables hold pseudonyms, which do not exist there yet."""
    derived: list[tuple[str, Bound]] = []
    scope_columns = dict(columns)
    for name, text in word.derive.items():
        bound = context.report.bind(text, context.scope(scope_columns))
        if bound is None:
            continue
        if bound.lookups:
            what = f"{name} looks up {bound.lookups[0].table}, but records are derived from before tables are known"
            context.report.add(text, "derive", what, expected="the look-up under `derive` of a feature")
        derived.append((str(name), bound))
        scope_columns[str(name)] = bound.type
    return tuple(derived)


def _checks(word: StreamWord, context: Context, columns: Mapping[str, Type]) -> tuple[Check, ...]:
    scope, report, checks = context.scope(columns), context.report, list[Check]()
    for name, check in word.checks.items():
        bound = report.bind(check.condition, scope, expect=BOOLEAN)
        if bound is None or not check_varies(check.condition, bound, report):
            continue
        for lookup in bound.lookups:
            if context.topology.tables[Text(lookup.table)].topic is not None:
                what = f"the check {name!s} reads {lookup.table}, a table from a topic, which may come before or after"
                report.add(check.condition, "check", what, expected="a table of `file` or `rows`")
        checks.append(Check(str(name), bound, check.should))
    return tuple(checks)
