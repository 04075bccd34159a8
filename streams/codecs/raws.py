"""Records as they came: for what is read alone, and for what dead and late records keep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import polars.selectors as cs

from streams.codecs.columns import carriers
from streams.sources.contract import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from streams.sources.contract import RawBatch

    Places = npt.NDArray[np.int64]


def places_of(raw: RawBatch, offsets: pl.Series) -> Places:
    """Give the places in the batch of records by their offsets (ascending)."""
    if isinstance(raw, Columns) or raw.offsets is None:
        return (offsets - raw.first).to_numpy()
    return raw.offsets.search_sorted(offsets).to_numpy().astype(np.int64)


def raw_bytes(raw: RawBatch, places: Places) -> list[bytes]:
    """Give the records at these places; those of a columnar source as JSON."""
    if not isinstance(raw, Columns):
        return [raw.at(place) for place in places.tolist()]
    frame = carriers(raw.frame[places])
    if _encodes(frame):
        encoded = frame.select(pl.struct(pl.all()).struct.json_encode().cast(pl.Binary)).to_series()
        return encoded.to_list()
    return [as_json(values) for values in frame.iter_rows(named=True)]


def keys_at(raw: RawBatch, places: Places) -> list[bytes | None]:
    """Give the keys of the messages at these places; None where there are none."""
    if isinstance(raw, Columns) or raw.key_of is None:
        return [None] * len(places)
    return [raw.key_of(place) for place in places.tolist()]


def columns_of(raw: Columns, places: Places) -> Iterator[Mapping[str, object]]:
    """Give the rows at these places one by one, as carrier values."""
    return carriers(raw.frame[places]).iter_rows(named=True)


def as_json(values: Mapping[str, object]) -> bytes:
    """Spell a row; NaN too, which may be why it is dead."""
    return json.dumps(values, default=str, ensure_ascii=False).encode()


def _encodes(frame: pl.DataFrame) -> bool:
    """Tell whether Polars can spell the columns; it makes null of NaN and cannot spell bytes at all."""
    plain = all(dtype.is_integer() or dtype in {pl.Float64, pl.String, pl.Boolean, pl.Null} for dtype in frame.dtypes)
    return plain and bool(frame.select(pl.all_horizontal(True, cs.float().is_finite().all())).item())  # noqa: FBT003  # what holds of no column at all
