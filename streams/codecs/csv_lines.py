"""CSV records (RFC 4180): cells become texts, which `scalars.py` reads like any other text; an empty cell is null.

The columnar parser fills short rows with null in silence, so a row whose last cell is empty is looked at alone.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streams.codecs.parsed import Parsed
from streams.codecs.reasons import Bad, Reason, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from streams.sources.contract import Records

CELL_MOST = 1 << 26
"""Bytes of a cell that Python's reader takes: more than any record that a source lets through."""
csv.field_size_limit(CELL_MOST)


def parse_cells(raw: bytes, header: tuple[str, ...]) -> Mapping[str, object]:
    """Read one record into its cells by name; Bad `invalid-utf8` or `bad-csv` if it is not one of `header`'s."""
    try:
        rows = list(csv.reader([raw.decode()], strict=True))
    except UnicodeDecodeError as error:
        raise Bad(Reason.INVALID_UTF8, f"byte {error.start} of the record is not UTF-8") from None
    except csv.Error as error:
        raise Bad(Reason.BAD_CSV, str(error)) from None
    cells = rows[0] if len(rows) == 1 else []
    if len(cells) != len(header):
        raise Bad(Reason.BAD_CSV, f"{len(cells)} cells where the header has {len(header)}: {shown(raw[:80])}")
    return {name: cell or None for name, cell in zip(header, cells, strict=True)}


def parse_csv(records: Records, fields: Collection[str]) -> Parsed:
    """Parse what the columnar parser surely reads right: text columns of the fields that the header has."""
    names = [name for name in records.header if name in fields]
    frame = _parse(records) if names else None
    if frame is None:
        return Parsed(pl.DataFrame(schema=dict.fromkeys(names, pl.String)), np.zeros(0, dtype=np.int64))
    whole = frame[records.header[-1]].is_not_null()
    return Parsed(frame.filter(whole).select(names), np.flatnonzero(whole.to_numpy()).astype(np.int64))


def _parse(records: Records) -> pl.DataFrame | None:
    if b'"' in records.blob or b"\r" in records.blob.replace(b"\r\n", b"\n"):
        return None
    try:
        frame = pl.read_csv(
            records.blob, has_header=False, new_columns=list(records.header), infer_schema=False, quote_char=None
        )
    except (pl.exceptions.PolarsError, ValueError):
        return None
    return frame if frame.height == records.count and frame.width == len(records.header) else None
