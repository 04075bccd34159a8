"""The one decoder (semantics 21): raw batches to physical columns, the same in every host and from every format.

A codec reads columns where that is quick; whatever is not surely right there is read record by record. Which way a
record went never changes what it becomes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import polars as pl

from streams.codecs.columns import Converter, carriers
from streams.codecs.csv_lines import parse_cells, parse_csv
from streams.codecs.json_lines import Shape, guess_shape, parse_lines
from streams.codecs.json_record import parse_object
from streams.codecs.parsed import Parsed
from streams.codecs.raws import as_json, columns_of
from streams.codecs.reasons import Bad, Dead, Reason
from streams.codecs.record import Layout, dead_letter, event_time, read_record
from streams.codecs.times import EVENT_LEAST, EVENT_MOST
from streams.sources.contract import Columns, RawBatch, Records
from tocsin.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    Read = dict[str, object] | Dead

OFFSET = "__offset"
INGESTED = "__ingested"


class Decoded(NamedTuple):
    """What a raw batch became.

    `rows`: the physical columns of all fields, `__offset` (Int64, ascending), `__ingested` (Int64 ms or null). `dead`:
    in offset order. `unknown`: names in the records that are no field; for JSON as far as a sample of them showed.
    """

    rows: pl.DataFrame
    dead: list[Dead]
    unknown: frozenset[str] = frozenset()

    @property
    def records(self) -> int:
        """How many records there were."""
        return self.rows.height + len(self.dead)


@dataclass(slots=True)
class Decoder:
    """Decodes the records of one stream; what it keeps between batches is a guess that decides about speed only."""

    layout: Layout
    format: str = "json"
    _shape: Shape | None = field(default=None, init=False)
    _converter: Converter = field(init=False)

    def __post_init__(self) -> None:
        """Set up the conversion of columns."""
        self._converter = Converter(self.layout.fields)

    def decode(self, raw: RawBatch) -> Decoded:
        """Decode a raw batch; SourceError if a columnar one lacks the event time or the id."""
        parsed = self._parse(raw)
        rows, doubt = self._judged(parsed.frame)
        doubt |= _ahead(rows, parsed, raw, self.layout)
        if doubt.any():
            rows, parsed = rows.filter(~pl.Series(doubt)), Parsed(parsed.frame, parsed.taken[~doubt])
        decoded = Decoded(_placed(rows, parsed.taken, raw), [], self._unknown(raw))
        if len(parsed.taken) == raw.count:
            return decoded
        alone = np.setdiff1d(np.arange(raw.count), parsed.taken, assume_unique=True)
        return self._with_alone(decoded, raw, alone)

    def _judged(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, npt.NDArray[np.bool_]]:
        """Convert carrier columns; doubt also what must not be missing, and implausible event times."""
        rows, doubted = self._converter.convert(frame)
        doubt = doubted.to_numpy(writable=True)
        for name in self.layout.required:
            if rows.get_column(name).null_count():
                doubt |= rows.get_column(name).is_null().to_numpy()
        if self.layout.time:
            time = rows.get_column(self.layout.time)
            least, most = time.min(), time.max()
            if isinstance(least, int) and isinstance(most, int) and (least < EVENT_LEAST or most > EVENT_MOST):
                doubt |= ~time.is_between(EVENT_LEAST, EVENT_MOST).fill_null(value=True).to_numpy()
        return rows, doubt

    def _parse(self, raw: RawBatch) -> Parsed:
        if isinstance(raw, Columns):
            return self._take_columns(raw)
        if self.format == "csv":
            return parse_csv(raw, self.layout.fields)
        shape = self._shape or guess_shape(raw, self.layout.fields)
        parsed = parse_lines(raw, shape)
        self._shape = shape if len(parsed.taken) * 2 > raw.count else None
        return parsed

    def _take_columns(self, raw: Columns) -> Parsed:
        for name in self.layout.required:
            if name not in raw.frame.columns:
                raise SourceError(_no_column(name, raw))
        known = [name for name in raw.frame.columns if name in self.layout.fields]
        return Parsed(carriers(raw.frame.select(known)), np.arange(raw.count))

    def _unknown(self, raw: RawBatch) -> frozenset[str]:
        if isinstance(raw, Columns):
            names = raw.unknown | set(raw.frame.columns)
        elif self.format == "csv":
            names = frozenset(raw.header)
        else:
            names = _names_of_first(raw)
        return frozenset(names) - set(self.layout.fields)

    def _with_alone(self, decoded: Decoded, raw: RawBatch, alone: npt.NDArray[np.int64]) -> Decoded:
        """Read the rows `alone` one by one and put them in their places."""
        given = self._from_columns(raw, alone) if isinstance(raw, Columns) else self._from_records(raw, alone)
        good, places, dead = [], [], list(raw.dead) if isinstance(raw, Records) else []
        for place, read in given:
            if isinstance(read, Dead):
                dead.append(read)
            else:
                good.append(read)
                places.append(place)
        rows = decoded.rows
        if good:
            physical = {name: type_.physical for name, type_ in self.layout.fields.items()}
            more = _placed(pl.DataFrame(good, schema=physical), np.array(places), raw)
            rows = pl.concat([rows, more]).sort(OFFSET)
        return Decoded(rows, sorted(dead, key=lambda letter: letter.offset), decoded.unknown)

    def _from_columns(self, raw: Columns, alone: npt.NDArray[np.int64]) -> Iterator[tuple[int, Read]]:
        for place, values in zip(alone.tolist(), columns_of(raw, alone), strict=True):
            try:
                yield place, read_record(values, self.layout)
            except Bad as bad:
                time = event_time(values, self.layout)
                yield place, dead_letter(bad, raw.first + place, as_json(values), time)

    def _from_records(self, raw: Records, alone: npt.NDArray[np.int64]) -> Iterator[tuple[int, Read]]:
        for place in alone.tolist():
            payload = raw.at(place)
            if payload.strip():
                ingested = None if raw.ingested is None else raw.ingested[place]
                read = self._read_payload(payload, raw, ingested, cut=raw.cut and place == raw.count - 1)
                yield place, _at(read, raw, place) if isinstance(read, Dead) else read

    def _read_payload(self, payload: bytes, raw: Records, ingested: int | None, *, cut: bool) -> Read:
        values: Mapping[str, object] = {}
        try:
            values = parse_cells(payload, raw.header) if self.format == "csv" else parse_object(payload)
            return read_record(values, self.layout, ingested)
        except Bad as bad:
            if cut and bad.reason in _OF_A_CUT:
                bad = Bad(Reason.TRUNCATED, f"the file ends in the midst of this record: {bad.detail}")
            return dead_letter(bad, 0, payload, event_time(values, self.layout, ingested))


_OF_A_CUT = (Reason.BAD_JSON, Reason.BAD_CSV, Reason.INVALID_UTF8)
"""What the last record of a file is called if its end is missing."""


def _ahead(rows: pl.DataFrame, parsed: Parsed, raw: RawBatch, layout: Layout) -> npt.NDArray[np.bool_]:
    """Doubt event times later than a record taken then may be."""
    if isinstance(raw, Columns) or raw.ingested is None or not layout.time:
        return np.zeros(rows.height, dtype=np.bool_)
    stamps, times = _of(raw.ingested, parsed.taken), rows.get_column(layout.time)
    if stamps.null_count() or times.null_count():
        return (times > stamps + layout.ahead).fill_null(value=False).to_numpy()
    return times.to_numpy() > stamps.to_numpy() + layout.ahead


def _placed(rows: pl.DataFrame, places: npt.NDArray[np.int64], raw: RawBatch) -> pl.DataFrame:
    """Add the offsets and ingestion timestamps of the rows that stand at `places` of the batch."""
    if isinstance(raw, Columns) or raw.offsets is None:
        offsets = pl.Series(OFFSET, places + raw.first)
    else:
        offsets = _of(raw.offsets, places).alias(OFFSET)
    if isinstance(raw, Records) and raw.ingested is not None:
        return rows.hstack([offsets, _of(raw.ingested, places).alias(INGESTED)])
    return rows.hstack([offsets]).with_columns(pl.lit(None, dtype=pl.Int64).alias(INGESTED))


def _of(values: pl.Series, places: npt.NDArray[np.int64]) -> pl.Series:
    """Give the values at ascending places, which mostly are all."""
    return values if len(places) == values.len() else values[places]


def _at(letter: Dead, raw: Records, place: int) -> Dead:
    return letter._replace(offset=raw.offset(place), key=raw.key_of and raw.key_of(place))


_NAMES = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _names_of_first(raw: Records) -> frozenset[str]:
    try:
        return frozenset(_NAMES.decode(raw.head))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return frozenset()


def _no_column(name: str, raw: Columns) -> str:
    there = sorted({*raw.frame.columns, *raw.unknown})
    it_has = ", ".join(there) + did_you_mean(name, there, 0.5)
    return f"the source has no column {name!r}, which every record needs; it has {it_has}"
