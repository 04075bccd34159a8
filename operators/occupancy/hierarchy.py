"""Areas and all that they are part of, as of a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.bound import Lookup
from operators.lookups import look_up
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS_MOST = 32
"""Deeper than any hierarchy of places."""
ELEMENT = "__element"
_PARENT = "__parent"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A table that names the parent of each area, by its key."""

    table: str
    key: str
    parent: str

    def chains(self, areas: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Give one row per area and ELEMENT of its chain: itself, its parent, and so on.

        `areas`: distinct rows with `__area` and TIME, as of which the table is read. A cycle ends where it closes.
        """
        lookup = Lookup(self.table, (pl.col(ELEMENT),), {self.parent: _PARENT})
        level = areas.with_columns(pl.col("__area").alias(ELEMENT)).sort(TIME)
        found = [level]
        for _ in range(LEVELS_MOST):
            above = look_up(level, (lookup,), tables, {self.table: (self.key,)})
            level = above.select(*areas.columns, pl.col(_PARENT).alias(ELEMENT)).drop_nulls(ELEMENT)
            level = level.join(pl.concat(found), on=level.columns, how="anti", maintain_order="left")
            if level.is_empty():
                break
            found.append(level)
        return pl.concat(found)


def alone(areas: pl.DataFrame) -> pl.DataFrame:
    """Give each area as its own and only ELEMENT: there is no hierarchy."""
    return areas.with_columns(pl.col("__area").alias(ELEMENT))
