"""What a codec's quick way gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl


class Parsed(NamedTuple):
    """Carrier columns of the rows `taken` (places in the batch, ascending); all other rows must be read alone."""

    frame: pl.DataFrame
    taken: npt.NDArray[np.int64]
