"""Dead letters: records that were not taken, with reason, position and raw bytes; nothing of them is in any log.

Raw bytes hold identifiers of persons as they came: the folder has the protection of the source (semantics 22). The
store is append-only NDJSON: `grep` finds in it, a torn end from a crash is cut off, and a letter that a restart puts a
second time is read once.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

import msgspec
import polars as pl

from streams.sources.contract import Records
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from streams.codecs.reasons import Dead

DEAD: Mapping[str, pl.DataType] = {
    "stream": pl.String(),
    "partition": pl.Int64(),
    "offset": pl.Int64(),
    "reason": pl.String(),
    "field": pl.String(),
    "detail": pl.String(),
    "time": pl.Int64(),
    "raw": pl.Binary(),
    "key": pl.Binary(),
    "form": pl.String(),
}
"""A dead letter: where it was, why it died, the field ("" for the whole record), its event time if that decodes.

`key`: of the message, null where there is none. `form`: how `raw` is to be read: `json`, or `csv:` and the header as a
JSON list.
"""

NO_LETTERS = pl.DataFrame(schema=dict(DEAD))

STORED: Mapping[str, pl.DataType] = {**DEAD, "recorded_at": pl.Int64()}
"""A dead letter in the store; `recorded_at`: ms since the epoch by the clock of the host."""

PLACE = ("stream", "partition", "offset")
"""What names a dead letter."""

SEGMENT_MOST = 64 << 20
"""Bytes after which the store begins a new segment."""


def dead_frame(stream: str, partition: int, letters: Iterable[Dead], form: str = "json") -> pl.DataFrame:
    """Give the dead letters of one partition as a frame by DEAD."""
    rows = [(stream, partition, *letter, form) for letter in letters]
    return pl.DataFrame(rows, schema=dict(DEAD), orient="row") if rows else NO_LETTERS


def each_once(found: pl.DataFrame, stream: str | None) -> pl.DataFrame:
    """Give the letters (of one stream), of each place the first, in order of place."""
    chosen = found if stream is None else found.filter(pl.col("stream") == stream)
    return chosen.unique(PLACE, keep="first", maintain_order=True).sort(PLACE)


class TakesLetters(Protocol):
    """Where a host puts dead letters."""

    def put(self, letters: pl.DataFrame, recorded_at: int) -> None:
        """Make letters by DEAD durable; StateError if they cannot be. `recorded_at`: ms since the epoch."""
        ...


class Letters(ABC):
    """Dead letters to look at, wherever they lie."""

    @abstractmethod
    def letters(self, stream: str | None = None) -> pl.DataFrame:
        """Give all letters by STORED (of one stream), each place once, in order of place."""

    def summary(self) -> pl.DataFrame:
        """Count letters per stream, reason and field, most first, with the first and last place in time."""
        return (
            self.letters()
            .group_by("stream", "reason", "field")
            .agg(
                pl.len().alias("letters"),
                pl.col("offset").min().alias("first_offset"),
                pl.col("recorded_at").max().alias("last_recorded_at"),
            )
            .sort("letters", "stream", "reason", "field", descending=[True, False, False, False])
        )

    def show(self, stream: str, partition: int, offset: int) -> dict[str, object] | None:
        """Give one letter by its place, None if there is none."""
        found = self.letters(stream).filter(pl.col("partition") == partition, pl.col("offset") == offset)
        return found.row(0, named=True) if found.height else None

    def replay(self, stream: str) -> Iterator[tuple[int, str, Records]]:
        """Give partition, format (`json`, `csv`) and raw records of a stream, ready for the decoder (semantics 25)."""
        for (partition, form), part in self.letters(stream).group_by("partition", "form", maintain_order=True):
            kind, _, header = str(form).partition(":")
            records = Records.of(
                part["raw"].to_list(), part["offset"].to_list(), header=tuple(json.loads(header or "[]"))
            )
            yield int(str(partition)), kind, records


class DeadLetterStore(Letters):
    """The dead letters of a state folder; one process writes (the host holds the folder's lock), any may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, letters: pl.DataFrame, recorded_at: int) -> None:
        """Append letters by DEAD and wait until they are durable; StateError, nothing appended, if they cannot be."""
        if not letters.height:
            return
        # not by Polars, which would call a buffer in memory back from its pool while the reading thread works there
        rows = letters.with_columns(pl.lit(recorded_at).alias("recorded_at")).iter_rows(named=True)
        text = msgspec.json.Encoder().encode_lines(list(rows))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _append(self._segment(), text)
        except OSError as error:
            raise StateError(f"{self._folder}: dead letters cannot be stored: {error.strerror}") from error

    def letters(self, stream: str | None = None) -> pl.DataFrame:
        """Give all letters by STORED (of one stream), each place once, in order of place."""
        parts = [_read(segment) for segment in self._segments()]
        return each_once(pl.concat([pl.DataFrame(schema=dict(STORED)), *parts]), stream)

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("*.ndjson"))

    def _segment(self) -> Path:
        """Name the segment to append to."""
        segments = self._segments()
        if segments and segments[-1].stat().st_size < SEGMENT_MOST:
            return segments[-1]
        return self._folder / f"{len(segments):06d}.ndjson"


def _append(segment: Path, text: bytes) -> None:
    """Append whole lines and sync; what a full disk or a crash left of a line is cut off. One process at a time."""
    with segment.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = _whole_length(file)
        file.truncate(end)
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.truncate(segment, end)
            raise


def _whole_length(file: io.BufferedRandom) -> int:
    """Find the end of the last whole line."""
    end = file.seek(0, io.SEEK_END)
    while end:
        begin = max(0, end - 65_536)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _read(segment: Path) -> pl.DataFrame:
    text = segment.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if not whole:
        return pl.DataFrame(schema=dict(STORED))
    try:
        frame = pl.read_ndjson(whole, schema={**STORED, "raw": pl.String(), "key": pl.String()})
    except pl.exceptions.PolarsError as error:
        raise StateError(f"{segment} is damaged: {str(error).splitlines()[0]}") from error
    return frame.with_columns(pl.col("raw", "key").str.decode("base64"))
