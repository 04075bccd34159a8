"""The ingest stage: what happens to a record before any operator sees it, the same in every host (semantics S, 21)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.codecs.decoder import OFFSET, Decoder
from streams.codecs.raws import keys_at, places_of, raw_bytes
from streams.codecs.reasons import Dead
from streams.dead_letters import dead_frame
from streams.ingest.checks import Evaluation, failures, judge
from streams.ingest.counts import count_quality
from streams.ingest.lateness import State, advanced, all_punctual, greatest_before, initial, watermark_of
from streams.ingest.spec import NOBODY_LATE, Ingested, IngestSpec, LookUp
from streams.ingest.together import Part, whole_of
from streams.sources.contract import Records
from tocsin.model.rows import HASH, ID, POSITION, POSITION_BITS, TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from operators.expressions.bound import Lookup
    from streams.codecs.decoder import Decoded
    from streams.codecs.record import Layout
    from streams.ingest.together import Whole
    from streams.pseudonyms import Pseudonyms
    from streams.sources.contract import RawBatch


_LONG_AGO = -(1 << 62)


def refuse_look_ups(rows: pl.DataFrame, lookups: Sequence[Lookup]) -> pl.DataFrame:
    """Stand in where a stream's checks need no table."""
    raise LookupError(f"no tables for {', '.join(lookup.table for lookup in lookups)} ({rows.height} rows)")


