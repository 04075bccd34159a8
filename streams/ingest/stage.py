"""The ingest stage: what happens to a record before any operator sees it, the same in every host (semantics S, 21)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from streams.codecs.decoder import OFFSET, Decoder
from streams.codecs.raws import keys_at, places_of, raw_bytes
from streams.codecs.reasons import Dead
from streams.dead_letters import dead_frame
from streams.ingest.checks import Evaluation, judge
from streams.ingest.counts import count_quality
from streams.ingest.lateness import State, advanced, greatest_before, initial, watermark_of
from streams.ingest.spec import NOBODY_LATE, Ingested, IngestSpec, LookUp
from streams.sources.contract import Records
from tocsin.model.rows import HASH, ID, POSITION, POSITION_BITS, TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from operators.expressions.bound import Lookup
    from streams.codecs.record import Layout
    from streams.pseudonyms import Pseudonyms
    from streams.sources.contract import RawBatch


def refuse_look_ups(rows: pl.DataFrame, lookups: Sequence[Lookup]) -> pl.DataFrame:
    """Stand in where a stream's checks need no table."""
    raise LookupError(f"no tables for {', '.join(lookup.table for lookup in lookups)} ({rows.height} rows)")


@dataclass(frozen=True, slots=True)
class Ingest:
    """The ingest stage of one partition: pure but for caches that decide about speed only.

    The result does not depend on how the records are cut into batches.
    """

    spec: IngestSpec
    pseudonyms: Pseudonyms
    look_up: LookUp = refuse_look_ups
    _decoder: Decoder = field(init=False, repr=False)
    _output: Sequence[pl.Expr] = field(init=False, repr=False)
    _persons: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Set up the one decoder, and what all steps share."""
        object.__setattr__(self, "_decoder", Decoder(self.spec.layout, self.spec.format))
        object.__setattr__(self, "_output", _output(self.spec))
        object.__setattr__(self, "_persons", self.spec.persons)

    def initial(self) -> State:
        """Give the state before any record."""
        return initial()

    def step(self, raw: RawBatch, state: State) -> Ingested:
        """Take the next records of the partition."""
        decoded = self._decoder.decode(raw)
        times, offsets = decoded.rows[self.spec.layout.time], decoded.rows[OFFSET]
        before = greatest_before(offsets, times, decoded.dead, state)
        after = advanced(times, decoded.dead, state)
        late = _after_watermark(times, before, self.spec.lateness)
        punctual = decoded.rows.filter(~late) if late.any() else decoded.rows
        judged = judge(punctual, self.spec, self._evaluation())
        dead = sorted([*decoded.dead, *_died(raw, judged.failing)], key=lambda letter: letter.offset)
        return Ingested(
            rows=self._finished(judged.rows),
            late=self._late(raw, decoded.rows, before, late),
            dead=dead_frame(self.spec.stream, self.spec.partition, dead, _form(raw)),
            watermark=watermark_of(after, self.spec.lateness),
            counts=count_quality(self.spec, decoded.rows, decoded.dead, judged.failed, int(late.sum())),
            state=after,
            unknown=decoded.unknown,
        )

    def _evaluation(self) -> Evaluation:
        return Evaluation(self._pseudonymised, self.look_up)

    def _pseudonymised(self, rows: pl.DataFrame) -> pl.DataFrame:
        present = [(name, domain) for name, domain in self._persons.items() if name in rows.columns]
        if not present:
            return rows
        return rows.with_columns(self.pseudonyms.of(rows[name], domain) for name, domain in present)

    def _finished(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Replace identifiers by pseudonyms and add the system columns."""
        rows = self._pseudonymised(rows)
        content = pl.DataFrame([rows.get_column(name) for name in _content(self.spec.layout)])
        return rows.hstack([content.hash_rows().alias(HASH)]).select(self._output)

    def _late(self, raw: RawBatch, rows: pl.DataFrame, before: pl.Series, late: pl.Series) -> pl.DataFrame:
        if not late.any():
            return NOBODY_LATE
        time, offset = pl.col(self.spec.layout.time), pl.col(OFFSET)
        chosen = (
            rows.with_columns(before)
            .filter(late)
            .select(
                pl.lit(self.spec.stream).alias("stream"),
                pl.lit(self.spec.partition, dtype=pl.Int64).alias("partition"),
                offset.alias("offset"),
                (offset + (self.spec.partition << POSITION_BITS)).alias("position"),
                time.alias("time"),
                (pl.col("before") - time).alias("behind"),
            )
        )
        places = places_of(raw, chosen["offset"])
        return chosen.with_columns(
            pl.Series("raw", raw_bytes(raw, places), dtype=pl.Binary),
            pl.Series("key", keys_at(raw, places), dtype=pl.Binary),
            pl.lit(_form(raw)).alias("form"),
        )


def _output(spec: IngestSpec) -> Sequence[pl.Expr]:
    """Give the columns of rows, by `spec.output`, from what was decoded and derived, and the hash of the content."""
    layout = spec.layout
    system = {
        TIME: pl.col(layout.time),
        ID: pl.col(layout.id).cast(pl.String) if layout.id else pl.lit(None, dtype=pl.String),
        HASH: pl.col(HASH),
        POSITION: pl.col(OFFSET) + (spec.partition << POSITION_BITS),
    }
    return [system.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in spec.output.physical.items()]


def _after_watermark(times: pl.Series, before: pl.Series, lateness: int) -> pl.Series:
    """Mark the rows that came after their watermark."""
    if before.null_count():  # before the first one there is none
        return (times < before - lateness).fill_null(value=False)
    return pl.Series(times.to_numpy() < before.to_numpy() - lateness)


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
