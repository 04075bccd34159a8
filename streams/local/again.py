"""Runs over the sources of an earlier run: to explain an alert, and to take dead letters in (semantics 25)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from operators.alerting.canonical import canonical
from sinks.at_most import NOTICE
from streams.dead_letters import DeadLetterStore
from streams.ingest.stage import Ingest
from streams.local.assembly import first_needed, load_tables, make_flow, open_inputs
from streams.local.dataflow import judges_quality
from streams.local.feed import Span
from streams.local.note import read_note
from streams.local.runner import Runner, Settings
from streams.local.running import DEAD
from streams.pseudonyms import load_pseudonyms
from streams.sources.contract import Records
from tocsin.compiler import compile_topology
from tocsin.errors import StateError
from tocsin.kafka import SCHEME as KAFKA
from tocsin.language import load
from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.dead_letters import Letters
    from streams.local.feed import Feed
    from streams.sources.contract import Position, RawBatch
    from tocsin.compiler import Plan


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier run read; times in ms, `until` the event time at which it ended; `keep`: windows stayed open."""

    topology: Path
    plan: Plan
    sources: Mapping[str, str]
    until: int | None
    start: int | None
    keep: bool

    @property
    def span(self) -> Span:
        """The event times that it read."""
        return Span(first_needed(self.plan, self.start), self.until)

    def settings(self) -> Settings:
        """Give the settings of a repetition; nearly everything may be bad where only bad records are read."""
        return Settings(until=self.until, emit_from=self.start, keep=self.keep, brakes=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """Transitions that only one of two runs gives."""

    only_before: pl.DataFrame
    only_after: pl.DataFrame
    taken: int

    def as_json(self) -> dict[str, object]:
        """Give the numbers and both lists of transitions, their evidence left out."""
        return {
            "taken": self.taken,
            "more": self.only_after.drop("evidence").to_dicts(),
            "less": self.only_before.drop("evidence").to_dicts(),
        }

    def as_text(self) -> str:
        """Say it in a few lines."""
        lines = [
            f"records taken in: {self.taken}; transitions more {self.only_after.height}, less {self.only_before.height}"
        ]
        for sign, rows in (("+", self.only_after), ("-", self.only_before)):
            shown = rows.with_columns(_moment().alias("time")).select("time", "kind", "level", "alert_id", "values")
            lines += [f"{sign} {' '.join(row)}" for row in shown.iter_rows()]
        return "\n".join(lines)


def _moment() -> pl.Expr:
    return pl.from_epoch("time", "ms").dt.to_string("%Y-%m-%d %H:%M:%SZ")


def earlier_run(state: Path, known: int | None = None) -> Earlier:
    """Read the note that a run left in its state folder; StateError if there is none.

    `known`: the event time (ms) of the last transition that is asked about. A run that goes on, or was told to stop, is
    repeated up to there: how far it had decided is known of nothing else.
    """
    note = read_note(state)
    note.refuse_other_key(load_pseudonyms(), state)
    topology = Path(note.topology)
    until, keep = note.until if note.reached is None else note.reached, note.keep
    if known is not None and (note.reached is None or note.stopped):
        until, keep = known, True
    if until is None and any(uri.startswith(f"{KAFKA}:") for uri in note.sources.values()):
        raise StateError(f"{topology} goes on over Kafka: stop it first")
    return Earlier(topology, compile_topology(load(topology)), note.sources, until, note.start, keep)


def recompute(run: Earlier, rule: str) -> pl.DataFrame:
    """Give the transitions of one rule, from the sources; StateError if they cannot be had from there."""
    if rule == NOTICE:
        raise StateError("this is what a sink with at_most was told of other alerts: it is not computed from a source")
    if rule not in run.plan.rules:
        raise StateError(f"{run.topology} has no rule {rule} any more")
    if judges_quality(run.plan, run.plan.rules[rule].stage):
        raise StateError(f"{rule} judges how records were read, minute by minute: its alerts cannot be computed again")
    return _transitions(run, [run.plan.rules[rule].stage])


def replay_letters(state: Path, stream: str, kept: Letters | None = None) -> Difference:
    """Run again, once as before and once with a stream's dead letters behind its other records.

    `kept`: where they are, by default in the state folder.
    """
    run = earlier_run(state)
    if stream not in run.plan.streams:
        raise StateError(f"{run.plan.name} has no stream {stream!r}, only {', '.join(run.plan.streams)}")
    letters = (kept or DeadLetterStore(state / DEAD)).letters(stream)
    extra = Held.of(stream, letters)
    stages = [rule.stage for rule in run.plan.rules.values() if not judges_quality(run.plan, rule.stage)]
    before = canonical(_transitions(run, stages))
    after = canonical(_transitions(run, stages, extra))
    same = ["alert_id", "sequence", "kind", "level", "time", "values"]
    return Difference(
        before.join(after, on=same, how="anti", nulls_equal=True),
        after.join(before, on=same, how="anti", nulls_equal=True),
        letters.height,
    )


def _transitions(run: Earlier, stages: list[str], extra: Held | None = None) -> pl.DataFrame:
    """Run without state and sinks, and give what the rules' stages gave."""
    pseudonyms = load_pseudonyms()
    flow = make_flow(run.plan, stages)
    load_tables(flow, run.sources, run.topology.parent, pseudonyms)
    inputs = open_inputs(flow, run.sources, pseudonyms, span=run.span)
    if extra is not None:
        first = inputs.feeds[extra.name]
        inputs.feeds[f"{extra.name} again"] = replace(first, source=extra, ingest=_second(first, extra))
    rows = [pl.DataFrame(schema=dict(TRANSITIONS))]
    settings = replace(run.settings(), receive=lambda _, given: rows.append(given.select(list(TRANSITIONS))))
    Runner(run.plan, flow, inputs, settings=settings).run()
    given = pl.concat(rows)
    return given if run.start is None else given.filter(pl.col("time") >= run.start)


def _second(feed: Feed, source: Held) -> Ingest:
    """Give the ingest stage of a second partition: records of their own order cannot be late behind the first."""
    return Ingest(
        replace(feed.ingest.spec, partition=1, format=source.format), feed.ingest.pseudonyms, feed.ingest.look_up
    )


class Held:
    """A source that holds a few records, in the order of their event times."""

    def __init__(self, name: str, form: str, records: Records) -> None:
        self.name, self.format = name, form
        self._records: Records | None = records

    @classmethod
    def of(cls, stream: str, letters: pl.DataFrame) -> Held:
        """Hold dead letters; StateError if they are of several forms."""
        forms = letters["form"].unique().to_list()
        if len(forms) > 1:
            raise StateError(f"the dead letters of {stream} are of several forms: {', '.join(sorted(forms))}")
        kind, _, header = (forms[0] if forms else "json").partition(":")
        ordered = letters.sort("time", "offset", nulls_last=False)
        offsets = list(range(ordered.height))
        return cls(
            stream, kind, Records.of(ordered["raw"].to_list(), offsets, header=tuple(json.loads(header or "[]")))
        )

    def read(self, most: int) -> RawBatch | None:
        """Give all records at once; they were few enough to be put aside."""
        del most
        records, self._records = self._records, None
        return records

    @property
    def position(self) -> Position:
        """Nothing is kept of such a run."""
        return {"offset": 0}

    def seek(self, position: Position) -> None:
        """Such a run is never resumed."""
        raise NotImplementedError(str(position))

    def close(self) -> None:
        """Nothing is open."""
