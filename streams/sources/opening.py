"""From `parquet:PATH` to a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.sources.columnar import ColumnFiles
from streams.sources.contract import RECORD_MOST, Source
from streams.sources.json_documents import JsonFiles
from streams.sources.lines import LineFiles
from streams.sources.listing import list_files
from tocsin.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq"),
    "arrow": (".arrow", ".ipc", ".feather"),
    "ndjson": (".ndjson", ".jsonl"),
    "csv": (".csv",),
    "json": (".json",),
    "avro": (".avro",),
}
"""Which files of a folder a scheme means."""


def open_source(uri: str, fields: Collection[str] | None = None, *, record_most: int = RECORD_MOST) -> Source:
    """Open `SCHEME:PATH`, where PATH is a file, a glob or a folder.

    `fields`: the names to read where a format can leave out the others. `record_most`: bytes of one text record beyond
    which it is a dead letter. SourceError says what is wrong with the word, the path or the file, and what was probably
    meant.
    """
    scheme, colon, path = uri.partition(":")
    if not colon or not path:
        raise SourceError(f"{uri!r} names no source: expected SCHEME:PATH, with SCHEME one of {', '.join(SUFFIXES)}")
    if scheme not in SUFFIXES:
        only = ", ".join(SUFFIXES) + did_you_mean(scheme, SUFFIXES, 0.4)
        raise SourceError(f"{uri!r}: there is no source {scheme!r}, only {only}")
    files = list_files(path, SUFFIXES[scheme])
    if scheme in {"parquet", "arrow"}:
        return ColumnFiles(uri, files, scheme, fields)
    if scheme == "avro":
        from streams.sources.avro import AvroFiles  # noqa: PLC0415  # fastavro takes long to load, and few need it

        return AvroFiles(uri, files, fields)
    if scheme == "json":
        return JsonFiles(uri, files, record_most=record_most)
    return LineFiles(uri, files, "csv" if scheme == "csv" else "json", record_most=record_most)
