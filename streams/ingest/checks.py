"""What is derived from the raw record, and what is checked of it.

Expressions see the record as it came; look-ups see pseudonyms, because tables hold nothing else.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from streams.codecs.decoder import OFFSET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from operators.expressions.bound import Bound
    from streams.ingest.spec import Check, IngestSpec, LookUp

FAILING: Mapping[str, pl.DataType] = {
    "offset": pl.Int64(),
    "check": pl.String(),
    "field": pl.String(),
    "time": pl.Int64(),
}


_NOTHING_FAILS = pl.DataFrame(schema=dict(FAILING))


class Evaluation(NamedTuple):
    """How an expression with look-ups is evaluated: first pseudonyms, then the host's tables."""

    pseudonymised: Callable[[pl.DataFrame], pl.DataFrame]
    look_up: LookUp

    def add(self, rows: pl.DataFrame, name: str, bound: Bound) -> pl.DataFrame:
        """Give the rows with the expression's value as column `name`; the columns of look-ups do not stay."""
        if not bound.lookups:
            return rows.with_columns(bound.expr.alias(name))
        looked_up = self.look_up(self.pseudonymised(rows), bound.lookups)
        added = [column for column in looked_up.columns if column not in rows.columns]
        value = rows.with_columns(looked_up[column] for column in added).select(bound.expr.alias(name))
        return rows.with_columns(value[name])


class Judged(NamedTuple):
    """Rows that died of no check, with derived columns; failing ones; all with how they were judged, if any failed."""

    rows: pl.DataFrame
    failing: pl.DataFrame
    marks: pl.DataFrame | None = None


def judge(rows: pl.DataFrame, spec: IngestSpec, evaluation: Evaluation) -> Judged:
    """Derive columns, then check; a record dies of the first check that is false, in declared order."""
    for name, bound in spec.derive:
        rows = evaluation.add(rows, name, bound)
    if not spec.checks:
        return Judged(rows, _NOTHING_FAILS)
    marks = rows
    for number, check in enumerate(spec.checks):
        marks = evaluation.add(marks, f"__check{number}", check.condition)
    if not marks.select(pl.any_horizontal(_fails(number) for number in range(len(spec.checks))).any()).item():
        return Judged(rows, _NOTHING_FAILS)
    dying = marks.select(_fatal(spec)).to_series()
    if not dying.any():
        return Judged(rows, _NOTHING_FAILS, marks)
    return Judged(rows.filter(~dying), _failing(marks.filter(dying), spec), marks)


def _fatal(spec: IngestSpec) -> pl.Expr:
    """Whether a row dies of a check."""
    died = (_fails(number) for number, check in enumerate(spec.checks) if not check.should)
    return pl.any_horizontal(pl.lit(value=False), *died).alias("fatal")


def _fails(number: int) -> pl.Expr:
    """Only false fails: null passes, as in SQL's CHECK."""
    return pl.col(f"__check{number}").not_().fill_null(value=False)


def _failing(marks: pl.DataFrame, spec: IngestSpec) -> pl.DataFrame:
    died = [(number, check) for number, check in enumerate(spec.checks) if not check.should]
    name = pl.coalesce(pl.when(_fails(number)).then(pl.lit(check.name)) for number, check in died)
    field = pl.coalesce(pl.when(_fails(number)).then(pl.lit(_field(check))) for number, check in died)
    time = pl.col(spec.layout.time)
    return marks.select(pl.col(OFFSET).alias("offset"), name.alias("check"), field.alias("field"), time.alias("time"))


def _field(check: Check) -> str:
    """Name the one column that a check reads; "" if it reads several."""
    return next(iter(check.condition.columns)) if len(check.condition.columns) == 1 else ""


def failures(marks: pl.DataFrame, spec: IngestSpec) -> Mapping[str, int]:
    """Count the failures in rows as they were judged: per field, and under "" the records that died."""
    counts = marks.select(_fails(number).sum().alias(str(number)) for number in range(len(spec.checks))).row(0)
    failed: Counter[str] = Counter()
    for check, count in zip(spec.checks, counts, strict=True):
        for name in check.condition.columns:
            failed[name] += count
    return {**failed, "": int(marks.select(_fatal(spec)).to_series().sum())}
