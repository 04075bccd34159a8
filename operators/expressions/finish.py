"""The last step of binding: the plain data that operators evaluate, of the type that is expected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.arithmetic import narrowed, scaled, to_real
from operators.expressions.bound import Bound
from operators.expressions.term import Term, fail, null_term
from operators.expressions.units import in_unit, read_beside
from tocsin.model import units
from tocsin.model.types import Kind, Type

if TYPE_CHECKING:
    from operators.expressions.names import Names


def bound(term: Term, names: Names, text: str) -> Bound:
    """Give the Bound of a term; a constant gets one value per row."""
    expr = term.expr
    if not names.columns:
        expr = pl.when(pl.repeat(value=True, n=pl.len())).then(expr)
    return Bound(expr, term.type, frozenset(names.columns), names.lookups, text)


def expected(term: Term, wanted: Type | Kind | None) -> Term:
    """Give the term as the type or kind that its place expects.

    An exact number becomes a float64 or a decimal of a greater scale where that is expected; nothing is ever rounded.
    """
    if wanted is None:
        return term
    type_ = wanted if isinstance(wanted, Type) else None
    kind = type_.kind if type_ else Kind(str(wanted))
    if term.null:
        return null_term(type_ or Type(kind), term.offset)
    if type_ is not None and type_.numeric:
        term = read_beside(term, type_)
    if kind is Kind.FLOAT64 and term.type.numeric and type_ is None:
        return to_real(term)
    if term.type.kind is not kind and not (type_ and type_.numeric and term.type.numeric):
        fail("types", f"the expression is {term.type}", str(wanted), at=term.offset)
    return _number(term, type_) if type_ is not None and type_.numeric else term


def _number(term: Term, wanted: Type) -> Term:
    if wanted.unit and units.known(term.type.unit):
        term = in_unit(term, wanted.unit)
    unit = wanted.unit or term.type.unit
    if wanted.kind is Kind.FLOAT64:
        term = to_real(term)
        return replace(term, type=replace(wanted, unit=unit))
    fits = term.type.kind in {Kind.INT64, Kind.DECIMAL} and term.type.scale <= wanted.scale
    if not fits:
        fail("types", f"the expression is {term.type}", f"{wanted}, by round() or cast()", at=term.offset)
    wide = wanted.wide or (term.type.wide and term.number is None)
    type_ = replace(wanted, unit=unit, wide=wide)
    return replace(term, expr=narrowed(scaled(term, wanted.scale, wide=True), type_), type=type_)
