"""The built-in stream `quality` of many tasks: partitions count by minutes of the clock, a stage adds their counts up.

A partition gives what it counted in a minute when the clock has left that (node PARTS). The stage QUALITY stands in the
shards, by the name of the stream; it gives one row per stream, field and minute when all partitions have left that
minute. From there on `quality` is a node as others are, and its watermark is that of the slowest partition's clock.

What was counted and not given yet is part of each commit, so records are counted again, in a later minute, only where
they are read again. A partition says since when it counts: since it began, or since the clock has passed over a whole
minute in which nobody looked at it. What was silent before that was silent because nobody read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from operators.contract import Step
from operators.reorder import Reorder
from operators.stage import Input, Stage
from streams.ingest.spec import Counts  # noqa: TC001  # msgspec reads the annotations
from streams.local.dataflow import BEGINNING
from tocsin.model.quality import FIELDS, MINUTE, QUALITY, ROWS, quality_rows
from tocsin.model.rows import ID

if TYPE_CHECKING:
    from operators.contract import Instant, State
    from tocsin.model.rows import Schema

PARTS = "quality of partitions"
"""The node of all partitions' counts; no stream or feature is called so."""


class Counting(msgspec.Struct):
    """What a partition counts.

    `minute`: when the minute at hand begins (ms since the epoch), None before the clock was read; `held`: its counts.
    `since`: from when on (ms) the partition was looked at in every minute. `end`: the last moment that is counted, set
    when the run is over.
    """

    minute: int | None = None
    held: Counts | None = None
    since: int = 0
    end: int | None = None

    def count(self, counts: Counts) -> None:
        """Take the counts of records that were just read."""
        if counts.records:
            self.held = counts if self.held is None else self.held.plus([counts])

    def over(self, clock: int) -> bool:
        """Whether the clock (ms since the epoch) has left the minute at hand; it does not go back."""
        return self.end is None and (self.minute is None or _minute_of(clock) > self.minute)

    def turn(self, clock: int, partition: int) -> pl.DataFrame:
        """Go on to the minute of the clock; give the rows of the one that is over."""
        minute = _minute_of(clock)
        if self.minute is None or minute > self.minute + MINUTE:
            self.since = minute
        rows = self._given(partition)
        self.minute = minute
        return rows

    def close(self, partition: int) -> pl.DataFrame:
        """Give the minute at hand as it is, and set the end; nothing before the clock was read, or when it is set."""
        if self.minute is None or self.end is not None:
            return ROWS.empty()
        self.end = self.minute + MINUTE - 1
        return self._given(partition)

    @property
    def watermark(self) -> int:
        """Up to when (ms) nothing more comes."""
        if self.minute is None:
            return BEGINNING
        return self.minute - 1 if self.end is None else self.end

    def _given(self, partition: int) -> pl.DataFrame:
        """Give what is held; what was read before the clock waits for its first minute."""
        if self.minute is None or self.held is None:
            return ROWS.empty()
        at = pl.lit(self.minute, dtype=pl.Int64).alias("at")
        rows = quality_rows(self.held.frame.with_columns(at).select(list(FIELDS)))
        self.held = None
        return rows.with_columns(pl.concat_str(ID, pl.lit(partition), separator="/").alias(ID))


def _minute_of(clock: int) -> int:
    return clock // MINUTE * MINUTE


@dataclass(frozen=True, slots=True)
class Together:
    """Adds up the counts of partitions. Those of a minute have one time, so they come in one step."""

    @property
    def name(self) -> str:
        """Name the operator."""
        return QUALITY

    @property
    def output(self) -> Schema:
        """The schema of the stream."""
        return ROWS

    def initial(self) -> State:
        """Begin without any state."""
        return {}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Give a row per stream, field and minute."""
        del instant
        return Step(quality_rows(rows) if rows.height else ROWS.empty(), state, None)


def quality_stage() -> Stage:
    """Give the stage whose rows are those of `quality`."""
    key = ("stream",)
    read = Input(PARTS, Reorder(key, ROWS, source=False))
    return Stage(QUALITY, key, (read,), (Together(),), ROWS)
