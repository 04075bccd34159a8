"""`for_all`: rows for every key of a table, in empty windows too.

A key is expected at an end if it is in the table as of the window's last moment, and either a window of it has had
rows since it is there, or the host has said from when on the run counts (frame `start` of the operator's state, column
`time`; empty: not said). So what is given depends neither on batches nor on buckets; a key that never had a row is
given only if the host has set the start. The table must hold only keys of the operator's own bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.lookups import GONE
from operators.windows.ending import END
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from operators.windows.ending import Ending
    from operators.windows.grids import Grid

_ROW, _SEEN, _DEAD, _STRETCH, _EXPECTED = "#row", "#seen", "#dead", "#stretch", "#expected"


class Expected(NamedTuple):
    """Keys and ends that are due a row, and the keys that go on being expected."""

    wanted: pl.DataFrame
    seen: pl.DataFrame


@dataclass(frozen=True, slots=True)
class ForAll:
    """The table, and its key columns in the order of the operator's."""

    table: str
    keys: tuple[str, ...]

    def expected(
        self, end: Ending, rows: pl.DataFrame, table: pl.DataFrame, seen: pl.DataFrame | None, start: int | None
    ) -> Expected:
        """Give all keys and ends that are due a row: those of `rows` (keys, END) and empty windows."""
        ends = _ends(end, rows, start)
        names = dict(zip(self.keys, end.by, strict=True))
        versions = table.select(pl.col(self.keys).name.map(names.__getitem__), TIME, GONE)
        if not ends or versions.is_empty():
            return Expected(rows, pl.DataFrame(schema={name: versions.schema[name] for name in end.by}))
        pairs = self._alive(end, versions, ends).join(
            rows.with_columns(pl.lit(value=True).alias(_ROW)), on=[*end.by, END], how="left"
        )
        known = pairs.select(end.by).clear() if seen is None else seen
        pairs = pairs.join(known.with_columns(pl.lit(value=True).alias(_SEEN)), on=end.by, how="left").sort(END)
        marked = _expectations(pairs, end, start)
        wanted = pl.concat([rows, marked.filter(_EXPECTED).select(rows.columns)]).unique()
        last = (pl.col(END) == ends[-1]) & pl.col(_EXPECTED)
        return Expected(wanted, marked.filter(last).select(end.by))

    @staticmethod
    def _alive(end: Ending, versions: pl.DataFrame, ends: list[int]) -> pl.DataFrame:
        """Give every key of the table at every end, and whether it is not in the table then."""
        pairs = versions.select(end.by).unique().join(pl.DataFrame({END: ends}, schema={END: pl.Int64}), how="cross")
        found = pairs.with_columns((pl.col(END) - 1).alias("#at")).sort("#at")
        found = found.join_asof(
            versions.sort(TIME), left_on="#at", right_on=TIME, by=list(end.by), check_sortedness=False
        )
        return found.select(*end.by, END, pl.col(GONE).fill_null(value=True).alias(_DEAD))


def _expectations(pairs: pl.DataFrame, end: Ending, start: int | None) -> pl.DataFrame:
    """Mark the pairs that are expected; leaving the table ends a stretch of expectation."""
    stretch = pl.col(_DEAD).cast(pl.Int64).cum_sum().over(end.by)
    pairs = pairs.with_columns(stretch.alias(_STRETCH))
    had = pl.col(_ROW).fill_null(value=False) & ~pl.col(_DEAD)
    since = had.cast(pl.Int8).cum_max().over(*end.by, _STRETCH) > 0
    carried = pl.col(_SEEN).fill_null(value=False) & (pl.col(_STRETCH) == 0)
    counts = pl.lit(value=False) if start is None else pl.col(END) > start
    return pairs.with_columns((~pl.col(_DEAD) & (since | carried | counts)).alias(_EXPECTED))


def _ends(end: Ending, rows: pl.DataFrame, start: int | None) -> list[int]:
    """Give the ends of the step, from the first that can be expected."""
    if end.done is not None:
        return _after(end.grid, end.done, end.most)
    begins = [] if start is None else [end.grid.after(start) - 1]
    if rows.height:
        begins.append(int(rows.get_column(END).min()) - 1)  # type: ignore[arg-type]  # Int64 column
    return _after(end.grid, min(begins), end.most) if begins else []


def _after(grid: Grid, begin: int, most: int) -> list[int]:
    ends = []
    at = grid.after(begin)
    while at <= most:
        ends.append(at)
        at = grid.after(at)
    return ends
