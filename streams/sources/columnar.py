"""Files that hold columns: Parquet and Arrow IPC, read in batches with only the columns asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from streams.sources.contract import Columns, Position
from streams.sources.file_list import FileCursor
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
        self._kind = kind
        self._fields = fields
        self._cursor = FileCursor(name, files)
        self._batches: Iterator[pl.DataFrame] | None = None
        self._rest: pl.DataFrame | None = None
        self._unknown: frozenset[str] = frozenset()

    @property
    def position(self) -> Position:
        """File, row in it, and its offset over the whole list."""
        return self._cursor.position

    def seek(self, position: Position) -> None:
        """Go on at a position; SourceError if its file is no longer where it stood in the list."""
        self.close()
        self._cursor.seek(position)

    def close(self) -> None:
        """Let go of the open file."""
        self._batches, self._rest = None, None

    def read(self, most: int) -> Columns | None:
        """Give the next rows; SourceError if a file is not what it should be."""
        while (path := self._cursor.current) is not None:
            frame = self._next(path, most)
            if frame is not None:
                columns = Columns(frame, self._cursor.offset, self._unknown)
                self._cursor.advance(frame.height, frame.height)
                return columns
            self.close()
            self._cursor.next_file()
        return None

    def _next(self, path: Path, most: int) -> pl.DataFrame | None:
        try:
            frame = self._rest if self._rest is not None else next(self._open(path, most), None)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(f"{path} cannot be read as {self._kind}: {str(error).splitlines()[0]}") from None
        if frame is None:
            return None
        self._rest = frame[most:] if frame.height > most else None
        return frame[:most]

    def _open(self, path: Path, most: int) -> Iterator[pl.DataFrame]:
        if self._batches is None:
            scan = _SCANS[self._kind](path)
            there = scan.collect_schema().names()
            names = there if self._fields is None else [name for name in there if name in self._fields]
            self._unknown = frozenset(there) - set(names)
            # a file without any of the fields still has rows, which are dead for want of their time
            chosen = scan.select(names or there).slice(self._cursor.place)
            self._batches = iter(chosen.collect_batches(chunk_size=most, maintain_order=True))
        return self._batches
