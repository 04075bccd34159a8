"""Text files whose records are lines (NDJSON) or may span lines inside quotes (CSV), read in blocks."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from streams.codecs.reasons import Dead, Reason
from streams.sources.contract import KEPT_MOST, RECORD_MOST, Position, Records
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

BLOCK = 8 << 20
"""Bytes read at once: enough for the parser to be quick, little enough to keep memory flat."""
BOM = b"\xef\xbb\xbf"


class LineFiles:
    """A list of files as one partition of lines."""

    def __init__(self, name: str, files: Sequence[Path], form: str, *, record_most: int = RECORD_MOST) -> None:
        self.name = name
        self.format = form
        self._files = list(files)
        self._record_most = record_most
        self._index = 0
        self._byte = 0
        self._offset = 0
        self._header: tuple[str, ...] = ()

    @property
    def position(self) -> Position:
        """File, byte in it, and the offset of the record that begins there."""
        file = self._files[self._index].name if self._index < len(self._files) else ""
        return {"offset": self._offset, "file": file, "index": self._index, "byte": self._byte}

    def seek(self, position: Position) -> None:
        """Go on at a position; SourceError if its file is no longer where it stood in the list."""
        index, byte = int(position["index"]), int(position["byte"])
        if index < len(self._files) and self._files[index].name != position["file"]:
            raise SourceError(f"{self.name}: file {index + 1} was {position['file']}, is now {self._files[index].name}")
        self._header = ()
        self._index, self._byte, self._offset = index, byte, int(position["offset"])
        if index < len(self._files) and byte > self._files[index].stat().st_size:
            raise SourceError(f"{self._files[index]} is shorter than what was read of it: {byte} bytes")

    def close(self) -> None:
        """Do nothing: a file is open only while it is read."""

    def read(self, most: int) -> Records | None:
        """Give the next lines; a line beyond the limit leaves a blank one and a dead letter."""
        while self._index < len(self._files):
            records = self._read_file(self._files[self._index], most)
            if records is not None:
                return records
            self._index, self._byte = self._index + 1, 0
        return None

    def _read_file(self, path: Path, most: int) -> Records | None:
        try:
            with path.open("rb") as file:
                self._begin(file)
                block = file.read(max(min(BLOCK, most * 256), self._record_most + 2))
                return self._take(file, block, most) if block else None
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None

    def _begin(self, file: BinaryIO) -> None:
        """Pass over a byte order mark and the header of CSV, and go to the byte where reading goes on."""
        if not self._byte or (self.format == "csv" and not self._header):
            begin = len(BOM) if file.read(len(BOM)) == BOM else 0
            file.seek(begin)
            if self.format == "csv":
                begin += self._read_header(file.readline(self._record_most), file.name)
            self._byte = max(self._byte, begin)
        file.seek(self._byte)

    def _read_header(self, line: bytes, name: str) -> int:
        try:
            cells = next(csv.reader([line.decode()]), [])
        except UnicodeDecodeError:
            raise SourceError(f"{name}: the header is not UTF-8") from None
        self._header = tuple(cell.strip() for cell in cells)
        return len(line)

    def _take(self, file: BinaryIO, block: bytes, most: int) -> Records:
        ends = self._ends(block)
        complete = ends[:most]
        if len(complete) and self._longest(complete) <= self._record_most + 1:
            return self._give(block[: int(complete[-1])], complete)
        short = _leading(complete, self._record_most + 1)
        if short:
            return self._give(block[: int(complete[short - 1])], complete[:short])
        if not len(ends) and len(block) <= self._record_most:
            return self._give(block, np.array([len(block)]), cut=True)
        return self._pass_over(file, block)

    def _longest(self, ends: npt.NDArray[np.int64]) -> int:
        return int(np.diff(ends, prepend=0).max())

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
        records = Records(blob, self._offset, starts=starts, cut=cut, header=self._header)
        self._go(len(blob), len(ends))
        return records

    def _go(self, length: int, count: int) -> None:
        self._byte += length
        self._offset += count

    def _pass_over(self, file: BinaryIO, block: bytes) -> Records:
        """Skip one line beyond the limit, block by block, and keep its beginning."""
        raw, length, offset = block[:KEPT_MOST], 0, self._offset
        while block:
            end = block.find(b"\n")
            length += len(block) if end < 0 else end + 1
            if end >= 0:
                break
            block = file.read(BLOCK)
        self._go(length, 1)
        detail = f"{length} bytes, the limit is {self._record_most}; the first {len(raw)} are kept"
        return Records(b"\n", offset, dead=(Dead(offset, Reason.TOO_LONG, "", detail, None, raw),), header=self._header)


def _leading(ends: npt.NDArray[np.int64], most: int) -> int:
    """Count the records before the first one that is longer than `most` bytes."""
    longer = np.flatnonzero(np.diff(ends, prepend=0) > most)
    return int(longer[0]) if len(longer) else len(ends)