@dataclass(frozen=True, slots=True)
class Ingest:
    """The ingest stage of a stream: pure but for caches that decide about speed only.

    The result does not depend on how the records of a partition are cut into batches, nor on what is taken with them.
    """

    spec: IngestSpec
    pseudonyms: Pseudonyms
    look_up: LookUp = refuse_look_ups
    _decoder: Decoder = field(init=False, repr=False)
    _output: Mapping[str, pl.DataType] = field(init=False, repr=False)
    _persons: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Set up the one decoder, and what all steps share."""
        object.__setattr__(self, "_decoder", Decoder(self.spec.layout, self.spec.format))
        object.__setattr__(self, "_output", self.spec.output.physical)
        object.__setattr__(self, "_persons", self.spec.persons)

    def initial(self) -> State:
        """Give the state before any record."""
        return initial()

    def step(self, raw: RawBatch, state: State) -> Ingested:
        """Take the next records of the partition that the spec names."""
        return self.steps([Part(self.spec.partition, raw, state)]).each[0]

    def steps(self, parts: Sequence[Part]) -> Together:
        """Take the next records of some partitions in one pass; at least one, in the order of their numbers."""
        whole = whole_of(parts)
        decoded = self._decoder.decode(whole.raw)
        owns = self._apart(whole, decoded)
        late = pl.Series(np.concatenate([own.late for own in owns]))
        punctual = decoded.rows.filter(~late) if late.any() else decoded.rows
        judged = judge(punctual, self.spec, self._evaluation())
        died = list(_died(whole.raw, judged.failing))
        rows = self._finished(judged.rows, whole.base)
        of_rows = whole.apart(rows, judged.rows.get_column(OFFSET))
        lates = self._late(whole, owns, decoded.rows, late) if late.any() else [NOBODY_LATE] * len(owns)
        faults = self._failures(whole, judged.marks)
        each = [
            Ingested(
                rows=of_part,
                late=behind,
                dead=self._letters(whole, own, died),
                watermark=watermark_of(own.after, self.spec.lateness),
                counts=count_quality(self.spec, own.rows, own.dead, failed, int(own.late.sum())),
                state=own.after,
                unknown=decoded.unknown,
            )
            for own, of_part, behind, failed in zip(owns, of_rows, lates, faults, strict=True)
        ]
        return Together(rows, each)

    def _apart(self, whole: Whole, decoded: Decoded) -> list[_Own]:
        """Give what was decoded of each part, and which rows of it are late."""
        owns = []
        parts = whole.apart(decoded.rows, decoded.rows.get_column(OFFSET))
        for part, rows in zip(whole.parts, parts, strict=True):
            dead, times = whole.own(part, decoded.dead), rows.get_column(self.spec.layout.time)
            own = _Own(part, rows, dead, advanced(times, dead, part.state), np.zeros(rows.height, dtype=np.bool_))
            if not all_punctual(times, own.after, self.spec.lateness):
                own = own._replace(late=_after_watermark(times, self._before(own), self.spec.lateness))
            owns.append(own)
        return owns

    def _before(self, own: _Own) -> pl.Series:
        """Give for each row of a part the greatest time of all earlier records."""
        rows = own.rows
        times = rows.get_column(self.spec.layout.time)
        return greatest_before(rows.get_column(OFFSET), times, own.dead, own.part.state)

    def _failures(self, whole: Whole, marks: pl.DataFrame | None) -> list[Mapping[str, int]]:
        """Count the failed checks of each part; `marks`: how all rows were judged, if any failed."""
        if marks is None:
            return [{}] * len(whole.parts)
        return [failures(own, self.spec) for own in whole.apart(marks, marks.get_column(OFFSET))]

    def _letters(self, whole: Whole, own: _Own, died: Sequence[Dead]) -> pl.DataFrame:
        """Give the dead letters of a part; `died`: those of the batch that died of a check."""
        letters = whole.under_own_offsets(own.part, [*own.dead, *whole.own(own.part, died)])
        return dead_frame(self.spec.stream, own.part.partition, letters, _form(own.part.raw))

    def _evaluation(self) -> Evaluation:
        return Evaluation(self._pseudonymised, self.look_up)

    def _pseudonymised(self, rows: pl.DataFrame) -> pl.DataFrame:
        present = [(name, domain) for name, domain in self._persons.items() if name in rows.columns]
        if not present:
            return rows
        return rows.with_columns(self.pseudonyms.of(rows[name], domain) for name, domain in present)

    def _finished(self, rows: pl.DataFrame, base: int) -> pl.DataFrame:
        """Replace identifiers by pseudonyms and add the system columns."""
        rows = self._pseudonymised(rows)
        layout, column = self.spec.layout, rows.get_column
        system = {
            TIME: column(layout.time),
            ID: column(layout.id) if layout.id else pl.Series([None], dtype=pl.String).new_from_index(0, rows.height),
            HASH: pl.DataFrame([column(name) for name in _content(layout)]).hash_rows(),
            POSITION: column(OFFSET) + base,
        }
        # not by a query: of a few rows, it costs more than all the columns
        return pl.DataFrame(
            [(system[n] if n in system else column(n)).cast(dtype).alias(n) for n, dtype in self._output.items()]
        )

    def _late(self, whole: Whole, owns: Sequence[_Own], rows: pl.DataFrame, late: pl.Series) -> list[pl.DataFrame]:
        """Give the late rows of each part, by LATE."""
        rows = rows.hstack([pl.concat([self._before(own) for own in owns])]).filter(late)
        places = places_of(whole.raw, rows.get_column(OFFSET))
        position, time = pl.col(OFFSET) + whole.base, pl.col(self.spec.layout.time)
        told = rows.select(
            pl.lit(self.spec.stream).alias("stream"),
            (position // 2**POSITION_BITS).alias("partition"),
            (position % 2**POSITION_BITS).alias("offset"),
            position.alias("position"),
            time.alias("time"),
            (pl.col("before") - time).alias("behind"),
            pl.Series("raw", raw_bytes(whole.raw, places), dtype=pl.Binary),
            pl.Series("key", keys_at(whole.raw, places), dtype=pl.Binary),
            pl.lit(_form(whole.raw)).alias("form"),
        )
        return whole.apart(told, rows.get_column(OFFSET))


class Together(NamedTuple):
    """What steps of several partitions give: all their rows, and what each gives by itself."""

    rows: pl.DataFrame
    each: Sequence[Ingested]


class _Own(NamedTuple):
    """What was decoded of a part, under the offsets of the batch, and what the part's state makes of it.

    `late`: for each row, whether it came after its watermark.
    """

    part: Part
    rows: pl.DataFrame
    dead: list[Dead]
    after: State
    late: npt.NDArray[np.bool_]


def _after_watermark(times: pl.Series, before: pl.Series, lateness: int) -> npt.NDArray[np.bool_]:
    """Mark the rows that came after their watermark."""
    known = before.fill_null(_LONG_AGO) if before.null_count() else before  # before the first one there is none
    return times.to_numpy() < known.to_numpy() - lateness


def _content(layout: Layout) -> list[str]:
    """Name the fields in which copies of a record can differ: those of one id and time share these two."""
    differing = [name for name in layout.fields if name not in {layout.id, layout.time}]
    return differing if layout.id and differing else list(layout.fields)


def _form(raw: RawBatch) -> str:
    """Say how raw bytes of the batch are to be read again."""
    return "csv:" + json.dumps(raw.header) if isinstance(raw, Records) and raw.header else "json"


def _died(raw: RawBatch, failing: pl.DataFrame) -> Iterator[Dead]:
    """Put down which check each failing record died of."""
    if failing.is_empty():
        return
    places = places_of(raw, failing["offset"])
    found = zip(failing.iter_rows(), raw_bytes(raw, places), keys_at(raw, places), strict=True)
    for (offset, check, column, time), payload, key in found:
        yield Dead(offset, f"check: {check}", column, "", time, payload, key)
