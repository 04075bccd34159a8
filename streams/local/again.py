"""Runs over the sources of an earlier run: to explain an alert, and to take dead letters in (semantics 25)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from operators.alerting.canonical import canonical
from streams.dead_letters import DeadLetterStore
from streams.ingest.stage import Ingest
from streams.local.assembly import load_tables, make_flow, open_feeds
from streams.local.runner import Runner, Settings
from streams.local.running import DEAD, RUN
from streams.pseudonyms import load_pseudonyms
from streams.sources.contract import Records
from tocsin.compiler import compile_topology
from tocsin.errors import StateError
from tocsin.language import load
from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.local.feed import Feed
    from streams.sources.contract import Position, RawBatch
    from tocsin.compiler import Plan


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier run read."""

    topology: Path
    plan: Plan
    sources: Mapping[str, str]
    until: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Transitions that only one of two runs gives."""

    only_before: pl.DataFrame
    only_after: pl.DataFrame
    taken: int

    def as_text(self) -> str:
        """Say it in a few lines."""
        lines = [
            f"{self.taken} records taken in: {self.only_after.height} transitions more, {self.only_before.height} less"
        ]
        for sign, rows in (("+", self.only_after), ("-", self.only_before)):
            shown = rows.select("rule", "kind", "level", "alert_id").iter_rows()
            lines += [f"{sign} {' '.join(row)}" for row in shown]
        return "\n".join(lines)


def earlier_run(state: Path) -> Earlier:
    """Read the note that a run left in its state folder; StateError if there is none."""
    try:
        note = json.loads((state / RUN).read_text())
    except OSError as error:
        raise StateError(f"{state} holds no note of a run ({RUN}): {error.strerror}") from None
    topology = Path(note["topology"])
    return Earlier(topology, compile_topology(load(topology)), note["sources"], note["until"])


def recompute(run: Earlier, rule: str, until: int) -> pl.DataFrame:
    """Give the transitions of one rule up to `until`, from the sources."""
    return _transitions(run, [run.plan.rules[rule].stage], until)


def replay_letters(state: Path, stream: str) -> Difference:
    """Run again, once as before and once with a stream's dead letters behind its other records."""
    run = earlier_run(state)
    letters = DeadLetterStore(state / DEAD).letters(stream)
    extra = Held.of(stream, letters)
    stages = [rule.stage for rule in run.plan.rules.values()]
    before = canonical(_transitions(run, stages, run.until))
    after = canonical(_transitions(run, stages, run.until, extra))
    same = ["alert_id", "sequence", "kind", "level", "time", "values"]
    return Difference(
        before.join(after, on=same, how="anti", nulls_equal=True),
        after.join(before, on=same, how="anti", nulls_equal=True),
        letters.height,
    )


def _transitions(run: Earlier, stages: list[str], until: int | None, extra: Held | None = None) -> pl.DataFrame:
    """Run without state and sinks, and give what the rules' stages gave."""
    pseudonyms = load_pseudonyms()
    flow = make_flow(run.plan, stages)
    load_tables(flow, run.sources, run.topology.parent, pseudonyms)
    feeds = open_feeds(flow, run.sources, pseudonyms)
    if extra is not None:
        feeds[f"{extra.name} again"] = replace(
            feeds[extra.name], source=extra, ingest=_second(feeds[extra.name], extra)
        )
    for feed in feeds.values():
        feed.until = until
    rows = [pl.DataFrame(schema=dict(TRANSITIONS))]
    settings = Settings(until=until, receive=lambda _, given: rows.append(given.select(list(TRANSITIONS))))
    Runner(run.plan, flow, feeds, settings=settings).run()
    return pl.concat(rows)


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
