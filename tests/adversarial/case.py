"""A case: a topology, its events and tables, as one bounded run; and the outcome of carrying it out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from operators.alerting.canonical import canonical
from operators.lookups import ALWAYS, GONE
from streams.codecs.record import Layout
from streams.ingest.spec import IngestSpec
from streams.ingest.stage import Ingest
from streams.local.dataflow import Dataflow, empty_table
from streams.pseudonyms import Pseudonyms
from streams.sources.contract import Records
from streams.texts import read_texts
from tocsin.model.rows import EVIDENCE, TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tocsin.compiler import Plan

PSEUDONYMS = Pseudonyms(b"a key for the adversarial host")
Event = dict[str, object]
Outcome = dict[str, list[str]]
"""Per stage its rows as sorted text; of rules the canonical form."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row of a table from `since` on (None: always); `gone`: it is deleted."""

    row: Mapping[str, str]
    since: int | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """What is run.

    `events`: records per stream, in no order; `at` is their time. `until`: rows after it are not read.
    """

    text: str
    events: Mapping[str, Sequence[Event]]
    changes: Mapping[str, Sequence[Change]] = field(default_factory=dict)
    until: int | None = None

    @property
    def end(self) -> int:
        """The end of the run: `until`, else the greatest event time."""
        if self.until is not None:
            return self.until
        return max((int(str(event["at"])) for events in self.events.values() for event in events), default=0)

    def versions(self, plan: Plan, name: str) -> pl.DataFrame:
        """Give all versions of a table, as operators see them, by time."""
        table = plan.tables[name]
        changes = list(self.changes.get(name, ()))
        if table.rows is not None:
            changes = [Change(row) for row in table.rows]
        if not changes:
            return empty_table(plan, name)
        typed = read_texts([change.row for change in changes], table.fields, (), name)
        times = [ALWAYS if change.since is None else change.since for change in changes]
        marked = typed.with_columns(
            pl.Series(TIME, times, dtype=pl.Int64),
            pl.Series(GONE, [change.gone for change in changes], dtype=pl.Boolean),
        )
        return marked.unique([*table.key, TIME], keep="last", maintain_order=True).sort(TIME, maintain_order=True)


def make_ingest(plan: Plan, stream: str, partition: int = 0) -> Ingest:
    """Make the ingest stage of one partition."""
    word = plan.streams[stream]
    layout = Layout(word.fields, word.time, word.id or "", word.ahead)
    return Ingest(IngestSpec(stream, layout, word.lateness, word.derive, (), partition), PSEUDONYMS)


def as_records(events: Iterable[Event], first: int) -> Records:
    """Give events as the lines of a partition, the first at offset `first`."""
    return Records(b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events), first)


def up_to(rows: pl.DataFrame, until: int) -> pl.DataFrame:
    """Leave out what a bounded run does not read."""
    return rows.filter(pl.col(TIME) <= until)


def plain_run(case: Case, plan: Plan) -> Outcome:
    """Carry a case out in the plainest way: one batch per stream in order of time, one bucket, one step, the end."""
    flow = plain_flow(case, plan)
    for name in sorted(flow.streams):
        flow.feed(name, ordered_rows(case, plan, name))
    steps = [flow.advance(dict.fromkeys(flow.streams, case.end)), flow.close(case.end)]
    return outcome_of(plan, [given for step in steps for given in step.items()])


def plain_flow(case: Case, plan: Plan, buckets: int = 1) -> Dataflow:
    """Make the dataflow of all stages, with its tables."""
    flow = Dataflow(plan, buckets=buckets, wanted=[stage.name for stage in plan.stages])
    for name in flow.table_names:
        flow.change_table(name, case.versions(plan, name))
    return flow


def ordered_rows(case: Case, plan: Plan, name: str) -> pl.DataFrame:
    """Give all rows of a stream, in order of time."""
    events = sorted(case.events.get(name, ()), key=lambda event: int(str(event["at"])))
    ingest = make_ingest(plan, name)
    done = ingest.step(as_records(events, 0), ingest.initial())
    assert not done.dead.height, done.dead
    return up_to(done.rows, case.end)


def outcome_of(plan: Plan, given: Iterable[tuple[str, pl.DataFrame]]) -> Outcome:
    """Give what features and rules gave in a form that can be compared.

    Stages between them may give partial sums, which do depend on how keys are spread.
    """
    rules = {rule.stage for rule in plan.rules.values()}
    found: Outcome = {stage: [] for stage in {*rules, *plan.outputs.values()}}
    for stage, rows in given:
        if stage in found:
            comparable = canonical(rows) if stage in rules else _without_positions(rows)
            found[stage] += [repr(row) for row in comparable.iter_rows()]
    return {stage: sorted(rows) for stage, rows in found.items()}


def _without_positions(rows: pl.DataFrame) -> pl.DataFrame:
    """Of evidence the ids count; where an event lies in its source depends on how that is cut into partitions."""
    rows = rows.drop("__hash", "__position", strict=False)
    if EVIDENCE not in rows.columns:
        return rows
    return rows.with_columns(pl.col(EVIDENCE).list.eval(pl.element().struct.field("id")))
