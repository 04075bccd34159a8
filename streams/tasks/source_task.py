"""A partition of a stream: its ingest stage, the stages beside it, and what goes to shards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from streams.brake import Brake
from streams.ingest.idling import idled
from streams.ingest.lateness import GREATEST, watermark_of
from streams.local.dataflow import BEGINNING
from streams.local.note import refuse_other_key
from streams.tasks.quality import PARTS, Counting
from streams.tasks.task import Task
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.ingest.lateness import State
    from streams.ingest.spec import Ingested
    from streams.ingest.stage import Ingest
    from streams.sources.contract import Records
    from streams.tasks.hosted import Frames
    from streams.tasks.task import Plain
    from tocsin.compiler.plan import StreamPlan


@dataclass(slots=True, kw_only=True)
class SourceTask(Task):
    """One partition. No row after `until` is taken, and the task closes when its watermark is there.

    `counting`: what it tells of the stream `quality`, None where nobody judges that.
    """

    stream: StreamPlan
    ingest: Ingest
    brake: Brake = field(init=False)
    state: State = field(init=False)
    counting: Counting | None = field(init=False)

    def __post_init__(self) -> None:
        """Begin without any record."""
        self.state = self.ingest.initial()
        self.brake = Brake(self.stream.name)
        self.counting = Counting() if self.layout.counts_quality else None

    def take(self, raw: Records, end: int) -> tuple[Ingested, pl.DataFrame]:
        """Take records up to the offset `end`; give what ingest made of them, and the rows of this run."""
        done = self.ingest.step(raw, self.state)
        return done, self.took(done, end)

    def took(self, done: Ingested, end: int) -> pl.DataFrame:
        """Take what ingest made of the records up to the offset `end`; give the rows of this run."""
        self.state, self.end = done.state, end
        if self.counting is not None:
            self.counting.count(done.counts)
        rows = self.within(done.rows)
        if rows.height:
            self.hosted.feed(self.stream.name, rows)
            self.send(self.stream.name, rows)
        return rows

    def within(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give the rows of this run."""
        return rows if self.until is None else rows.filter(pl.col(TIME) <= self.until)

    @property
    def partition(self) -> int:
        """The number of the partition."""
        return self.ingest.spec.partition

    def idle(self, clock: int) -> None:
        """Go on although nothing comes: the partition has been at its end for `idle` when the clock shows this (ms)."""
        self.state = idled(self.state, clock, self.stream.idle)

    def minute_over(self, clock: int) -> bool:
        """Whether a minute is over in which the partition counted; `clock`: ms since the epoch."""
        return self.counting is not None and self.counting.over(clock)

    def turn(self, clock: int) -> None:
        """Go on to the minute that the clock shows (ms): what was read in the one before is told."""
        if self.counting is not None:
            self.send(PARTS, self.counting.turn(clock, self.partition))

    @property
    def watermark(self) -> int:
        """Up to when nothing more comes."""
        known = watermark_of(self.state, self.stream.lateness)
        watermark = BEGINNING if known is None else known
        return watermark if self.until is None else min(watermark, self.until)

    @property
    def reached(self) -> int:
        """The watermark up to which tables have been looked up in, by the checks of the stream, too."""
        return min(self.watermark, self.hosted.least)

    @property
    def passed(self) -> bool:
        """Whether the end of the run is reached here."""
        return self.until is not None and self.watermark >= self.until

    def settle(self) -> None:
        """Step the stages beside the partition, seal packets."""
        name = self.stream.name
        closed = {name} if self.passed else set()
        self.carry(self.hosted.advance({name: self.watermark}, closed, self.until))
        closed |= set(self.hosted.marks.closed)
        watermarks = {name: self.watermark, **self.hosted.marks.watermarks}
        self.through = self.passed and self.hosted.through
        if self.counting is not None:
            closed |= self._counted(self.counting)
            watermarks[PARTS] = self.counting.watermark
        self.outgoing.seal(watermarks, closed)

    def _counted(self, counting: Counting) -> set[str]:
        """Say what there is to say of `quality`; give PARTS where that was all. It has to have seen the clock once."""
        if self.passed:
            self.send(PARTS, counting.close(self.partition))
        self.outgoing.since = counting.since
        self.through = self.through and counting.end is not None
        return {PARTS} if counting.end is not None else set()

    def frames(self) -> Frames:
        """Give the frames of a commit, the greatest event time among them."""
        frames = Task.frames(self)
        frames["ingest", GREATEST] = self.state[GREATEST]
        return frames

    def plain(self) -> Plain:
        """Give what a commit says beside its frames."""
        plain = Task.plain(self)
        plain.brake = self.brake.counts
        plain.counting = self.counting
        plain.key = self.ingest.pseudonyms.fingerprint if self.layout.plan.names_persons else ""
        return plain

    def take_back(self, plain: Plain, frames: Mapping[tuple[str, ...], pl.DataFrame]) -> None:
        """Go on with the greatest event time and the brake's counts; StateError: pseudonyms were of another key."""
        holder = self.layout.holder
        refuse_other_key(plain.key, self.ingest.pseudonyms, f"the state of {holder.name}", holder.option)
        self.state = {GREATEST: frames["ingest", GREATEST]}
        self.brake.resume(plain.brake)
        if self.counting is not None and plain.counting is not None:
            self.counting = plain.counting
