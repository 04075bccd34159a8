"""Text files whose records are lines (NDJSON) or may span lines inside quotes (CSV), read in blocks."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from streams.codecs.reasons import Dead, Reason
from streams.sources.contract import KEPT_MOST, RECORD_MOST, Position, Records
from streams.sources.file_list import FileCursor
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

BLOCK = 8 << 20
"""Bytes read at once: enough for the parser to be quick, little enough to keep memory flat."""
RECORD_USUAL = 256
"""Bytes of a record that a block makes room for."""
BOM = b"\xef\xbb\xbf"


class LineFiles:
    """A list of files as one partition of lines; a file is open only while a block of it is read."""

    def __init__(self, name: str, files: Sequence[Path], form: str, *, record_most: int = RECORD_MOST) -> None:
        self.name = name
        self.format = form
        self._record_most = record_most
        self._cursor = FileCursor(name, files)
        self._header: tuple[str, ...] = ()

    @property
    def position(self) -> Position:
        """File, byte in it, and the offset of the record that begins there."""
        return self._cursor.position

    def seek(self, position: Position) -> None:
        """Go on at a position; SourceError if its file is another one now or shorter than what was read of it."""
        self._cursor.seek(position)
        self._header = ()
        path = self._cursor.current
        if path is not None and self._cursor.place > path.stat().st_size:
            raise SourceError(f"{path} is shorter than what was read of it: {self._cursor.place} bytes")

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def read(self, most: int) -> Records | None:
        """Give the next lines; a line beyond the limit leaves a blank one and a dead letter."""
        while (path := self._cursor.current) is not None:
            records = self._read_file(path, most)
            if records is not None:
                return records
            self._cursor.next_file()
            self._header = ()
        return None

    def _read_file(self, path: Path, most: int) -> Records | None:
        try:
            with path.open("rb") as file:
                self._begin(file)
                block = file.read(max(min(BLOCK, most * RECORD_USUAL), self._record_most + 2))
                return self._take(file, block, most) if block else None
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None

    def _begin(self, file: BinaryIO) -> None:
        """Pass over a byte order mark and the header of CSV, and go to the byte where reading goes on."""
        if not self._cursor.place or (self.format == "csv" and not self._header):
            begin = len(BOM) if file.read(len(BOM)) == BOM else 0
            file.seek(begin)
            if self.format == "csv":
                begin += self._read_header(file.readline(self._record_most), file.name)
            self._cursor.place = max(self._cursor.place, begin)
        file.seek(self._cursor.place)

    def _read_header(self, line: bytes, name: str) -> int:
        try:
            cells = next(csv.reader([line.decode()]), [])
        except UnicodeDecodeError:
            raise SourceError(f"{name}: the header is not UTF-8") from None
        self._header = tuple(cell.strip() for cell in cells)
        return len(line)

    def _take(self, file: BinaryIO, block: bytes, most: int) -> Records:
        """Give the whole records that the block begins with, or the one that is too long or lacks its end."""
        ends = self._ends(block)[:most]
        whole = _leading(ends, self._record_most + 1)
        if whole:
            return self._give(block[: int(ends[whole - 1])], ends[:whole])
        if not len(ends) and len(block) <= self._record_most:
            return self._give(block, np.array([len(block)]), cut=True)
        return self._pass_over(file, block)

    def _ends(self, block: bytes) -> npt.NDArray[np.int64]:
        """Find where records end: behind each newline, for CSV only those outside of quotes."""
        byte = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(byte == ord("\n"))
        if self.format == "csv" and b'"' in block:
            quotes = np.cumsum(byte == ord('"'), dtype=np.int64)
            ends = ends[quotes[ends] % 2 == 0]
        return ends + 1

    def _give(self, blob: bytes, ends: npt.NDArray[np.int64], *, cut: bool = False) -> Records:
        starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
        records = Records(blob, self._cursor.offset, starts=starts, cut=cut, header=self._header)
        self._cursor.advance(len(blob), len(ends))
        return records

    def _pass_over(self, file: BinaryIO, block: bytes) -> Records:
        """Skip one line beyond the limit, block by block, and keep its beginning."""
        raw, length, offset = block[:KEPT_MOST], 0, self._cursor.offset
        while block:
            end = block.find(b"\n")
            length += len(block) if end < 0 else end + 1
            if end >= 0:
                break
            block = file.read(BLOCK)
        self._cursor.advance(length, 1)
        return too_long(offset, raw, length, self._record_most, self._header)


def too_long(offset: int, raw: bytes, length: int, most: int, header: tuple[str, ...] = ()) -> Records:
    """Give the batch of one record that is beyond the limit: a blank line and its dead letter."""
    detail = f"{length} bytes, the limit is {most}; the first {len(raw)} are kept"
    return Records(b"\n", offset, dead=(Dead(offset, Reason.TOO_LONG, "", detail, None, raw),), header=header)


def _leading(ends: npt.NDArray[np.int64], most: int) -> int:
    """Count the records before the first one that is longer than `most` bytes."""
    longer = np.flatnonzero(np.diff(ends, prepend=0) > most)
    return int(longer[0]) if len(longer) else len(ends)
