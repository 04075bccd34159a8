"""`for_all`: rows for every key of a table, in empty windows too.

A key is expected at an end if it is in the table as of the window's last moment, and either a window of it has had
rows since it is there, or the host has said from when on the run counts (frame `start` of the operator's state, column
`time`; empty: not said) and the end is later. So what is given depends neither on batches nor on buckets; a key that
never had a row is given only if the host has set the start. The table must hold only keys of the operator's own bucket.

A key that stays silent is expected for `horizon` ms after its last row (or the start, or the change of the table that
brought it), and again from its next row on. So neither a watermark that begins long before the first row nor one record
of the far future makes windows without end: ends are listed only where some key may be expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.lookups import GONE
from operators.windows.ending import END
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from operators.contract import State
    from operators.windows.ending import Ending

DAY = 86_400_000
START, SEEN = "start", "seen"
"""Frames of the state of an operator with `for_all`: since when the run counts, and keys that go on being expected."""
SINCE = "#since"
"""In the state of keys that go on being expected: the last end with a row, or the start (ms)."""

_PAIRS_MOST = 2_000_000
"""Pairs of key and end that are looked at together: about 100 MB."""
_ROW, _DEAD, _STRETCH, _EXPECTED = "#row", "#dead", "#stretch", "#expected"
_CARRIED, _BORN = "#carried", "#born"


class Expected(NamedTuple):
    """Keys and ends that are due a row, and the keys that go on being expected, each with SINCE."""

    wanted: pl.DataFrame
    seen: pl.DataFrame


@dataclass(frozen=True, slots=True)
class ForAll:
    """The table, its key columns in the order of the operator's, and for how long a silent key is told of, ms."""

    table: str
    keys: tuple[str, ...]
    horizon: int = DAY

    def expected(
        self, end: Ending, rows: pl.DataFrame, table: pl.DataFrame, seen: pl.DataFrame | None, start: int | None
    ) -> Expected:
        """Give all keys and ends that are due a row: those of `rows` (keys, END) and empty windows."""
        names = dict(zip(self.keys, end.by, strict=True))
        versions = table.select(pl.col(self.keys).name.map(names.__getitem__), TIME, GONE)
        none = versions.select(*end.by, pl.lit(0, dtype=pl.Int64).alias(SINCE)).clear()
        known = none if seen is None else seen
        ends = list(self._ends(end, _anchors(rows, known, versions, start)))
        if not ends or versions.is_empty():
            return Expected(rows, none)
        wanted = [rows]
        most = max(1, _PAIRS_MOST // versions.select(end.by).n_unique())
        for first in range(0, len(ends), most):
            part = ends[first : first + most]
            marked = self._marked(end, _alive(end, versions, part), rows, known, start)
            wanted.append(marked.filter(_EXPECTED).select(rows.columns))
            known = marked.filter((pl.col(END) == part[-1]) & pl.col(_EXPECTED)).select(*end.by, SINCE)
        return Expected(pl.concat(wanted).unique(), known)

    def _ends(self, end: Ending, anchors: Sequence[int]) -> Iterator[int]:
        """Give the ends of the step, ascending, at which a key may be expected."""
        last = end.done
        for anchor in anchors:
            begin = anchor - 1 if last is None else max(anchor - 1, last)
            while (at := end.grid.after(begin)) <= min(anchor + self.horizon, end.most):
                yield at
                begin = last = at

    def _marked(
        self, end: Ending, pairs: pl.DataFrame, rows: pl.DataFrame, known: pl.DataFrame, start: int | None
    ) -> pl.DataFrame:
        """Mark the pairs that are expected, with SINCE; leaving the table ends a stretch of expectation."""
        pairs = pairs.join(rows.with_columns(pl.lit(value=True).alias(_ROW)), on=[*end.by, END], how="left")
        pairs = pairs.join(known.rename({SINCE: _CARRIED}), on=end.by, how="left").sort(END)
        pairs = pairs.with_columns(pl.col(_DEAD).cast(pl.Int64).cum_sum().over(end.by).alias(_STRETCH))
        had = pl.when(pl.col(_ROW) & ~pl.col(_DEAD)).then(END).forward_fill().over(*end.by, _STRETCH)
        carried = pl.when(pl.col(_STRETCH) == 0).then(_CARRIED)
        since = pl.coalesce(had, carried)
        if start is not None:
            born = pl.max_horizontal(pl.lit(start, dtype=pl.Int64), _BORN)
            since = pl.when(pl.col(END) > start).then(pl.max_horizontal(since, born))
        near = (pl.col(END) - pl.col(SINCE) <= self.horizon).fill_null(value=False)
        return pairs.with_columns(since.alias(SINCE)).with_columns((~pl.col(_DEAD) & near).alias(_EXPECTED))


def counting_from(state: State, time: int) -> State:
    """Say in the state of an operator with `for_all` that the run counts from a time (ms) on; time before is nobody's.

    The keys that were expected are expected from then on anew.
    """
    kept = {name: frame for name, frame in state.items() if name != SEEN}
    return {**kept, START: pl.DataFrame({"time": [time]}, schema={"time": pl.Int64})}


def _anchors(rows: pl.DataFrame, known: pl.DataFrame, versions: pl.DataFrame, start: int | None) -> list[int]:
    """Give the moments from which on keys are expected, ascending."""
    found = [rows.get_column(END), known.get_column(SINCE)]
    if start is not None:
        found.append(versions.get_column(TIME).clip(lower_bound=start))
    parts = [part.rename("at").unique() for part in found]
    return pl.concat(parts).unique().sort().to_list()


def _alive(end: Ending, versions: pl.DataFrame, ends: Sequence[int]) -> pl.DataFrame:
    """Give every key of the table at every end, whether it is not in the table then, and since when its row holds."""
    pairs = versions.select(end.by).unique().join(pl.DataFrame({END: ends}, schema={END: pl.Int64}), how="cross")
    found = pairs.with_columns((pl.col(END) - 1).alias("#at")).sort("#at")
    held = versions.with_columns(pl.col(TIME).alias(_BORN)).sort(TIME)
    found = found.join_asof(held, left_on="#at", right_on=TIME, by=list(end.by), check_sortedness=False)
    return found.select(*end.by, END, _BORN, pl.col(GONE).fill_null(value=True).alias(_DEAD))
