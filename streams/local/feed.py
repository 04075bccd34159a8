"""One stream of a run: its source, its ingest stage, and how far both are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import polars as pl

from streams.codecs.record import Layout
from streams.dead_letters import DEAD
from streams.ingest.lateness import greatest_of, watermark_of
from streams.ingest.spec import Check, IngestSpec
from streams.ingest.stage import Ingest
from streams.local.dataflow import BEGINNING, END
from streams.local.live_steps import Step
from streams.sources.opening import open_source
from tocsin.errors import StateError
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor, Future

    from streams.ingest.spec import Ingested, LookUp
    from streams.local.live_steps import LiveSteps
    from streams.pseudonyms import Pseudonyms
    from streams.sources.contract import Position, Source
    from tocsin.compiler import StreamPlan

LATE = "late"
"""The reason under which late records are put aside, beside the dead ones."""
HELD = "held"
"""The frame of rows after `until` that were read already: they are part of the state, for a run that goes on."""


class Span(NamedTuple):
    """The event times (ms) that a run is about: rows before `start` and after `until` are not given."""

    start: int | None = None
    until: int | None = None

    def within(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give the rows that the run is about."""
        start, until = self
        if start is None and until is None:
            return rows
        return rows.filter(
            pl.col(TIME).is_between(BEGINNING if start is None else start, END if until is None else until)
        )


ALL = Span()


class Place(msgspec.Struct, frozen=True):
    """What a commit keeps of a feed beside its frames.

    `origin`: the source as its state knows it, so that another one is refused. `greatest`: greatest event time read.
    """

    origin: str
    source: dict[str, int | str]
    watermark: int
    greatest: int | None
    ended: bool


@dataclass(frozen=True, slots=True)
class Read:
    """What one read gave: rows that are wanted, all that was put aside (late records among them), the step itself.

    `outside`: rows that are not of this run: before `start`, or after `until`. `size`: bytes of the records. `copies`:
    early copies that went out already; None where nobody looked for them.
    """

    rows: pl.DataFrame
    aside: pl.DataFrame
    ingested: Ingested
    outside: int
    size: int
    copies: pl.DataFrame | None = None

    @property
    def records(self) -> int:
        """How many records were read, good or bad; blank lines are none."""
        return self.ingested.counts.records


