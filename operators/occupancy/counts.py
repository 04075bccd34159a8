"""Second half of occupancy, keyed by area: changes from everywhere become people, inflow, outflow and dwell per tick.

An area has a row at every tick at which somebody is in it, and one more, with 0 people, at the tick by which the last
one has gone. Then it is silent: its rows are gauges, which keep their level.

| column | is |
|---|---|
| `people` | who was last seen in the area before the tick, at most `forget` ago |
| `inflow`, `outflow` | of those, who was not there at the tick before; who was there then and is not now |
| `dwell` | mean time, up to the tick, since the event that first counted for each stay of them; ms, null for nobody |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.occupancy.stays import TICK
from operators.occupancy.ticks import Ticks
from operators.windows.identity import key_text
from tocsin.model.rows import (
    EVIDENCE,
    EVIDENCE_DTYPE,
    FEATURE_SYSTEM,
    TIME,
    WINDOW_COLUMNS,
    WINDOW_END,
    WINDOW_START,
    Schema,
)
from tocsin.model.types import DURATION, INT64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.contract import Instant, State
    from tocsin.model.types import Type

COUNTED: Mapping[str, Type] = {"people": INT64, "inflow": INT64, "outflow": INT64, "dwell": DURATION}
BEGINNING = -(2**62)
FLOWS = ("inflow", "outflow")


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The operator. `area`: the key column."""

    name: str
    area: str
    ticks: Ticks
    output: Schema

    def initial(self) -> State:
        """Give the state before any row."""
        levels = {self.area: self.output.columns[self.area].physical, "people": pl.Int64(), "since": pl.Int128()}
        return {"levels": pl.DataFrame(schema=levels), "clock": pl.DataFrame({"tick": [BEGINNING]})}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Give the rows of all ticks that are due."""
        last = self.ticks.last(instant)
        before = int(state["clock"].item())
        levels = self._levels(rows, state["levels"], before, last)
        given = self._rows(levels.filter(pl.col("people") + pl.col("__changed") > 0))
        if instant.closing:
            return Step(given, self.initial(), None)
        kept = levels.filter(pl.col("__to") == last, pl.col("people") > 0).select(state["levels"].columns)
        # Nobody anywhere: the clock may stand still, as no tick has a row.
        due = last + self.ticks.every - 1 if kept.height else None
        return Step(given, {"levels": kept, "clock": pl.DataFrame({"tick": [last]})}, due)

    def _levels(self, rows: pl.DataFrame, levels: pl.DataFrame, before: int, last: int) -> pl.DataFrame:
        """Give people and the sum of their `since` per area, from TICK to `__to`, the last tick at which they hold."""
        changes = (
            rows.with_columns((pl.col(TIME) + 1).alias(TICK))
            .group_by(self.area, TICK)
            .agg(pl.col(*FLOWS, "since").sum())
        )
        start = levels.with_columns(
            pl.lit(before, dtype=pl.Int64).alias(TICK), *(pl.lit(0, dtype=pl.Int64).alias(name) for name in FLOWS)
        )
        moved = changes.with_columns((pl.col("inflow") - pl.col("outflow")).alias("people"))
        both = pl.concat([start, moved.select(start.columns)]).sort(self.area, TICK)
        until = pl.col(TICK).shift(-1).over(self.area) - self.ticks.every
        return both.with_columns(
            pl.col("people", "since").cum_sum().over(self.area),
            until.fill_null(last).alias("__to"),
            (pl.col(TICK) > before).cast(pl.Int64).alias("__changed"),
        )

    def _rows(self, levels: pl.DataFrame) -> pl.DataFrame:
        """Lay each level out over its ticks; one that is 0 has only its first, one from before not that."""
        every = self.ticks.every
        first = pl.when(pl.col("__changed") == 1).then(TICK).otherwise(pl.col(TICK) + every)
        to = pl.when(pl.col("people") > 0).then("__to").otherwise(TICK)
        spans = levels.with_columns(pl.int_ranges(first, to + 1, every).alias(WINDOW_END))
        rows = spans.filter(pl.col(WINDOW_END).list.len() > 0).explode(WINDOW_END)
        arrived = (pl.col(WINDOW_END) == pl.col(TICK)).cast(pl.Int64)
        stayed = pl.col(WINDOW_END).cast(pl.Int128) * pl.col("people") - pl.col("since")
        told = rows.with_columns(
            (pl.col(WINDOW_END) - 1).alias(TIME),
            (pl.col(WINDOW_END) - every).alias(WINDOW_START),
            *(pl.col(name) * arrived for name in FLOWS),
            pl.when(pl.col("people") > 0).then(stayed // pl.col("people")).cast(pl.Int64).alias("dwell"),
            key_text([self.area]),
            pl.lit([], dtype=EVIDENCE_DTYPE).alias(EVIDENCE),
        )
        return self.output.conform(told).sort(TIME, "__id")


def occupancy_operator(name: str, every: int, schema: Schema) -> Occupancy:
    """Make the operator. `schema`: the output of the first half, whose first column is the area."""
    area = next(iter(schema.columns))
    columns = {area: schema.columns[area], **WINDOW_COLUMNS, **COUNTED}
    return Occupancy(name, area, Ticks(every), Schema(columns, FEATURE_SYSTEM))
