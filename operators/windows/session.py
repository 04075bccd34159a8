"""Sessions: rows of a key join while the gap between them is less than `gap`; a session is [first, last + gap)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.windows.results import finished
from tocsin.model.rows import EVIDENCE, TIME, WINDOW_END, WINDOW_START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.contract import Instant, State
    from operators.windows.results import WindowColumns
    from tocsin.model.rows import Schema

_ALL = "#all"
_FIRST, _LAST = "#first", "#last"
_SESSION = "#session"
_OPEN = "open"
_BOUNDS = (pl.col(_FIRST).min(), pl.col(_LAST).max())


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """Aggregate rows per key and session; the row leaves at `last + gap - 1`, when the watermark is there.

    State: the open session of each key, one row each, and its bags. Keys without new rows are not merged again, but
    every step looks at all open sessions once. The closing step gives all open sessions.
    """

    name: str
    by: tuple[str, ...]
    gap: int
    window: WindowColumns
    output: Schema

    def initial(self) -> State:
        """Give the state without open sessions."""
        return {}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Put the rows to their sessions; give the sessions that have ended."""
        sessions, bags = self._joined(rows, state)
        if sessions is None:
            return Step(self.output.empty(), state, None)
        is_open = pl.lit(value=False) if instant.closing else pl.col(_LAST) + self.gap - 1 > instant.watermark
        ended, going = sessions.filter(~is_open), sessions.filter(is_open)
        kept = self._kept(going, bags)
        return Step(self._rows(ended, bags), kept, self._due(going))

    @property
    def keys(self) -> tuple[str, ...]:
        """The key's columns in state."""
        return self.by or (_ALL,)

    def _joined(self, rows: pl.DataFrame, state: State) -> tuple[pl.DataFrame | None, list[pl.DataFrame | None]]:
        """Give all sessions that are open or begin, numbered by key, and the values in their bags."""
        before = state.get(_OPEN)
        numbers = range(len(self.window.accumulators.bags))
        values = [state.get(f"bag{number}") for number in numbers]
        if rows.is_empty():
            return before, values
        prepared = self._numbered(rows, before)
        fresh = self._partial(prepared)
        keys = [*self.keys, _SESSION]
        added = [bag.partial(prepared, keys) for bag in self.window.accumulators.bags]
        if before is None:
            return fresh, list(added)
        touched = fresh.select(self.keys).unique()
        again = before.join(touched, on=self.keys, how="semi")
        own = self.window.accumulators
        merged = own.wide(own.merge(pl.concat([again, fresh]), keys, _BOUNDS))
        untouched = before.join(touched, on=self.keys, how="anti").select(merged.columns)
        both = (pl.concat([old, new]) if old is not None else new for old, new in zip(values, added, strict=True))
        return pl.concat([untouched, merged]), list(both)

    def _numbered(self, rows: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
        """Prepare the rows and number their sessions per key; the open session is number 0."""
        key = self.by or (pl.lit(0, dtype=pl.Int8).alias(_ALL),)
        prepared = self.window.accumulators.prepare(rows, [*key, TIME])
        times = prepared.select(*self.keys, TIME)
        if before is not None:
            times = pl.concat([before.select(*self.keys, pl.col(_LAST).alias(TIME)), times])
        breaks = (pl.col(TIME).diff().over(self.keys) >= self.gap).fill_null(value=False)
        broken = times.with_columns(breaks.cast(pl.Int64).alias(_SESSION))
        number = broken.select(pl.col(_SESSION).cum_sum().over(self.keys)).to_series()
        return prepared.with_columns(number.tail(prepared.height))

    def _partial(self, prepared: pl.DataFrame) -> pl.DataFrame:
        bounds = (pl.col(TIME).min().alias(_FIRST), pl.col(TIME).max().alias(_LAST))
        own = self.window.accumulators
        return own.wide(own.partial(prepared, [*self.keys, _SESSION], bounds))

    def _rows(self, ended: pl.DataFrame, bags: Sequence[pl.DataFrame | None]) -> pl.DataFrame:
        if ended.is_empty():
            return self.output.empty()
        keys = [*self.keys, _SESSION]
        own = self.window.accumulators
        values = {
            bag.column: None if rows is None else rows.join(ended, on=keys, how="semi")
            for bag, rows in zip(own.bags, bags, strict=True)
        }
        bounds = (pl.col(_FIRST).alias(WINDOW_START), (pl.col(_LAST) + self.gap).alias(WINDOW_END))
        results = self.window.results(ended.with_columns(bounds), values, keys, (WINDOW_START, WINDOW_END))
        kept = [*self.keys, WINDOW_START, WINDOW_END, *([EVIDENCE] if own.evidence else [])]
        return finished(results.select(kept).hstack(self.window.evaluate(results)), self.by, self.output)

    def _kept(self, going: pl.DataFrame, bags: Sequence[pl.DataFrame | None]) -> State:
        """Give the open sessions, each number 0 again."""
        frames = {_OPEN: going.with_columns(pl.lit(0, dtype=pl.Int64).alias(_SESSION))} if going.height else {}
        keys = [*self.keys, _SESSION]
        for number, (bag, rows) in enumerate(zip(self.window.accumulators.bags, bags, strict=True)):
            own = None if rows is None else bag.merge(rows.join(going, on=keys, how="semi"), keys)
            if own is not None and own.height:
                frames[f"bag{number}"] = own.with_columns(pl.lit(0, dtype=pl.Int64).alias(_SESSION))
        return frames

    def _due(self, going: pl.DataFrame) -> int | None:
        least = going.get_column(_LAST).min()
        return None if least is None else int(least) + self.gap - 1  # type: ignore[arg-type]  # Int64 column
