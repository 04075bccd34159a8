"""The columns that every row carries beside its own, and the schemas of batches.

A **batch** is a Polars DataFrame. Columns whose name begins with two underscores are ours; the language allows no such
name. All times are Int64 milliseconds since the epoch, UTC.

| column | on | is |
|---|---|---|
| `__time` | all rows | event time; a window row has `window_end - 1` |
| `__id` | all rows | the event's id as text (null until `Reorder` numbers rows without one); a window row's key |
| `__hash` | source rows | UInt64 hash of the row's content: of differing copies the least stays |
| `__position` | source rows | Int64: source partition << 48 | offset |
| `__evidence` | feature rows | List(Struct(id String, position Int64)), at most EVIDENCE_MOST, latest last |
| `window_start`, `window_end` | window rows | Int64, half-open [start, end) |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from tocsin.model import few
from tocsin.model.types import TIMESTAMP, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TIME = "__time"
ID = "__id"
HASH = "__hash"
POSITION = "__position"
EVIDENCE = "__evidence"
WINDOW_START = "window_start"
WINDOW_END = "window_end"

EVIDENCE_MOST = 3
"""Events named in an alert: enough to look at, small enough to keep per window."""

EVIDENCE_ITEM = pl.Struct({"id": pl.String, "position": pl.Int64})
EVIDENCE_DTYPE = pl.List(EVIDENCE_ITEM)

POSITION_BITS = 48

SYSTEM: Mapping[str, pl.DataType] = {
    TIME: pl.Int64(),
    ID: pl.String(),
    HASH: pl.UInt64(),
    POSITION: pl.Int64(),
    EVIDENCE: EVIDENCE_DTYPE,
}


@dataclass(frozen=True, slots=True)
class Schema:
    """The declared columns of a batch: `system` ones from SYSTEM, then the author's `columns` with their types."""

    columns: Mapping[str, Type] = field(default_factory=dict)
    system: tuple[str, ...] = (TIME, ID)

    @property
    def physical(self) -> dict[str, pl.DataType]:
        """Column name to Polars type, in order."""
        return {name: SYSTEM[name] for name in self.system} | {n: t.physical for n, t in self.columns.items()}

    def empty(self) -> pl.DataFrame:
        """Give a batch of no rows."""
        return pl.DataFrame(schema=self.physical)

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give exactly the declared columns, in order and of the declared types; missing ones are null."""
        columns = (
            (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in self.physical.items()
        )
        return few.select(rows, columns)

    def plus(self, columns: Mapping[str, Type], system: Iterable[str] = ()) -> Schema:
        """Give this schema with more columns."""
        added = tuple(name for name in system if name not in self.system)
        return Schema({**self.columns, **columns}, self.system + added)


def least_time(rows: pl.DataFrame) -> int | None:
    """Give the least event time of a batch; None if it has no rows."""
    found: int | None = rows.get_column(TIME).min()  # type: ignore[assignment]  # of integers
    return found


def greatest_time(rows: pl.DataFrame) -> int | None:
    """Give the greatest event time of a batch; None if it has no rows."""
    found: int | None = rows.get_column(TIME).max()  # type: ignore[assignment]  # of integers
    return found


SOURCE_SYSTEM = (TIME, ID, HASH, POSITION)
FEATURE_SYSTEM = (TIME, ID, EVIDENCE)
WINDOW_COLUMNS: Mapping[str, Type] = {WINDOW_START: TIMESTAMP, WINDOW_END: TIMESTAMP}
