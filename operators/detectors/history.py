"""What `baseline` remembers: values of each key and season cell, suspects among them, and the baselines made of them.

All of it depends on a key's own rows only: a baseline is made when its key has a row, never because another key had
one.

| frame | columns |
|---|---|
| `run:N` | key, time, cell, value, flagged |
| `keys` | key, since (first value without a silence longer than the history), block (of its baseline) |
| `baselines` | key, cell, median, spread, seen: only those that may be shown |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.detectors.robust import MEDIAN, SEEN, SPREAD, spreads
from operators.windows import runs
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from operators.detectors.contract import Setting

CELL, VALUE, FLAGGED, BLOCK = "#cell", "#value", "#flagged", "#block"
_SINCE, _SHIFTED = "#since", "#shifted"

_MOST = 0.5

Frames = dict[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class History:
    """Reads and replaces the frames of a state that is a copy of the operator's."""

    keys: tuple[str, ...]
    setting: Setting

    def baselines(self, state: Frames) -> pl.DataFrame | None:
        """Give the baselines that may be shown, by key and cell."""
        return state.get("baselines")

    def learn(self, state: Frames, judged: pl.DataFrame) -> None:
        """Remember the values of these rows, suspects as such."""
        columns = [*self.keys, TIME, CELL, VALUE, FLAGGED]
        self._put(state, [*runs.load(state, "run"), judged.select(columns).drop_nulls(VALUE)])

    def early(self, state: Frames, rows: pl.DataFrame) -> int:
        """Give how many rows, from the first on, lie in blocks in which no key can be as old as the history.

        They have no baselines, and none of them is a suspect: so they need no blocks.
        """
        known = state.get("keys")
        seen = [run.get_column(TIME) for run in [*runs.load(state, "run"), rows]]
        seen += [] if known is None else [known.get_column(_SINCE).drop_nulls()]
        first = min(least for times in seen if isinstance(least := times.min(), int))
        return int((rows.get_column(BLOCK) < first + self.setting.whole("history")).sum())

    def begin(self, state: Frames, rows: pl.DataFrame) -> None:
        """Note the keys of early rows, each as of its last block."""
        own = [part.select(*self.keys, TIME) for part in [*runs.load(state, "run"), rows.drop_nulls(VALUE)]]
        last = rows.group_by(self.keys).agg(pl.col(BLOCK).max())
        before = pl.concat(own).join(last, on=self.keys).filter(pl.col(TIME) < pl.col(BLOCK))
        first = before.group_by(self.keys).agg(pl.col(TIME).min().alias(_SINCE))
        fresh = last.join(first, on=self.keys, how="left").select(*self.keys, _SINCE, BLOCK)
        known = state.get("keys", fresh.clear())
        state["keys"] = pl.concat([known.join(fresh, on=self.keys, how="anti"), fresh])

    def refresh(self, state: Frames, rows: pl.DataFrame, block: int) -> None:
        """Make the baselines of the keys that have their first row in this block; drop what nothing can need."""
        fresh = rows.select(self.keys).unique()
        known = state.get("keys")
        if known is not None:
            fresh = fresh.join(known.filter(pl.col(BLOCK) == block), on=self.keys, how="anti")
        if fresh.is_empty():
            return
        since = block - self.setting.whole("history")
        past = [run.filter(pl.col(TIME) >= since) for run in runs.load(state, "run")]
        past = [run for run in past if run.height]
        if not past:
            self._put(state, [])
            state.pop("baselines", None)
            self._know(state, fresh.with_columns(pl.lit(None, dtype=pl.Int64).alias(_SINCE)), block)
            return
        own = pl.concat(run.join(fresh, on=self.keys, how="semi") for run in past)
        kept = self._accepted(own, block)
        if kept is not own:
            past = [*(run.join(fresh, on=self.keys, how="anti") for run in past), kept]
        self._put(state, past)
        first = own.group_by(self.keys).agg(pl.col(TIME).min().alias(_SINCE))
        self._know(state, fresh.join(first, on=self.keys, how="left"), block)
        self._make(state, kept, fresh, block)

    def _accepted(self, own: pl.DataFrame, block: int) -> pl.DataFrame:
        """Where most recent values of a cell are suspects, take them as the level and forget older ones."""
        if not own.get_column(FLAGGED).any():
            return own
        recent = pl.col(TIME) >= block - self.setting.whole("accept")
        groups = [*self.keys, CELL]
        shifted = own.filter(recent).group_by(groups).agg((pl.col(FLAGGED).mean() > _MOST).alias(_SHIFTED))
        marked = own.join(shifted, on=groups, how="left", maintain_order="left")
        marked = marked.with_columns(pl.col(_SHIFTED).fill_null(value=False))
        taken = marked.filter(recent | ~pl.col(_SHIFTED))
        return taken.with_columns(pl.col(FLAGGED) & ~pl.col(_SHIFTED)).drop(_SHIFTED)

    def _know(self, state: Frames, fresh: pl.DataFrame, block: int) -> None:
        """Bring `keys` up to date: a key that had values within the history keeps its age."""
        fresh = fresh.with_columns(pl.lit(block, dtype=pl.Int64).alias(BLOCK))
        known = state.get("keys")
        if known is not None:
            before = known.select(*self.keys, pl.col(_SINCE).alias("#before"))
            aged = fresh.join(before, on=self.keys, how="left")
            since = pl.when(pl.col(_SINCE).is_not_null()).then(pl.min_horizontal(_SINCE, "#before"))
            fresh = aged.with_columns(since.alias(_SINCE)).drop("#before")
            reach = self.setting.whole("history") + self.setting.whole("refresh")
            others = known.filter(pl.col(BLOCK) >= block - reach).join(fresh, on=self.keys, how="anti")
            fresh = pl.concat([others, fresh.select(others.columns)])
        state["keys"] = fresh

    def _make(self, state: Frames, kept: pl.DataFrame, fresh: pl.DataFrame, block: int) -> None:
        known = kept.filter(~pl.col(FLAGGED))
        made = spreads(known, [*self.keys, CELL], VALUE, self.setting.number("floor"))
        old_enough = pl.col(_SINCE) <= block - self.setting.whole("history")
        aged = state["keys"].filter(old_enough)
        shown = made.filter(pl.col(SEEN) >= self.setting.whole("least")).join(aged, on=self.keys, how="semi")
        shown = shown.select(*self.keys, CELL, MEDIAN, SPREAD, SEEN)
        before = state.get("baselines")
        if before is not None:
            others = before.join(fresh, on=self.keys, how="anti").join(state["keys"], on=self.keys, how="semi")
            shown = pl.concat([others, shown])
        state["baselines"] = shown

    @staticmethod
    def _put(state: Frames, values: list[pl.DataFrame]) -> None:
        for name in [name for name in state if name.startswith("run:")]:
            del state[name]
        state |= runs.store(runs.compact(values, lambda run: run), "run")
