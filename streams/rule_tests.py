"""The tests inside rules: given events through the real stages, expected levels at times (language.md, decision 11).

Times of day are on one Monday, in the topology's zone. Values are read as CSV cells are; identifiers of persons stay as
they are written, so that an expectation can name them. A run ends after the last expected time plus all that the rule
remembers. A row of a window is named by its window's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from operators.lookups import ALWAYS, GONE
from streams.given import Given
from streams.local.dataflow import Dataflow, empty_table
from streams.tables import read_texts
from tocsin.model.alerts import Transition
from tocsin.model.rows import HASH, ID, POSITION, TIME, greatest_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tocsin.compiler import Plan, RulePlan, StreamPlan
    from tocsin.language.model import GivenWord, RuleTest, RuleWord, Topology

DAY = date(2026, 3, 2)
"""A Monday without a change of clocks."""


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
            yield Outcome(str(name), number, str(test.mark), tuple(_differences(word, test, plan)))


def _differences(word: RuleWord, test: RuleTest, plan: Plan) -> Iterator[str]:
    got = _levels(_transitions(word, test, plan), plan.rules[str(word.name)], plan.zone)
    expected = {str(entity): [" ".join(text.split()) for text in texts] for entity, texts in test.expect.items()}
    for entity in sorted(set(got) | set(expected)):
        want, have = expected.get(entity, []), got.get(entity, [])
        if [_padded(text) for text in want] != have:
            yield f"{entity}: expected {', '.join(want) or 'nothing'}; got {', '.join(have) or 'nothing'}"


def _padded(expected: str) -> str:
    """Write a time of day with its seconds."""
    time, level = expected.rsplit(" ", 1)
    return f"{time}:00 {level}" if time.count(":") == 1 else expected


def _transitions(word: RuleWord, test: RuleTest, plan: Plan) -> pl.DataFrame:
    rule = plan.rules[str(word.name)]
    flow = Dataflow(plan, wanted=[rule.stage])
    given = Given(plan.zone, DAY)
    for name in flow.table_names:
        flow.change_table(name, _table(plan, name, test, given))
    last = 0
    for name in sorted(flow.streams):
        rows = _events(plan.streams[name], _given(test, name), given)
        last = max(last, greatest_time(rows) or 0)
        flow.feed(name, rows)
    until = max([last, *(given.moment(text.rsplit(" ", 1)[0]) for texts in test.expect.values() for text in texts)])
    until += _remembered(word, plan)
    found = flow.advance(dict.fromkeys(flow.streams, until))
    return found.get(rule.stage, pl.DataFrame())


def _remembered(word: RuleWord, plan: Plan) -> int:
    """How long after the last event something may still happen, expiry of silent alerts left out."""
    keep = word.keep.ms if word.keep is not None else 0
    wait = word.for_.ms if word.for_ is not None else 0
    memory = max((plan.memory.get(str(name), 0) for name in word.sources), default=0)
    return keep + wait + memory + 1


def _given(test: RuleTest, name: str) -> Sequence[GivenWord]:
    return next((lines for key, lines in test.given.items() if key == name), ())


def _events(stream: StreamPlan, lines: Sequence[GivenWord], given: Given) -> pl.DataFrame:
    """Give the rows of a stream, as the ingest stage would, in the order of their times."""
    records = [record for line in lines for record in given.records(line, stream.time)]
    for place, record in enumerate(records):
        if stream.id is not None:
            record.setdefault(stream.id, str(place))
    typed = read_texts(records, stream.fields, (), f"given {stream.name}")
    for name, bound in stream.derive:
        typed = typed.with_columns(bound.expr.alias(name))
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    identity = pl.lit(None, dtype=pl.String) if stream.id is None else pl.col(stream.id).cast(pl.String)
    rows = typed.with_columns(
        pl.col(stream.time).alias(TIME), identity.alias(ID), number.cast(pl.UInt64).alias(HASH), number.alias(POSITION)
    )
    return stream.output.conform(rows)


def _table(plan: Plan, name: str, test: RuleTest, given: Given) -> pl.DataFrame:
    table = plan.tables[name]
    lines = _given(test, name)
    records = [record for line in lines for record in given.records(line, "at")]
    times = [_valid_from(record.pop("at", None)) for record in records]
    if not records:
        inline = table.rows or ()
        records, times = [dict(row) for row in inline], [ALWAYS] * len(inline)
    if not records:
        return empty_table(plan, name)
    typed = read_texts(records, table.fields, (), f"given {name}")
    gone = pl.lit(value=False).alias(GONE)
    return typed.with_columns(pl.Series(TIME, times, dtype=pl.Int64), gone).sort(TIME)


def _valid_from(moment: str | None) -> int:
    return ALWAYS if moment is None else round(datetime.fromisoformat(moment).timestamp() * 1000)


def _levels(transitions: pl.DataFrame, rule: RulePlan, zone: str) -> dict[str, list[str]]:
    """Give what happened per entity, as an expectation writes it."""
    found: dict[str, list[str]] = {}
    if transitions.is_empty():
        return found
    changed = transitions.filter(pl.col("kind") != Transition.UPDATED).sort("time", "sequence")
    for entity, time, level in changed.select("entity", "time", "level").iter_rows():
        parts = msgspec.json.decode(entity)
        name = "/".join(str(parts[column]) for column in rule.entity)
        found.setdefault(name, []).append(f"{_moment(time, zone)} {level}")
    return found


def _moment(time: int, zone: str) -> str:
    """Write a time of the test's day; the last millisecond of a window is named by the window's end."""
    time += (time + 1) % 1000 == 0
    moment = datetime.fromtimestamp(time / 1000, ZoneInfo(zone))
    day = "" if moment.date() == DAY else f"{moment.date().isoformat()} "
    fraction = f".{time % 1000:03d}" if time % 1000 else ""
    return f"{day}{moment:%H:%M:%S}{fraction}"
