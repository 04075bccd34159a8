"""A list of files as one partition whose files are read as frames of columns: Parquet, Arrow, Avro."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from streams.sources.contract import Columns, Position
from streams.sources.file_list import FileCursor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import polars as pl


class FrameFiles(ABC):
    """Gives the frames of one file after the other, cut to what was asked for; how a file is read, formats say."""

    format = "columns"

    def __init__(self, name: str, files: Sequence[Path], fields: Collection[str] | None) -> None:
        self.name = name
        self._fields = fields
        self._cursor = FileCursor(name, files)
        self._open: Iterator[pl.DataFrame] | None = None
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
        self._open, self._rest = None, None

    def read(self, most: int) -> Columns | None:
        """Give the next rows; SourceError if a file is not what it should be."""
        while (path := self._cursor.current) is not None:
            self._open = self._open or self._frames(path, self._cursor.place, most)
            frame = self._rest if self._rest is not None else next(self._open, None)
            if frame is not None:
                self._rest = frame[most:] if frame.height > most else None
                columns = Columns(frame[:most], self._cursor.offset, self._unknown)
                self._cursor.advance(columns.count, columns.count)
                return columns
            self.close()
            self._cursor.next_file()
        return None

    @abstractmethod
    def _frames(self, path: Path, skip: int, most: int) -> Iterator[pl.DataFrame]:
        """Give the rows of a file, without its first `skip`, in frames of about `most`; SourceError as `read`."""

    def _chosen(self, there: Sequence[str]) -> list[str]:
        """Give the names to read, and note the others.

        A file without any of the fields still has rows, which are dead for want of their time: then all are read.
        """
        names = [name for name in there if self._fields is None or name in self._fields]
        self._unknown = frozenset(there) - set(names)
        return names or list(there)
