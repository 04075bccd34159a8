"""The steps of a sequence: which rows can be one, and under which names their columns go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.windows.items import interleaved
from tocsin.model.rows import EVIDENCE, EVIDENCE_DTYPE, EVIDENCE_MOST, ID, POSITION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.expressions.bound import Bound
    from tocsin.model.types import Type

STEP = "__step"
"""Column of the rows read: the number of the step that a row may be."""
ITEM = "__item"


def column_of_step(step: str, column: str) -> str:
    """Name a column of a step, as rules and later steps do."""
    return f"{step}.{column}"


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step.

    `columns`: those of the rows that can be it, under their own names. `condition`: over these, and over columns of
    the steps before it under the names of `column_of_step`; None: every row. `origin`: the stream in which the ids of
    the rows name events.
    """

    name: str
    columns: Mapping[str, Type]
    condition: Bound | None = None
    origin: str = ""

    @property
    def named(self) -> dict[str, Type]:
        """The columns as they go on."""
        return {column_of_step(self.name, name): type_ for name, type_ in self.columns.items()}

    @property
    def item(self) -> str:
        """The column of the event that names the step in the evidence."""
        return column_of_step(self.name, ITEM)

    @property
    def kept(self) -> list[str]:
        """All that is kept of a row that is this step."""
        return [*self.named, self.item]

    @property
    def compares(self) -> bool:
        """Whether the condition reads steps before this one, too."""
        return self.condition is not None and bool(self.condition.columns - set(self.columns))


def evidence_item(columns: list[str]) -> pl.Expr:
    """Give the one event that names a row best: itself, or the latest one behind the row of a feature."""
    position = pl.col(POSITION) if POSITION in columns else pl.lit(None, dtype=pl.Int64)
    pair = pl.struct(pl.col(ID).alias("id"), position.alias("position"))
    if EVIDENCE not in columns:
        return pair
    return pl.when(pl.col(EVIDENCE).is_null()).then(pair).otherwise(pl.col(EVIDENCE).list.last())


def evidence_of(rows: pl.DataFrame, steps: Sequence[StepSpec]) -> pl.Series:
    """Give the events of the last steps of each row, one each, oldest first.

    An event that is behind two of them through features stands once; one that no feature could name is left out.
    """
    parts = [rows.get_column(step.item).alias(EVIDENCE) for step in steps[-EVIDENCE_MOST:]]
    if not rows.height:
        return pl.Series(EVIDENCE, [], dtype=EVIDENCE_DTYPE)
    flat = interleaved(parts)
    lists = flat.reshape((rows.height, len(parts))).arr.to_list()  # fifty times as quick as `concat_list` of structs
    if flat.null_count():
        lists = lists.list.drop_nulls()
    return lists.list.unique(maintain_order=True).cast(EVIDENCE_DTYPE)
