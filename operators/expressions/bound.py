"""What parsing and typing an expression gives: plain data that operators evaluate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tocsin.model.types import Type


@dataclass(frozen=True, slots=True)
class Lookup:
    """One look-up in a table as of the row's time, done before the expression is evaluated.

    `keys` are expressions over columns that are there by then. `into` maps a field of the table to the column it
    becomes (`{"model": "rack.model"}`); `found` names a Boolean column that says whether the key is in the table, ""
    for none. `keys` may be fewer than the table's key only for `each`, which finds all rows of the first part.
    """

    table: str
    keys: tuple[pl.Expr, ...]
    into: Mapping[str, str] = field(default_factory=dict)
    found: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """A typed scalar expression.

    `columns`: the columns of the row (not of look-ups) that it reads. `lookups`: in the order to do them. `text`: the
    canonical SQL, which the version of a rule hashes.
    """

    expr: pl.Expr
    type: Type
    columns: frozenset[str]
    lookups: tuple[Lookup, ...]
    text: str


AggregateFunction = Literal[
    "count",
    "count_distinct",
    "sum",
    "avg",
    "min",
    "max",
    "first",
    "last",
    "previous",
    "arg_min",
    "arg_max",
    "stddev_pop",
    "stddev_samp",
    "quantile",
    "top_k",
    "slope",
]


@dataclass(frozen=True, slots=True)
class AggregateCall:
    """One aggregate over the rows of a window.

    `argument`: None for `count()`. `order`: the second argument of arg_min/arg_max. `where`: the filter, a Boolean
    expression; only rows where it is true count. `quantile`: 0..1 for pNN. `most`: k of top_k. `per_ms`: for slope, the
    milliseconds of its time unit. Nulls of `argument` are ignored, as in SQL (for arg_min/arg_max: nulls of `order`);
    `first`, `last` and `previous` take the row's value as it is, null or not. `previous` is the value of the row before
    the last one in the window, null if there is none. The sum, min, max, avg … of nothing is null; the count is 0.
    """

    function: AggregateFunction
    type: Type
    text: str
    argument: Bound | None = None
    order: Bound | None = None
    where: Bound | None = None
    quantile: float = 0.0
    most: int = 0
    per_ms: int = 1


@dataclass(frozen=True, slots=True)
class Aggregated:
    """A column of a window: aggregate calls, and an expression over their results.

    `expr` reads each call's result from a column named by the call's `text` (with look-ups and other columns of the key
    not allowed). Calls with the same text are one accumulator, also across columns of a feature.
    """

    calls: tuple[AggregateCall, ...]
    expr: pl.Expr
    type: Type
    text: str
