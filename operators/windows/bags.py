"""Aggregates over all distinct values of a window: count(distinct x), exact quantiles, top_k.

A bag is rows (key, pane, value, count), merged by adding counts. Calls with the same argument and filter share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.division import over
from operators.windows.scaling import from_real, steps
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.expressions.bound import AggregateCall
    from tocsin.model.types import Type

VALUE = "#value"
TIMES = "#times"


@dataclass(frozen=True, slots=True)
class Bag:
    """The values of one prepared column, and the calls that are answered from them."""

    column: str
    type: Type
    calls: tuple[AggregateCall, ...]

    def partial(self, prepared: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
        """Give each distinct value of each group, with how often it occurs; nulls are ignored."""
        values = prepared.lazy().select(*keys, pl.col(self.column).alias(VALUE)).drop_nulls(VALUE)
        return values.group_by(*keys, VALUE).agg(pl.len().cast(pl.Int64).alias(TIMES)).collect()

    @staticmethod
    def merge(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
        """Add up the counts of the same value."""
        return rows.group_by(*keys, VALUE).agg(pl.col(TIMES).sum())

    def results(self, merged: pl.DataFrame, keys: Sequence[str], calls: Sequence[AggregateCall]) -> pl.DataFrame:
        """Give one row per group with a column for each of `calls`, named by its text."""
        rows = merged
        if any(call.function == "quantile" for call in calls):
            rows = rows.sort(VALUE)
        if any(call.function == "top_k" for call in calls):
            rows = rows.with_columns(_text(pl.col(VALUE), self.type).alias("#text"))
        return rows.group_by(*keys).agg(self._result(call) for call in calls)

    def _result(self, call: AggregateCall) -> pl.Expr:
        if call.function == "top_k":
            most = pl.col("#text").sort_by([TIMES, "#text"], descending=[True, False]).head(call.most)
            return most.alias(call.text)
        result = pl.len() if call.function == "count_distinct" else self._quantile(call)
        return result.cast(call.type.physical).alias(call.text)

    def _quantile(self, call: AggregateCall) -> pl.Expr:
        """Interpolate between the two values around rank q (n - 1): percentile_cont, DuckDB's quantile_cont."""
        up_to = pl.col(TIMES).cum_sum()
        rank = call.quantile * (pl.col(TIMES).sum() - 1)
        low = pl.col(VALUE).filter(up_to > rank.floor()).first().cast(pl.Float64)
        high = pl.col(VALUE).filter(up_to > rank.ceil()).first().cast(pl.Float64)
        value = low + (high - low) * (rank - rank.floor())
        return from_real(over(value, self._per_unit), call.type)

    @property
    def _per_unit(self) -> float:
        """Floats lie in bags as they are; decimals as their integers."""
        return 1.0 if self.type.kind is Kind.FLOAT64 else steps(self.type)


def _text(value: pl.Expr, type_: Type) -> pl.Expr:
    """Give the value as text, as an author would write it."""
    if type_.kind is not Kind.DECIMAL or not type_.scale:
        return value.cast(pl.String)
    digits = value.abs().cast(pl.String).str.zfill(type_.scale + 1)
    sign = pl.when(value < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    return sign + digits.str.head(-type_.scale) + "." + digits.str.tail(type_.scale)
