"""Avro object container files, read block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import fastavro

from streams.codecs.avro_records import carrier_frame, read_binary, time_dtypes, without_times
from streams.codecs.reasons import Bad
from streams.sources.contract import Columns, Position
from streams.sources.file_list import FileCursor
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import polars as pl

    from streams.codecs.avro_records import Schema


class AvroFiles:
    """A list of Avro files as one partition.

    Records are read one by one in Python (some 0.2 million a second): convert large histories to Parquet.
    """

    format = "columns"

    def __init__(self, name: str, files: Sequence[Path], fields: Collection[str] | None) -> None:
        self.name = name
        self._fields = fields
        self._cursor = FileCursor(name, files)
        self._blocks: Iterator[pl.DataFrame] | None = None
        self._rest: pl.DataFrame | None = None
        self._unknown: frozenset[str] = frozenset()

    @property
    def position(self) -> Position:
        """File, record in it, and its offset over the whole list."""
        return self._cursor.position

    def seek(self, position: Position) -> None:
        """Go on at a position; SourceError if its file is no longer where it stood in the list."""
        self.close()
        self._cursor.seek(position)

    def close(self) -> None:
        """Let go of the open file."""
        self._blocks, self._rest = None, None

    def read(self, most: int) -> Columns | None:
        """Give the next records; SourceError if a file is not what it should be."""
        while (path := self._cursor.current) is not None:
            self._blocks = self._blocks or self._frames(path, self._cursor.place)
            frame = self._rest if self._rest is not None else next(self._blocks, None)
            if frame is not None:
                self._rest = frame[most:] if frame.height > most else None
                columns = Columns(frame[:most], self._cursor.offset, self._unknown)
                self._cursor.advance(columns.count, columns.count)
                return columns
            self.close()
            self._cursor.next_file()
        return None

    def _frames(self, path: Path, skip: int) -> Iterator[pl.DataFrame]:
        """Give the blocks of a file as carrier columns, without its first `skip` records."""
        try:
            with path.open("rb") as file:
                blocks = fastavro.block_reader(file)
                schema = cast("Schema", without_times(blocks.writer_schema))
                times = time_dtypes(blocks.writer_schema)
                there = [str(field["name"]) for field in cast("list[Schema]", schema["fields"])]
                names = [name for name in there if self._fields is None or name in self._fields] or there
                self._unknown = frozenset(there) - set(names)
                for block in blocks:
                    if block.num_records > skip:
                        records = read_binary(block.bytes_, schema, block.num_records)  # type: ignore[attr-defined]  # missing in its stubs
                        yield carrier_frame(records[skip:], names, times)
                    skip = max(0, skip - block.num_records)
        except (OSError, ValueError, KeyError, EOFError, Bad) as error:
            raise SourceError(f"{path} cannot be read as avro: {error}") from None
