"""`sinks` of a topology: kind, target, and `where` over the transition log.

`where` sees an alert's `rule`, `kind`, `level` (compared as blue < yellow < orange < red), `labels.NAME` and
`entity.NAME`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.scope import Constant, Scope
from tocsin.compiler.plan import SinkPlan
from tocsin.model.alerts import Level
from tocsin.model.types import BOOLEAN, INT64, STRING, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.report import Report
    from tocsin.language.model import SinkWord

_PLAIN: Mapping[str, Type] = {"level": INT64, "rule": STRING, "kind": STRING}
_NESTED = re.compile(r"\b(labels|entity)\.([A-Za-z_][A-Za-z0-9_-]*)")
_LEVELS = {level.name.lower(): int(level) for level in Level}


def sink_plan(word: SinkWord, report: Report) -> SinkPlan:
    """Type one sink."""
    if word.at_most is not None:
        what = "limits of how much a receiver gets are not part of this version"
        report.add(word.at_most, "not-yet", what, expected="`where:` to choose what it gets")
    where = None if word.where is None else _where(word, report)
    return SinkPlan(str(word.name), str(word.kind), str(word.target), where)


def _where(word: SinkWord, report: Report) -> pl.Expr | None:
    if word.where is None:
        return None
    nested = {f"{column}.{name}": (column, name) for column, name in _NESTED.findall(word.where)}
    columns = {**_PLAIN, **dict.fromkeys(nested, STRING)}
    levels = {name: Constant(number, INT64, name) for name, number in _LEVELS.items()}
    bound = report.bind(word.where, Scope(columns, parameters=levels), expect=BOOLEAN)
    if bound is None:
        return None
    seen = [
        pl.col("level").replace_strict(_LEVELS, return_dtype=pl.Int64).alias("level"),
        pl.col("rule"),
        pl.col("kind"),
        *(pl.col(column).str.json_path_match(f"$['{name}']").alias(path) for path, (column, name) in nested.items()),
    ]
    condition = bound.expr
    return pl.struct(seen).map_batches(
        lambda rows: rows.struct.unnest().select(condition).to_series(), return_dtype=pl.Boolean
    )
