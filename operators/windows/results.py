"""Rows of windows: the results of each window's calls side by side, and the author's columns made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.windows.identity import key_text
from operators.windows.ids import TEXTS
from tocsin.model.rows import FEATURE_SYSTEM, TIME, WINDOW_COLUMNS, WINDOW_END, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operators.expressions.bound import AggregateCall, Aggregated
    from operators.windows.accumulators import Accumulators
    from operators.windows.ids import Form


@dataclass(frozen=True, slots=True)
class WindowColumns:
    """The author's columns of one window; `accumulators` are of its calls only."""

    accumulators: Accumulators
    columns: Mapping[str, Aggregated]

    def results(
        self,
        scalars: pl.DataFrame,
        bags: Mapping[str, pl.DataFrame | None],
        keys: Sequence[str],
        also: Sequence[str] = (),
        *,
        evidence: bool = True,
        form: Form = TEXTS,
    ) -> pl.DataFrame:
        """Give the results of all calls, one row per group of `scalars` (merged partials), and the columns `also`.

        `form`: of the ids in the partials.
        """
        rows = self.accumulators.finalise(scalars, [*keys, *also], evidence=evidence, form=form)
        for bag in self.accumulators.bags:
            values = bags.get(bag.column)
            if values is None:
                rows = rows.with_columns(_missing(bag.calls))
            else:
                answers = bag.results(bag.merge(values, keys), keys, bag.calls)
                rows = rows.join(answers, on=keys, how="left")
        return rows

    def nothing(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Give the results of empty windows, one row per row of `keys`."""
        return keys.with_columns(_missing(call for column in self.columns.values() for call in column.calls))

    def evaluate(self, results: pl.DataFrame) -> pl.DataFrame:
        """Give the author's columns from the results of the calls; counts of nothing are 0."""
        complete = self.accumulators.complete(results)
        return complete.select(
            column.expr.cast(column.type.physical).alias(name) for name, column in self.columns.items()
        )


def _missing(calls: Iterable[AggregateCall]) -> list[pl.Expr]:
    types = {call.text: call.type for call in calls}
    return [pl.lit(None, dtype=type_.physical).alias(text) for text, type_ in types.items()]


def window_schema(by: Sequence[str], windows: Iterable[Mapping[str, Aggregated]], schema: Schema) -> Schema:
    """Give the schema of window rows: key, window, columns, in that order."""
    key = {name: schema.columns[name] for name in by}
    columns = {name: column.type for window in windows for name, column in window.items()}
    return Schema({**key, **WINDOW_COLUMNS, **columns}, FEATURE_SYSTEM)


def finished(rows: pl.DataFrame, by: Sequence[str], output: Schema) -> pl.DataFrame:
    """Add time and id to rows that have WINDOW_START and WINDOW_END, and put them in order of time."""
    return in_order(output.conform(rows.with_columns((pl.col(WINDOW_END) - 1).alias(TIME), key_text(by))))


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Put rows in order of time, which they mostly are in."""
    return rows if rows.get_column(TIME).is_sorted() else rows.sort(TIME, maintain_order=True)


def side_by_side(
    base: pl.DataFrame, windows: Sequence[WindowColumns], results: Sequence[pl.DataFrame | None], keys: Sequence[str]
) -> pl.DataFrame:
    """Give a row per row of `base` (keys, evidence) with the columns of all windows; None: the window is empty."""
    wanted = base.select(keys)
    columns = [base]
    for window, own in zip(windows, results, strict=True):
        if own is None:
            columns.append(window.evaluate(window.nothing(wanted)))
        else:
            columns.append(window.evaluate(_for(wanted, own, keys)))
    return pl.concat(columns, how="horizontal")


def _for(wanted: pl.DataFrame, results: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Put results in the order of the wanted keys; they mostly are already."""
    if wanted.height == results.height and wanted.equals(results.select(keys)):
        return results
    return wanted.join(results, on=list(keys), how="left", maintain_order="left")
