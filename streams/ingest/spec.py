"""What the ingest stage of one partition of a stream is made of, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.expressions.bound import Bound, Lookup
from tocsin.model.rows import SOURCE_SYSTEM, Schema

if TYPE_CHECKING:
    from streams.codecs.record import Layout
    from tocsin.model.types import Type

LookUp = Callable[[pl.DataFrame, Sequence[Lookup]], pl.DataFrame]
"""Gives the rows with the columns of the look-ups added, in the same order; the host supplies it.

The rows hold pseudonyms by then, as tables do.
"""


class Check(NamedTuple):
    """A condition that every record must (or should) meet; null meets it, as in SQL's CHECK."""

    name: str
    condition: Bound
    should: bool = False


@dataclass(frozen=True, slots=True)
class IngestSpec:
    """One partition of a stream: its layout, how late its records may be (ms), what is derived and checked."""

    stream: str
    layout: Layout
    lateness: int
    derive: Sequence[tuple[str, Bound]] = ()
    checks: Sequence[Check] = ()
    partition: int = 0
    format: str = "json"

    @property
    def columns(self) -> Mapping[str, Type]:
        """The author's columns of a row: fields, then what is derived."""
        return {**self.layout.fields, **{name: bound.type for name, bound in self.derive}}

    @property
    def persons(self) -> Mapping[str, str]:
        """The columns that hold identifiers of persons, and the domain of each."""
        return {name: type_.person for name, type_ in self.columns.items() if type_.person}

    @property
    def output(self) -> Schema:
        """The schema of the rows that the stage gives."""
        return Schema(self.columns, SOURCE_SYSTEM)


LATE: Mapping[str, pl.DataType] = {
    "stream": pl.String(),
    "partition": pl.Int64(),
    "offset": pl.Int64(),
    "position": pl.Int64(),
    "time": pl.Int64(),
    "behind": pl.Int64(),
    "raw": pl.Binary(),
    "key": pl.Binary(),
    "form": pl.String(),
}
"""A late record.

`behind`: how many ms it is behind the greatest event time before it. `raw`, `key`, `form`: as in a dead letter.
"""

NOBODY_LATE = pl.DataFrame(schema=dict(LATE))

COUNTS: Mapping[str, pl.DataType] = {
    "stream": pl.String(),
    "field": pl.String(),
    "records": pl.Int64(),
    "missing": pl.Int64(),
    "failed": pl.Int64(),
    "late": pl.Int64(),
}
"""What the built-in stream `quality` counts, of one step; the host adds the clock minute.

The row of field "" is the record as a whole: `failed` counts every dead letter.
"""


class Counts(NamedTuple):
    """The same as numbers, which cost a small step less than a frame; `fields`: name, missing, failed."""

    stream: str
    records: int
    failed: int
    late: int
    fields: tuple[tuple[str, int, int], ...]

    def plus(self, others: Iterable[Counts]) -> Counts:
        """Give the sums; the fields are the same in all."""
        every = [self, *others]
        columns = zip(*(counts.fields for counts in every), strict=True)
        fields = tuple((same[0][0], sum(n for _, n, _ in same), sum(n for _, _, n in same)) for same in columns)
        _, records, failed, late, _ = zip(*every, strict=True)
        return Counts(self.stream, sum(records), sum(failed), sum(late), fields)

    @property
    def frame(self) -> pl.DataFrame:
        """Give them by COUNTS."""
        lines = (("", 0, self.failed), *self.fields)
        table = [(self.stream, name, self.records, missing, failed, self.late) for name, missing, failed in lines]
        return pl.DataFrame(table, schema=dict(COUNTS), orient="row")


class Ingested(NamedTuple):
    """What a step gives.

    `rows`: by `IngestSpec.output`, in offset order. `late`: by LATE. `dead`: by `dead_letters.DEAD`. `watermark`: no
    later row will have a time up to it; None before the first record with a plausible time. `state`: to go on with.
    `unknown`: names in the records that are no field.
    """

    rows: pl.DataFrame
    late: pl.DataFrame
    dead: pl.DataFrame
    watermark: int | None
    counts: Counts
    state: Mapping[str, pl.DataFrame]
    unknown: frozenset[str] = frozenset()

    def joined(self, later: Sequence[Ingested]) -> Ingested:
        """Give what one step would have given for these records and the later ones of the partition."""
        steps = [self, *later]
        rows, late, dead = (_together(parts) for parts in zip(*((s.rows, s.late, s.dead) for s in steps), strict=True))
        last, unknown = steps[-1], frozenset().union(*(step.unknown for step in steps))
        counts = self.counts.plus([step.counts for step in later])
        return Ingested(rows, late, dead, last.watermark, counts, last.state, unknown)


def _together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put rows of one schema together; of late and dead ones there are mostly none."""
    full = [part for part in parts if part.height]
    return pl.concat(full) if len(full) > 1 else (full or parts)[0]
