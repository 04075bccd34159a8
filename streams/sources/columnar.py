"""Files that hold columns: Parquet and Arrow IPC, read in batches with only the columns asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from streams.sources.frame_files import FrameFiles
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

_SCANS: Mapping[str, Callable[[Path], pl.LazyFrame]] = {
    "parquet": lambda path: pl.scan_parquet(path, glob=False, low_memory=True),
    "arrow": pl.scan_ipc,
}


class ColumnFiles(FrameFiles):
    """A list of Parquet or Arrow files as one partition."""

    def __init__(self, name: str, files: Sequence[Path], kind: str, fields: Collection[str] | None) -> None:
        super().__init__(name, files, fields)
        self._kind = kind

    def _frames(self, path: Path, skip: int, most: int) -> Iterator[pl.DataFrame]:
        try:
            scan = _SCANS[self._kind](path)
            chosen = scan.select(self._chosen(scan.collect_schema().names())).slice(skip)
            yield from chosen.collect_batches(chunk_size=most, maintain_order=True)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(f"{path} cannot be read as {self._kind}: {str(error).splitlines()[0]}") from None
