"""The tests inside rules: given events through the real stages, expected levels at times (language.md, decision 11).

Times of day are on one Monday, in the topology's zone. Values are read as CSV cells are, and records that fail a check
are left out, as everywhere; identifiers of persons stay as they are written, so that an expectation can name them. A
table has the rows given, or else those that stand in the topology; one from a file or topic is empty. A run ends after
the last expected time plus all that the rule remembers. A row of a window is named by its window's end.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from operators.lookups import ALWAYS, GONE, look_up
from streams.given import Given
from streams.local.dataflow import Dataflow, empty_table
from streams.texts import read_texts
from tocsin.errors import SourceError
from tocsin.model.alerts import Transition
from tocsin.model.quality import COUNTED, FIELDS, QUALITY, quality_rows
from tocsin.model.rows import HASH, ID, POSITION, TIME, greatest_time
from tocsin.model.types import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tocsin.compiler import Plan, RulePlan, StreamPlan
    from tocsin.compiler.plan import TablePlan
    from tocsin.language.model import GivenWord, RuleTest, RuleWord, Topology
    from tocsin.model.types import Type

DAY = date(2026, 3, 2)
"""A Monday without a change of clocks."""

EVERYTHING = "all"
"""The name of the one entity of a rule that has no key."""
_FIELDS = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test of a rule: what was expected and what happened, per entity; empty `differences` is good."""

    rule: str
    number: int
    place: str
    differences: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether everything happened as expected, and nothing else."""
        return not self.differences


def run_tests(topology: Topology, plan: Plan) -> Iterator[Outcome]:
    """Run all tests of all rules."""
    for name, word in topology.rules.items():
        for number, test in enumerate(word.tests, 1):
            try:
                differences = tuple(_differences(word, test, plan))
            except SourceError as error:
                differences = (str(error),)
            yield Outcome(str(name), number, str(test.mark), differences)


def _differences(word: RuleWord, test: RuleTest, plan: Plan) -> Iterator[str]:
    got = _levels(_transitions(word, test, plan), plan.rules[str(word.name)], plan.zone)
    given = Given(plan.zone, DAY)
    expected = {str(name): [_written(text, given) for text in texts] for name, texts in test.expect.items()}
    for entity in sorted(set(got) | set(expected)):
        want, have = expected.get(entity, []), got.get(entity, [])
        if want != have:
            yield f"{entity}: expected {', '.join(want) or 'nothing'}; got {', '.join(have) or 'nothing'}"


def _written(expected: str, given: Given) -> str:
    """Write an expectation as what happened is written."""
    time, level = expected.rsplit(" ", 1)
    return f"{_moment(given.moment(time), given.zone)} {level}"


def _transitions(word: RuleWord, test: RuleTest, plan: Plan) -> pl.DataFrame:
    rule = plan.rules[str(word.name)]
    flow = Dataflow(plan, wanted=[rule.stage])
    given = Given(plan.zone, DAY)
    read = [plan.streams[name] for name in sorted(flow.streams)]
    checked = {lookup.table for stream in read for check in stream.checks for lookup in check.bound.lookups}
    tables = {name: _table(plan, name, test, given) for name in sorted(flow.table_names | checked)}
    for name in sorted(flow.table_names):
        flow.change_table(name, tables[name])
    last = 0
    for stream in read:
        rows = _events(stream, _given(test, stream.name), given, _Tables(plan, tables))
        last = max(last, greatest_time(rows) or 0)
        flow.feed(stream.name, rows)
    clock = []
    if flow.counts_quality:
        rows = _counts(_given(test, QUALITY), given)
        last = max(last, greatest_time(rows) or 0)
        flow.feed(QUALITY, rows)
        clock = [QUALITY]
    expected = [given.moment(text.rsplit(" ", 1)[0]) for texts in test.expect.values() for text in texts]
    until = max([last, *expected]) + _remembered(word, plan)
    found = flow.advance(dict.fromkeys([*flow.streams, *clock], until))
    return found.get(rule.stage, pl.DataFrame())


def _remembered(word: RuleWord, plan: Plan) -> int:
    """How long after the last event something may still happen, expiry of silent alerts left out."""
    keep = word.keep.ms if word.keep is not None else 0
    wait = word.for_.ms if word.for_ is not None else 0
    memory = max((plan.memory.get(str(name), 0) for name in word.sources), default=0)
    return keep + wait + memory + 1


def _given(test: RuleTest, name: str) -> Sequence[GivenWord]:
    return next((lines for key, lines in test.given.items() if key == name), ())


@dataclass(frozen=True, slots=True)
class _Tables:
    """The tables of a test, for the checks of streams."""

    plan: Plan
    frames: Mapping[str, pl.DataFrame]

    def passing(self, rows: pl.DataFrame, stream: StreamPlan) -> pl.DataFrame:
        """Leave out the records that fail a check; null meets it."""
        keys = {name: self.plan.tables[name].key for name in self.frames}
        for check in stream.checks:
            if not check.should:
                seen = look_up(rows, check.bound.lookups, self.frames, keys)
                rows = rows.filter(seen.select(check.bound.expr.fill_null(value=True)).to_series())
        return rows


def _events(stream: StreamPlan, lines: Sequence[GivenWord], given: Given, tables: _Tables) -> pl.DataFrame:
    """Give the rows of a stream, as the ingest stage would, in the order of their times."""
    typed = _read(lines, stream.fields, given, stream.time, id_=stream.id)
    for name, bound in stream.derive:
        typed = typed.with_columns(bound.expr.alias(name))
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    identity = pl.lit(None, dtype=pl.String) if stream.id is None else pl.col(stream.id).cast(pl.String)
    rows = typed.with_columns(
        pl.col(stream.time).alias(TIME), identity.alias(ID), number.cast(pl.UInt64).alias(HASH), number.alias(POSITION)
    )
    return stream.output.conform(tables.passing(rows.sort(TIME, maintain_order=True), stream))


def _counts(lines: Sequence[GivenWord], given: Given) -> pl.DataFrame:
    """Give the rows of `quality`; what a line does not count is 0, and without a field it is the whole record."""
    read = _read(lines, FIELDS, given, "at")
    return quality_rows(read.with_columns(pl.col("field").fill_null(""), pl.col(COUNTED).fill_null(0)))


def _read(
    lines: Sequence[GivenWord], fields: Mapping[str, Type], given: Given, time_field: str, *, id_: str | None = None
) -> pl.DataFrame:
    """Read lines into columns; records without an id get their number. SourceError names the place of a bad line."""
    parts: list[list[dict[str, str]]] = []
    count = 0
    for line in lines:
        with _at(line):
            records = list(given.records(line, time_field))
        for place, record in enumerate(records, count):
            if id_ is not None:
                record.setdefault(id_, str(place))
        count += len(records)
        parts.append(records)
    try:
        return read_texts([record for records in parts for record in records], fields, (), "given")
    except SourceError:
        for line, records in zip(lines, parts, strict=True):
            with _at(line):
                read_texts(records, fields, (), "given")
        raise


@contextmanager
def _at(line: GivenWord) -> Iterator[None]:
    """Name the place of a line in what is wrong with it."""
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{line.mark}: {error}") from None


def _table(plan: Plan, name: str, test: RuleTest, given: Given) -> pl.DataFrame:
    table = plan.tables[name]
    lines = _given(test, name)
    if lines:
        # `at` says from when on a row holds, which the table may keep in a field of its own.
        field = table.time or "at"
        timed = {**table.fields, field: TIMESTAMP}
        rows = _read(lines, timed, given, field)
        valid_from = rows.get_column(field).fill_null(ALWAYS)
        return _versions(rows.select(*table.fields), valid_from)
    return _versions_inline(table) if table.rows else empty_table(plan, name)


def _versions_inline(table: TablePlan) -> pl.DataFrame:
    rows = read_texts(table.rows or (), table.fields, (), f"table {table.name}")
    valid_from = rows.get_column(table.time) if table.time else pl.Series([ALWAYS] * rows.height, dtype=pl.Int64)
    return _versions(rows, valid_from)


def _versions(rows: pl.DataFrame, valid_from: pl.Series) -> pl.DataFrame:
    gone = pl.lit(value=False).alias(GONE)
    return rows.with_columns(valid_from.alias(TIME), gone).sort(TIME, maintain_order=True)


def _levels(transitions: pl.DataFrame, rule: RulePlan, zone: str) -> dict[str, list[str]]:
    """Give what happened per entity, as an expectation writes it."""
    found: dict[str, list[str]] = {}
    if transitions.is_empty():
        return found
    changed = transitions.filter(pl.col("kind") != Transition.UPDATED).sort("time", "sequence")
    for entity, time, level in changed.select("entity", "time", "level").iter_rows():
        parts = _FIELDS.decode(entity)
        name = "/".join(str(parts[column]) for column in rule.entity) or EVERYTHING
        found.setdefault(name, []).append(f"{_moment(time, zone)} {level}")
    return found


def _moment(time: int, zone: str) -> str:
    """Write a time of the test's day; the last millisecond of a window is named by the window's end."""
    time += (time + 1) % 1000 == 0
    moment = datetime.fromtimestamp(time / 1000, ZoneInfo(zone))
    day = "" if moment.date() == DAY else f"{moment.date().isoformat()} "
    fraction = f".{time % 1000:03d}" if time % 1000 else ""
    return f"{day}{moment:%H:%M:%S}{fraction}"