@dataclass(slots=True)
class Feed:
    """A stream being read. `origin`: its source as commits name it.

    `reader`: one thread, shared by the feeds of a run, that reads and ingests the next records while the stages work on
    those before; None reads when asked. What is ahead is no part of any state: a commit knows what `read` gave. `live`:
    what was taken in of a source that goes on.
    """

    plan: StreamPlan
    source: Source
    ingest: Ingest
    origin: str = ""
    span: Span = ALL
    watermark: int = BEGINNING
    greatest: int | None = None
    ended: bool = False
    reader: Executor | None = None
    live: LiveSteps | None = None
    state: Mapping[str, pl.DataFrame] = field(init=False)
    held: pl.DataFrame = field(init=False)
    _place: Position = field(init=False)
    _ahead: Future[Step | None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin without any record read."""
        self.state = self.ingest.initial()
        if self.live is not None:
            self.live.begin(self.state)
        self.held = self.ingest.spec.output.empty()
        self._place = self.source.position

    def read(self, most: int) -> Read | None:
        """Read on; None at the end of the source, where nothing waits, or when all that is to be read has been."""
        step = None if self._passed_until() else self._next(most)
        if step is not None:
            self._place, self.state = step.place, step.state
            self._note_time(watermark_of(step.state, self.plan.lateness))
        if step is None or step.done is None:
            self.ended = self.live is None or self._passed_until()
            return None
        if self.reader is not None and not self._passed_until():
            self._ahead = self.reader.submit(self._step, most, self.state)
        done = step.done
        rows = self._wanted(done.rows)
        aside = pl.concat([done.dead, late_letters(done.late)]) if done.late.height else done.dead
        return Read(rows, aside, done, done.rows.height - rows.height, step.size, step.copies)

    @property
    def ready(self) -> bool:
        """Whether a read gives something, or ends the feed, without waiting for records to come."""
        return self.live is None or self.live.ready or self._passed_until()

    def _next(self, most: int) -> Step | None:
        if self.live is not None:
            return self.live.take()
        ahead, self._ahead = self._ahead, None
        return self._step(most, self.state) if ahead is None else ahead.result()

    def _step(self, most: int, state: Mapping[str, pl.DataFrame]) -> Step | None:
        """Read and ingest the records after `state`; None at the end of the source."""
        raw = self.source.read(most)
        if raw is None:
            return None
        done = self.ingest.step(raw, state)
        return Step(done, done.state, self.source.position, raw.size)

    def _note_time(self, watermark: int | None) -> None:
        """Every record with a plausible time counts, dead or late ones too, so no watermark is ahead of the end."""
        if watermark is not None:
            self.watermark = watermark
        greatest = greatest_of(self.state)
        if greatest is not None:
            self.greatest = greatest if self.span.until is None else min(greatest, self.span.until)

    def _passed_until(self) -> bool:
        return self.span.until is not None and self.watermark >= self.span.until

    def _wanted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give the same, and hold those that only a later run is about."""
        until = self.span.until
        if until is not None and (after := rows[TIME] > until).any():
            self.held = pl.concat([self.held, rows.filter(after)])
        return self.span.within(rows)

    @property
    def place(self) -> Place:
        """What a commit keeps; of a source at its end the place before, where it may have grown by the next run."""
        return Place(self.origin, dict(self._place), self.watermark, self.greatest, self.ended)

    @property
    def frames(self) -> dict[str, pl.DataFrame]:
        """The frames that a commit keeps."""
        return {**self.state, HELD: self.held}

    def resume(self, place: Place, frames: Mapping[str, pl.DataFrame], *, grown: bool) -> pl.DataFrame:
        """Go on where a commit left off; give the rows that were held and are wanted now.

        `grown`: the source may hold more than it did when it ended. StateError: the commit is of another source.
        """
        if place.origin != self.origin:
            raise StateError(
                f"the state was made from {self.plan.name}={place.origin}, not from {self.origin}: "
                "run with that source, or with another --state folder"
            )
        self.source.seek(place.source)
        self._place = place.source
        self.state = {name: frame for name, frame in frames.items() if name != HELD}
        if self.live is not None:
            self.live.begin(self.state)
        self.ended = place.ended and not grown
        self._note_time(place.watermark)
        held, self.held = frames[HELD], self.held.clear()
        return self._wanted(held)


def open_feed(
    plan: StreamPlan,
    uri: str,
    pseudonyms: Pseudonyms,
    look_up: LookUp,
    span: Span = ALL,
    reader: Executor | None = None,
) -> Feed:
    """Open the bounded source of a stream; SourceError if it cannot be."""
    source = open_source(uri, set(plan.fields))
    ingest = Ingest(ingest_spec(plan, source.format), pseudonyms, look_up)
    scheme, _, path = uri.partition(":")
    origin = f"{scheme}:{Path(path).expanduser().absolute()}"
    return Feed(plan, source, ingest, origin, span, reader=reader)


def ingest_spec(plan: StreamPlan, form: str, partition: int = 0) -> IngestSpec:
    """Say how records of a partition of a stream are taken in; `form` names their codec."""
    layout = Layout(plan.fields, plan.time, plan.id or "", plan.ahead)
    checks = tuple(Check(check.name, check.bound, check.should) for check in plan.checks)
    return IngestSpec(plan.name, layout, plan.lateness, plan.derive, checks, partition=partition, format=form)


def late_letters(late: pl.DataFrame) -> pl.DataFrame:
    """Put late records beside the dead letters, with how late they were."""
    known = {
        "reason": pl.lit(LATE),
        "field": pl.lit(""),
        "detail": pl.concat_str("behind", pl.lit(" ms behind")),
    }
    columns = [name if name in late.columns else known[name].alias(name) for name in DEAD]
    return late.select(columns)
