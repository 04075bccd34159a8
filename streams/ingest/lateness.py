"""Who is late: decided once, at the source, by the earlier records of the own partition (semantics 1, 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.codecs.reasons import Dead

GREATEST = "greatest"
"""The frame of the state: one row with the greatest event time so far, null before the first."""

State = Mapping[str, pl.DataFrame]


def initial() -> State:
    """Give the state before any record."""
    return state_of(None)


def state_of(greatest: int | None) -> State:
    """Give the state after records up to an event time."""
    return {GREATEST: pl.Series("time", [greatest], pl.Int64).to_frame()}


def greatest_of(state: State) -> int | None:
    """Give the greatest event time so far."""
    greatest: int | None = state[GREATEST].item()
    return greatest


def all_punctual(times: pl.Series, after: State, lateness: int) -> bool:
    """Whether surely none of the times of a batch came late; `after`: the state behind it."""
    least, greatest = times.min(), greatest_of(after)
    if times.null_count() or not isinstance(least, int) or greatest is None:
        return times.is_empty()
    return least >= greatest - lateness


def greatest_before(offsets: pl.Series, times: pl.Series, dead: Sequence[Dead], state: State) -> pl.Series:
    """Give for each row the greatest event time of all earlier records of the partition, dead ones included; or null.

    `offsets` ascend. A record's own time does not count for itself.
    """
    before = greatest_of(state)
    moved = [(letter.offset, letter.time) for letter in dead if letter.time is not None]
    if not moved:
        return _running(times, before)
    others = pl.DataFrame(moved, schema={"offset": pl.Int64, "time": pl.Int64}, orient="row")
    rows = pl.DataFrame({"offset": offsets, "time": times})
    both = pl.concat([rows.with_columns(row=True), others.with_columns(row=False)]).sort("offset", maintain_order=True)
    running = both.with_columns(_running(both["time"], before).alias("before"))
    return running.filter("row")["before"]


def _running(times: pl.Series, before: int | None) -> pl.Series:
    if before is None or times.is_empty() or times.null_count():
        greatest = times.cum_max() if before is None else times.clip(lower_bound=before).cum_max()
        return greatest.shift(1, fill_value=before).alias("before")
    earlier = np.empty(times.len(), dtype=np.int64)
    earlier[0], earlier[1:] = before, times[:-1].to_numpy()
    return pl.Series("before", np.maximum.accumulate(earlier))


def advanced(times: pl.Series, dead: Sequence[Dead], state: State) -> State:
    """Give the state after a batch."""
    before = greatest_of(state)
    candidates = [before, times.max(), *(letter.time for letter in dead)]
    greatest = max((time for time in candidates if isinstance(time, int)), default=None)
    return state if greatest == before else state_of(greatest)


def watermark_of(state: State, lateness: int) -> int | None:
    """Give the partition's watermark: the greatest event time less the lateness, less 1 ms."""
    greatest = greatest_of(state)
    return None if greatest is None else greatest - lateness - 1
