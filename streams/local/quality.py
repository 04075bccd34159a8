"""The built-in stream `quality` in one process: what ingest counted, by minutes of the wall clock.

A minute's rows are given when the clock has left it. Counts belong to the minute in which the records were read, for
files too: what is judged is how reading goes now, not how old the events are.

What was counted and not given yet is part of every commit. After `kill -9` the records behind the last commit are read
and counted again, in a later minute; what the commit holds is neither lost nor counted twice. Time in which nobody read
is nobody's silence: a run that goes on says so (`Dataflow.count_from`). A clock that goes back stands still until it is
where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.quality import FIELDS, MINUTE, QUALITY, quality_rows, summed

if TYPE_CHECKING:
    from streams.local.dataflow import Dataflow

_NOTHING = pl.DataFrame(schema={name: type_.physical for name, type_ in FIELDS.items()})


@dataclass(slots=True)
class QualityCounts:
    """The counts of the minute at hand. `minute`: all before it (ms) was given. `end`: set when the run is through.

    Times `now` are seconds since the epoch.
    """

    flow: Dataflow
    minute: int = 0
    end: int | None = None
    _counted: list[pl.DataFrame] = field(default_factory=list)

    @property
    def pending(self) -> pl.DataFrame:
        """What was counted and not given yet, for a commit."""
        if len(self._counted) > 1:
            self._counted = [summed(pl.concat(self._counted))]
        return self._counted[0] if self._counted else _NOTHING

    def begin(self, now: float) -> None:
        """Begin, or go on after a while; a run that was through only ends again."""
        if self.end is None:
            self.flow.count_from(self._minute_of(now))
            self.watermark(now)

    def resume(self, minute: int, end: int | None, pending: pl.DataFrame) -> None:
        """Take what a commit holds."""
        self.minute, self.end, self._counted = minute, end, [pending]

    def count(self, counts: pl.DataFrame, now: float) -> None:
        """Take the counts of records that were just read, by COUNTS of the ingest stage."""
        at = pl.lit(self._minute_of(now), dtype=pl.Int64).alias("at")
        self._counted.append(counts.with_columns(at).select(list(FIELDS)))

    def watermark(self, now: float) -> int:
        """Give the rows of the minutes that have passed, and up to when nothing more will come."""
        minute = self._minute_of(now)
        if minute > self.minute:
            self.minute = minute
            self._give(before=minute)
        return minute - 1

    def close(self, now: float) -> None:
        """Give the minute at hand as it is, and set the end, before the commit that decides it."""
        if self.end is None:
            self.minute = self._minute_of(now) + MINUTE
            self._give(before=self.minute)
            self.end = self.minute - 1

    def _minute_of(self, now: float) -> int:
        return max(int(now * 1000) // MINUTE * MINUTE, self.minute)

    def _give(self, before: int) -> None:
        pending = self.pending
        due = pending.filter(pl.col("at") < before)
        self._counted = [pending.filter(pl.col("at") >= before)]
        if due.height:
            self.flow.feed(QUALITY, quality_rows(due))
