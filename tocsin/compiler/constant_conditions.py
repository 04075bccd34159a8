"""Conditions that read nothing: they are always the same, which nobody means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from operators.expressions.bound import Bound
    from tocsin.compiler.report import Report
    from tocsin.language.model import Text


def varies(bound: Bound) -> bool:
    """Whether an expression reads a column or a table."""
    return bool(bound.columns or bound.lookups)


def value_of(bound: Bound) -> object:
    """Give the value of an expression that reads nothing."""
    return pl.DataFrame({"row": [0]}).with_columns(bound.expr.alias("value")).item(0, "value")


def check_varies(text: Text, bound: Bound, report: Report) -> bool:
    """Note a condition that reads nothing; whether it is one that may change."""
    if varies(bound):
        return True
    value = value_of(bound)
    what = f"`{text}` reads no column: it is always {'null' if value is None else str(value).lower()}"
    report.add(text, "constant-condition", what, expected="a condition on columns")
    return False
