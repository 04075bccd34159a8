"""case, coalesce, nullif, greatest, least: one type out of several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.arithmetic import common, is_exact, narrowed, real, scaled
from operators.expressions.comparison import comparable, compare
from operators.expressions.term import Term, fail
from operators.expressions.units import in_unit, read_beside
from tocsin.model import units
from tocsin.model.types import FLOAT64, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Unified:
    """Columns of one type. Exact numbers of different scales are 128 bits wide until `result` narrows them."""

    exprs: list[pl.Expr]
    type: Type
    narrow: bool = False

    def result(self, expr: pl.Expr) -> pl.Expr:
        """Give what was chosen among the columns in the physical form of the type; null where it does not fit."""
        return narrowed(expr, self.type) if self.narrow else expr


def unified(terms: Sequence[Term]) -> Unified:
    """Give terms as columns of one type: exact numbers at the greatest scale, floats if one is a float."""
    columns = [term.type for term in terms if not term.null and term.number is None]
    if columns:
        terms = [read_beside(term, columns[0]) for term in terms]
    typed = [term for term in terms if not term.null]
    if not typed:
        fail("types", "only nulls", "a value, or cast(null as a type)", at=terms[0].offset if terms else 0)
    if all(term.type.numeric for term in typed):
        return _numbers(terms, typed)
    for term in typed[1:]:
        comparable(typed[0], term) if typed[0].type.kind is not Kind.POINT else _same_kind(typed[0], term)
    type_ = _label(typed)
    return Unified([pl.lit(None, dtype=type_.physical) if term.null else term.expr for term in terms], type_)


def _same_kind(one: Term, other: Term) -> None:
    if one.type.kind is not other.type.kind:
        fail("types", f"{one.type} beside {other.type}", "values of one type", at=other.offset)


def _label(typed: Sequence[Term]) -> Type:
    """Keep what a text refers to (a table, a person) only where all of them do."""
    first = typed[0].type
    same = all((term.type.person, term.type.table) == (first.person, first.table) for term in typed)
    return first if same else replace(first, person="", table="")


def _numbers(terms: Sequence[Term], typed: Sequence[Term]) -> Unified:
    unit = _unit(typed)
    measured = [term if term.null else _measured(term, unit) for term in terms]
    given = [term for term in measured if not term.null]
    if not all(is_exact(term) for term in given):
        type_ = replace(next((t.type for t in given if t.type.kind is Kind.FLOAT64), FLOAT64), unit=unit)
        return Unified([pl.lit(None, dtype=pl.Float64) if term.null else real(term) for term in measured], type_)
    type_ = reduce(common, (term.type for term in given)).with_unit(unit)
    narrow = any(term.number is None and term.type.scale != type_.scale for term in given)
    wide = narrow or type_.wide
    nothing = pl.lit(None, dtype=pl.Int128 if wide else pl.Int64)
    exprs = [nothing if term.null else scaled(term, type_.scale, wide=wide) for term in measured]
    return Unified(exprs, type_, narrow)


def _unit(typed: Sequence[Term]) -> str:
    """Take the unit of the first column that has one, else of the first constant; a count only if all agree."""
    ordered = sorted(typed, key=lambda term: term.number is not None)
    measured = next((term.type.unit for term in ordered if units.known(term.type.unit)), "")
    counts = {term.type.unit for term in typed}
    return measured or (counts.pop() if len(counts) == 1 else "")


def _measured(term: Term, unit: str) -> Term:
    if units.known(term.type.unit):
        return in_unit(term, unit)
    if term.type.unit and units.known(unit):
        return in_unit(term, unit)
    return replace(term, type=term.type.with_unit(unit))


def coalesce(terms: Sequence[Term]) -> Term:
    """Give the first that is not null."""
    found = unified(terms)
    return terms[0].of(found.result(pl.coalesce(found.exprs)), found.type)


def extreme(terms: Sequence[Term], *, greatest: bool) -> Term:
    """Give the greatest or least that is not null."""
    found = unified(terms)
    if found.type.kind in {Kind.POINT, Kind.POLYGON, Kind.LIST}:
        fail("types", f"{found.type} has no order", "numbers, times or texts", at=terms[0].offset)
    choose = pl.max_horizontal if greatest else pl.min_horizontal
    return terms[0].of(found.result(choose(found.exprs)), found.type)


def nullif(value: Term, other: Term) -> Term:
    """Give null where both are equal, else the first."""
    equal = compare(value, other, "=").expr
    return value.of(pl.when(equal.fill_null(value=False)).then(None).otherwise(value.expr), value.type)


def case(conditions: Sequence[pl.Expr], results: Sequence[Term], otherwise: Term) -> Term:
    """Give the result of the first condition that is true; a null condition is not."""
    found = unified([*results, otherwise])
    branch = pl.when(conditions[0]).then(found.exprs[0])
    for condition, expr in zip(conditions[1:], found.exprs[1:-1], strict=True):
        branch = branch.when(condition).then(expr)  # type: ignore[assignment]  # Then and ChainedThen behave alike
    return results[0].of(found.result(branch.otherwise(found.exprs[-1])), found.type)
