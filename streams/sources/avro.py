"""Avro object container files, read block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import fastavro

from streams.codecs.avro_records import carrier_frame, read_binary, time_dtypes, without_times
from streams.codecs.reasons import Bad
from streams.sources.frame_files import FrameFiles
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from streams.codecs.avro_records import Schema


class AvroFiles(FrameFiles):
    """A list of Avro files as one partition.

    Records are read one by one in Python (some 0.2 million a second): convert large histories to Parquet.
    """

    def _frames(self, path: Path, skip: int, most: int) -> Iterator[pl.DataFrame]:  # noqa: ARG002  # blocks are as written
        try:
            with path.open("rb") as file:
                blocks = fastavro.block_reader(file)
                schema = cast("Schema", without_times(blocks.writer_schema))
                times = time_dtypes(blocks.writer_schema)
                there = [str(field["name"]) for field in cast("list[Schema]", schema["fields"])]
                names = self._chosen(there)
                for block in blocks:
                    if block.num_records > skip:
                        records = read_binary(block.bytes_, schema, block.num_records)  # type: ignore[attr-defined]  # missing in its stubs
                        yield carrier_frame(records[skip:], names, times)
                    skip = max(0, skip - block.num_records)
        except (OSError, ValueError, KeyError, EOFError, Bad) as error:
            raise SourceError(f"{path} cannot be read as avro: {error}") from None
