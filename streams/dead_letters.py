"""Dead letters: records that were not taken, with reason, position and raw bytes; nothing of them is in any log.

Raw bytes hold identifiers of persons as they came: the folder has the protection of the source (semantics 22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.codecs.reasons import Dead

DEAD: Mapping[str, pl.DataType] = {
    "stream": pl.String(),
    "partition": pl.Int64(),
    "offset": pl.Int64(),
    "reason": pl.String(),
    "field": pl.String(),
    "detail": pl.String(),
    "time": pl.Int64(),
    "raw": pl.Binary(),
}
"""A dead letter: where it was, why it died, the field ("" for the whole record), its event time if that decodes."""


def dead_frame(stream: str, partition: int, letters: Iterable[Dead]) -> pl.DataFrame:
    """Give the dead letters of one partition as a frame by DEAD."""
    rows = [(stream, partition, *letter) for letter in letters]
    return pl.DataFrame(rows, schema=dict(DEAD), orient="row")
