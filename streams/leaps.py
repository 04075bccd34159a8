"""A warning where one record moves the watermark so far that many records after it are late.

Who is late is decided by the greatest event time before a record (semantics 2), and in a file no ingestion timestamp
tells a clock that is wrong from one that has gone on (semantics 4): one record of the year 2099 that decodes makes all
records after it late. They are put aside and counted, as promised, but the cause is a single line that nobody sees.

A *leap* is a record whose time is more than `ahead` after all before it, or the first one. After a night without events
there is one, too; it is told of only if the records after it, up to the next leap, are late for the most part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.ingest.lateness import greatest_of
from tocsin.model.display import display
from tocsin.model.rows import POSITION, POSITION_BITS, TIME
from tocsin.model.types import DURATION, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from streams.ingest.spec import Ingested

MANY = 100
"""Late records that are worth a word however long the stream is."""
SHARE = 0.1
"""Of all records so far: the late ones that are worth a word in a short one."""


class _Leap(NamedTuple):
    """A record that leapt: its offset and time, and the greatest time before it; None: it was the first."""

    offset: int
    time: int
    before: int | None


class Seen(NamedTuple):
    """What a commit keeps: how many records there were, those after the last leap, the late ones among these.

    `leap`: the last one, as long as nothing was said of it.
    """

    records: int
    after: int
    late: int
    leap: _Leap | None


@dataclass(slots=True)
class Leaps:
    """Watches one partition of a stream. `ahead`: ms."""

    stream: str
    ahead: int
    _greatest: int | None = field(default=None, init=False)
    _all: int = field(default=0, init=False)
    _leap: _Leap | None = field(default=None, init=False)
    _after: int = field(default=0, init=False)
    _late: int = field(default=0, init=False)

    @property
    def seen(self) -> Seen:
        """Give what a commit has to keep."""
        return Seen(self._all, self._after, self._late, self._leap)

    def go_on(self, state: Mapping[str, pl.DataFrame], seen: Seen | None) -> None:
        """Go on behind a commit that holds this state of the ingest stage: the next record is not the first one."""
        self._greatest = greatest_of(state)
        if seen is not None:
            self._all, self._after, self._late, self._leap = seen

    def watch(self, ingested: Ingested) -> list[str]:
        """Take a step of the ingest stage; give what there is to say."""
        records, late = _offsets(ingested), np.sort(ingested.late["offset"].to_numpy())
        said: list[str] = []
        counted = counted_late = 0
        for leap in self._leaps(ingested):
            until, until_late = (int(np.searchsorted(part, leap.offset)) for part in (records, late))
            self._count(until - counted, until_late - counted_late)
            said += self.finish()
            self._leap, self._after, self._late = leap, -1, 0  # the record that leaps is not one after it
            counted, counted_late = until, until_late
        self._count(records.size - counted, late.size - counted_late)
        self._greatest = greatest_of(ingested.state)
        return said + (self.finish() if self._late >= MANY else [])

    def finish(self) -> list[str]:
        """Say what there is to say of the last leap, once."""
        leap = self._leap
        enough = self._late >= MANY or self._late > SHARE * self._all
        if leap is None or not self._late or not enough or 2 * self._late < self._after:
            return []
        self._leap = None
        return [self._sentence(leap)]

    def _count(self, records: int, late: int) -> None:
        self._all += records
        self._after += records
        self._late += late

    def _leaps(self, ingested: Ingested) -> Iterator[_Leap]:
        """Give the records of a step that leap, in order."""
        greatest = greatest_of(ingested.state)
        if greatest is None or (self._greatest is not None and greatest - self._greatest <= self.ahead):
            return
        offset = pl.col(POSITION) % 2**POSITION_BITS
        dead = ingested.dead.select("offset", "time").drop_nulls()
        own = ingested.rows.select(offset.alias("offset"), pl.col(TIME).alias("time"))
        moving = pl.concat([own, dead]).sort("offset")
        before = moving["time"].cum_max().shift(1)
        if self._greatest is not None:
            before = before.fill_null(self._greatest).clip(lower_bound=self._greatest)
        leaping = moving.with_columns(before.alias("before")).filter(
            pl.col("before").is_null() | (pl.col("time") - pl.col("before") > self.ahead)
        )
        yield from map(_Leap._make, leaping.iter_rows())

    def _sentence(self, leap: _Leap) -> str:
        when = display(leap.time, TIMESTAMP, "%Y-%m-%d %H:%M:%S UTC")
        after = "" if leap.before is None else f", {display(leap.time - leap.before, DURATION)} after all before it"
        return (
            f"stream {self.stream!r}: the record at offset {leap.offset} is of {when}{after}; by it {self._late:,} of "
            f"the {self._after:,} records behind it are late and put aside (`tocsin dlq list`). If that time is wrong, "
            "correct the record or leave it out, and run again"
        )


def _offsets(ingested: Ingested) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    own = ingested.rows[POSITION].to_numpy() % 2**POSITION_BITS
    return np.sort(np.concatenate([own, ingested.late["offset"].to_numpy(), ingested.dead["offset"].to_numpy()]))
