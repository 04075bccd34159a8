"""Which functions aggregate: their names, signatures and meanings."""

from __future__ import annotations

import re
from typing import NamedTuple

PERCENTILE = re.compile(r"p(\d{1,2}|99\d)", re.IGNORECASE)


class Aggregate(NamedTuple):
    """How an aggregate is written, what it means, and an example."""

    signature: str
    meaning: str
    example: str


AGGREGATES = {
    "count": Aggregate("count() / count(x) / count(distinct x)", "rows; those where x is not null; different x",
                       "count(distinct terminal)"),
    "sum": Aggregate("sum(x)", "exact for int64 and decimal; a float64 in steps of its resolution", "sum(amount)"),
    "avg": Aggregate("avg(x)", "the mean, computed once from the exact sum", "avg(volt)"),
    "min": Aggregate("min(x)", "the least", "min(used)"),
    "max": Aggregate("max(x)", "the greatest", "max(at)"),
    "first": Aggregate("first(x)", "of the first row by (time, id), null or not", "first(cell)"),
    "last": Aggregate("last(x)", "of the last row, null or not", "last(volt)"),
    "previous": Aggregate("previous(x)", "of the row before the last", "previous(cell.community)"),
    "arg_min": Aggregate("arg_min(x, y)", "the x of the row with the least y", "arg_min(cell, volt)"),
    "arg_max": Aggregate("arg_max(x, y)", "the x of the row with the greatest y", "arg_max(cell, heat)"),
    "stddev_pop": Aggregate("stddev_pop(x)", "the deviation of all rows", "stddev_pop(volt)"),
    "stddev_samp": Aggregate("stddev_samp(x)", "the deviation estimated from a sample; null for one row",
                             "stddev_samp(volt)"),
    "pNN": Aggregate("p50(x) / p95(x) / p999(x)", "the quantile, linear between two values", "p95(latency)"),
    "top_k": Aggregate("top_k(x, k)", "the k most frequent texts, most frequent first", "top_k(callee, 3)"),
    "slope": Aggregate("slope(x, 'min')", "least-squares rise over event time per ms, s, min, h or d",
                       "slope(heat, 'min')"),
}  # fmt: skip


def is_aggregate(name: str) -> bool:
    """Whether a function aggregates."""
    return name.lower() in AGGREGATES.keys() - {"pNN"} or PERCENTILE.fullmatch(name) is not None
