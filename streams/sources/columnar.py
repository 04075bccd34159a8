"""Files that hold columns: Parquet and Arrow IPC, read in batches with only the columns asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from streams.sources.contract import Columns, Position
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

_SCANS: Mapping[str, Callable[[Path], pl.LazyFrame]] = {
    "parquet": lambda path: pl.scan_parquet(path, glob=False, low_memory=True),
    "arrow": pl.scan_ipc,
}


class ColumnFiles:
    """A list of Parquet or Arrow files as one partition."""

    format = "columns"

    def __init__(self, name: str, files: Sequence[Path], kind: str, fields: Collection[str] | None) -> None:
        self.name = name
        self._files = list(files)
        self._kind = kind
        self._fields = fields
        self._index = 0
        self._row = 0
        self._offset = 0
        self._batches: Iterator[pl.DataFrame] | None = None
        self._rest: pl.DataFrame | None = None
        self._unknown: frozenset[str] = frozenset()

    @property
    def position(self) -> Position:
        """File, row in it, and its offset over the whole list."""
        file = self._files[self._index].name if self._index < len(self._files) else ""
        return {"offset": self._offset, "file": file, "index": self._index, "row": self._row}

    def seek(self, position: Position) -> None:
        """Go on at a position; SourceError if its file is no longer where it stood in the list."""
        index = int(position["index"])
        if index < len(self._files) and self._files[index].name != position["file"]:
            raise SourceError(f"{self.name}: file {index + 1} was {position['file']}, is now {self._files[index].name}")
        self.close()
        self._index, self._row, self._offset = index, int(position["row"]), int(position["offset"])

    def close(self) -> None:
        """Let go of the open file."""
        self._batches, self._rest = None, None

    def read(self, most: int) -> Columns | None:
        """Give the next rows; SourceError if a file is not what it should be."""
        while self._index < len(self._files):
            frame = self._next(most)
            if frame is not None:
                columns = Columns(frame, self._offset, self._unknown)
                self._row += frame.height
                self._offset += frame.height
                return columns
            self.close()
            self._index, self._row = self._index + 1, 0
        return None

    def _next(self, most: int) -> pl.DataFrame | None:
        try:
            frame = self._rest if self._rest is not None else next(self._open(most), None)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise SourceError(f"{self._files[self._index]} cannot be read as {self._kind}: {reason}") from None
        if frame is None:
            return None
        self._rest = frame[most:] if frame.height > most else None
        return frame[:most]

    def _open(self, most: int) -> Iterator[pl.DataFrame]:
        if self._batches is None:
            scan = _SCANS[self._kind](self._files[self._index])
            there = scan.collect_schema().names()
            names = there if self._fields is None else [name for name in there if name in self._fields]
            self._unknown = frozenset(there) - set(names)
            # a file without any of the fields still has rows, which are dead for want of their time
            chosen = scan.select(names or there).slice(self._row)
            self._batches = iter(chosen.collect_batches(chunk_size=most, maintain_order=True))
        return self._batches
