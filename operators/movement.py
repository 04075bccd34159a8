"""Movement: how far, how long and how fast since the key's last known place; fences entered and left.

Each row with a place is compared with the key's row before it, in order of (time, id), that had one and is at most
`forget` old. Added columns, null in a row without a place or such a predecessor, but for `inside` and `entered`:

| column | is |
|---|---|
| `distance` | metres, along the great circle |
| `elapsed` | milliseconds |
| `speed` | metres per second, over `elapsed` but at least over 1 ms |
| `inside` | whether the place lies in the row's fence; null without a place or fence |
| `entered`, `left` | whether the key came in or went out since the predecessor; without one it enters if it is inside |

A speed over at least one millisecond, the step of our clock, is finite: infinity would be null, null is never true, and
a card used in two cities at once must not be the one that is missed. At one place the speed is 0 however short the
time.

Weak points: a place is taken as exact, so cells that overlap look like movement; a fence is compared at rows only, so
one crossed between two rows is not seen; when a fence itself changes, those inside enter or leave with their next row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.contract import Step
from operators.expressions.division import ratio
from operators.expressions.geodesy import haversine
from operators.geometry import inside_each
from operators.grouping import taken
from operators.trailing import evidence, keyring, latest
from operators.trailing.evidence import ITEM
from operators.trailing.latest import Latest
from tocsin.model.rows import EVIDENCE, EVIDENCE_ITEM, FEATURE_SYSTEM, TIME, Schema
from tocsin.model.types import BOOLEAN, DURATION, FLOAT64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.contract import Instant, State
    from tocsin.model.types import Type

MOVED: Mapping[str, Type] = {
    "distance": FLOAT64.with_unit("m"),
    "elapsed": DURATION,
    "speed": FLOAT64.with_unit("m/s"),
}
FENCED: Mapping[str, Type] = {"inside": BOOLEAN, "entered": BOOLEAN, "left": BOOLEAN}

MS_PER_SECOND = 1000.0
INSIDE = "__inside"
ROW = "__row"
KEPT = {"__lat": pl.Float64(), "__lon": pl.Float64(), INSIDE: pl.Boolean(), ITEM: EVIDENCE_ITEM}


@dataclass(frozen=True, slots=True)
class Movement:
    """The operator of `movement`.

    `place`: the column of points. `forget`: ms after which a last place is none. `fence`: a column of polygons, or
    None.
    """

    name: str
    by: tuple[str, ...]
    place: str
    forget: int
    schema: Schema
    fence: str | None
    output: Schema

    def initial(self) -> State:
        """Give the state before any row."""
        return latest.initial({name: self.schema.columns[name].physical for name in self.by}, KEPT)

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Compare every row with its key's last place; nothing is ever due in silence."""
        known = Latest.load(state)
        placed = self._placed(rows)
        keys, slots = keyring.distinct(placed, self.by)
        codes = keyring.find(keys, known.pieces).codes
        pool = pl.concat([known.look(codes, (TIME, *KEPT), state), placed.select(TIME, *KEPT)])
        earlier = latest.predecessors(slots)
        before = taken(pool, np.where(earlier < 0, slots, keys.height + earlier))
        given = self._with_columns(rows, _compared(placed, before, self.forget), placed.get_column(ROW))
        newest = latest.last_of(placed.drop(ROW), slots, codes).select(state["latest"].columns)
        return Step(given, known.plus(newest, instant.watermark, self.forget).dump(state), None)

    def _placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give what is kept of the rows that have a place."""
        lat, lon = (pl.col(self.place).struct.field(name) for name in ("lat", "lon"))
        placed = rows.with_row_index(ROW).filter(lat.is_not_null() & lon.is_not_null())
        kept = placed.select(*self.by, TIME, ROW, evidence.single(rows.columns), lat.alias("__lat"), lon.alias("__lon"))
        return kept.with_columns(self._inside(placed, kept))

    def _inside(self, placed: pl.DataFrame, kept: pl.DataFrame) -> pl.Series:
        if self.fence is None:
            return pl.repeat(None, placed.height, dtype=pl.Boolean, eager=True).alias(INSIDE)
        lat, lon = (kept.get_column(name).to_numpy() for name in ("__lat", "__lon"))
        return inside_each(placed.get_column(self.fence), lat, lon).alias(INSIDE)

    def _with_columns(self, rows: pl.DataFrame, compared: pl.DataFrame, places: pl.Series) -> pl.DataFrame:
        """Give all rows with the columns of those that have a place, and with the evidence of both rows compared."""
        where = pl.DataFrame({ROW: places, "__at": pl.int_range(compared.height, eager=True)})
        at = rows.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW)).join(
            where, on=ROW, how="left", maintain_order="left"
        )
        found = compared.select(pl.all().gather(at.get_column("__at").cast(pl.UInt32)))
        own = rows.select(evidence.single(rows.columns)).to_series()
        count = found.select(pl.when(pl.col("elapsed").is_null()).then(1).otherwise(2)).to_series()
        lists = evidence.paired(found.get_column(ITEM), own, count)
        return self.output.conform(rows.with_columns(*found.drop(ITEM).get_columns(), lists.alias(EVIDENCE)))


def _compared(placed: pl.DataFrame, before: pl.DataFrame, forget: int) -> pl.DataFrame:
    """Give the columns of MOVED and FENCED for rows with a place, and the item of the row before."""
    both = placed.hstack(before.rename(lambda name: f"before{name}"))
    elapsed = pl.col(TIME) - pl.col(f"before{TIME}")
    distance = haversine(*(pl.col(name) for name in ("__lat", "__lon", "before__lat", "before__lon"))).alias("distance")
    was = pl.col(f"before{INSIDE}").fill_null(value=False)
    there = both.with_columns(distance, elapsed.alias("elapsed")).with_columns(
        pl.when(pl.col("elapsed") <= forget).then(pl.col("distance", "elapsed", f"before{INSIDE}", f"before{ITEM}"))
    )
    return there.select(
        "distance",
        "elapsed",
        ratio(pl.col("distance") * MS_PER_SECOND, pl.col("elapsed").clip(lower_bound=1)).alias("speed"),
        pl.col(INSIDE).alias("inside"),
        pl.when(pl.col(INSIDE).is_not_null()).then(pl.col(INSIDE) & ~was).alias("entered"),
        pl.when(pl.col(INSIDE).is_not_null()).then(~pl.col(INSIDE) & was).alias("left"),
        pl.col(f"before{ITEM}").alias(ITEM),
    )


def movement_operator(  # the words of the feature
    name: str, by: Sequence[str], place: str, forget: int, schema: Schema, fence: str | None = None
) -> Movement:
    """Make the operator; its output has the columns of the rows, MOVED, FENCED if there is a fence, FEATURE_SYSTEM."""
    added = {**MOVED, **(FENCED if fence else {})}
    output = Schema({**schema.columns, **added}, FEATURE_SYSTEM)
    return Movement(name, tuple(by), place, forget, schema, fence, output)
