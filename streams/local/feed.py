"""One stream of a run: its source, its ingest stage, and how far both are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from streams.codecs.record import Layout
from streams.dead_letters import DEAD
from streams.ingest.spec import Check, IngestSpec
from streams.ingest.stage import Ingest
from streams.local.dataflow import BEGINNING, END
from streams.sources.opening import open_source
from tocsin.model.rows import TIME, greatest_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.ingest.lateness import State
    from streams.ingest.spec import Ingested, LookUp
    from streams.pseudonyms import Pseudonyms
    from streams.sources.contract import Source
    from tocsin.compiler import StreamPlan

LATE = "late"
"""The reason under which late records are put aside, beside the dead ones."""


@dataclass(slots=True)
class Read:
    """What one read gave: rows that are wanted, all that was put aside (late records among them), the step itself."""

    rows: pl.DataFrame
    aside: pl.DataFrame
    ingested: Ingested


@dataclass(slots=True)
class Feed:
    """A stream being read. `until`: rows after it are not read; `start`: rows before it are not needed."""

    plan: StreamPlan
    source: Source
    ingest: Ingest
    start: int | None = None
    until: int | None = None
    watermark: int = BEGINNING
    greatest: int | None = None
    ended: bool = False
    records: int = 0
    state: State = field(init=False)

    def __post_init__(self) -> None:
        """Begin without any record read."""
        self.state = self.ingest.initial()

    def read(self, most: int) -> Read | None:
        """Read on; None at the end of the source, or when all rows that are to be read have been."""
        raw = None if self._passed_until() else self.source.read(most)
        if raw is None:
            self.ended, self.watermark = True, END
            return None
        done = self.ingest.step(raw, self.state)
        self.state = done.state
        self.records += raw.count
        if done.watermark is not None:
            self.watermark = done.watermark
        rows = self._wanted(done.rows)
        self.greatest = max((t for t in (self.greatest, greatest_time(rows)) if t is not None), default=None)
        return Read(rows, pl.concat([done.dead, _late_letters(done.late)]), done)

    def _passed_until(self) -> bool:
        return self.until is not None and self.watermark >= self.until

    def _wanted(self, rows: pl.DataFrame) -> pl.DataFrame:
        bounds = [
            *([pl.col(TIME) <= self.until] if self.until is not None else []),
            *([pl.col(TIME) >= self.start] if self.start is not None else []),
        ]
        return rows.filter(*bounds) if bounds else rows

    @property
    def position(self) -> dict[str, object]:
        """What a commit keeps: where the source is, the running maximum, the greatest time, the number of records."""
        return {
            "source": dict(self.source.position),
            "watermark": self.watermark,
            "greatest": self.greatest,
            "records": self.records,
            "ended": self.ended,
        }

    def resume(self, position: Mapping[str, object], state: State) -> None:
        """Go on where a commit left off."""
        self.source.seek(position["source"])  # type: ignore[arg-type]  # as `position` gave it
        self.watermark = int(position["watermark"])  # type: ignore[call-overload]
        self.greatest = position["greatest"]  # type: ignore[assignment]
        self.records = int(position["records"])  # type: ignore[call-overload]
        self.ended = bool(position["ended"])
        self.state = state


def open_feed(plan: StreamPlan, uri: str, pseudonyms: Pseudonyms, look_up: LookUp) -> Feed:
    """Open the source of a stream; SourceError if it cannot be."""
    source = open_source(uri, set(plan.fields))
    layout = Layout(plan.fields, plan.time, plan.id or "", plan.ahead)
    checks = tuple(Check(check.name, check.bound, check.should) for check in plan.checks)
    spec = IngestSpec(plan.name, layout, plan.lateness, plan.derive, checks, format=source.format)
    return Feed(plan, source, Ingest(spec, pseudonyms, look_up))


def _late_letters(late: pl.DataFrame) -> pl.DataFrame:
    """Put late records beside the dead letters, with how late they were."""
    known = {
        "reason": pl.lit(LATE),
        "field": pl.lit(""),
        "detail": pl.format("{} ms behind", "behind"),
        "form": pl.lit("json"),
    }
    columns = [name if name in late.columns else known[name].alias(name) for name in DEAD]
    return late.select(columns)
