"""Where a source stands in a list of files; shared by all sources that read files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from streams.sources.contract import Position


@dataclass(slots=True)
class FileCursor:
    """A place in a list of files that is one partition: file, place in it (a byte or a row), offset over all."""

    name: str
    files: Sequence[Path]
    index: int = 0
    place: int = 0
    offset: int = 0

    @property
    def current(self) -> Path | None:
        """The file being read; None behind the last one."""
        return self.files[self.index] if self.index < len(self.files) else None

    @property
    def position(self) -> Position:
        """The place as JSON."""
        file = self.current.name if self.current else ""
        return {"offset": self.offset, "file": file, "index": self.index, "place": self.place}

    def seek(self, position: Position) -> None:
        """Go to a place; SourceError if its file is no longer where it stood in the list."""
        index = int(position["index"])
        if index > len(self.files) or (index < len(self.files) and self.files[index].name != position["file"]):
            now = self.files[index].name if index < len(self.files) else "not there"
            raise SourceError(f"{self.name}: file {index + 1} was {position['file'] or 'the last'}, is now {now}")
        self.index, self.place, self.offset = index, int(position["place"]), int(position["offset"])

    def advance(self, place: int, records: int) -> None:
        """Move on within the file."""
        self.place += place
        self.offset += records

    def next_file(self) -> None:
        """Move to the beginning of the next file."""
        self.index, self.place = self.index + 1, 0
