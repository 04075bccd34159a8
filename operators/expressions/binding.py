"""The two ways in: scalar expressions, and expressions over aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from sqlglot import exp

from operators.expressions import parse as parsing
from operators.expressions.aggregate_names import is_aggregate
from operators.expressions.aggregation import AggregateBinder
from operators.expressions.binder import Binder
from operators.expressions.bound import Aggregated, Bound
from operators.expressions.canonical import canonical
from operators.expressions.finish import bound, expected
from operators.expressions.parse import call_name, parse, path
from operators.expressions.registry import FUNCTIONS, SPECIAL
from operators.expressions.term import Term, fail
from tocsin.model.types import BOOLEAN, STRING

if TYPE_CHECKING:
    from operators.expressions.scope import Scope
    from tocsin.model.types import Kind, Type


def bind(text: str, scope: Scope, *, expect: Type | Kind | None = None) -> Bound:
    """Parse, type and translate a scalar expression.

    Args:
        text: one SQL expression of the language.
        scope: what its names mean.
        expect: the type or kind that its place needs; exact numbers are widened to it, units converted.

    Raises:
        ExpressionError: what is wrong, where in the text, and what was probably meant.

    """
    tree = parse(text)
    binder = Binder(scope)
    term = expected(binder.term(tree), expect)
    if term.null and expect is None:
        fail("types", "the expression is only null", "a value, or cast(null as a type)", at=term.offset)
    return bound(term, binder.names, canonical(tree, scope))


def bind_aggregate(text: str, scope: Scope) -> Aggregated:
    """Parse, type and translate a column of a window: aggregates, and an expression over their results.

    Raises:
        ExpressionError: as `bind`; also for a column outside of an aggregate and an aggregate inside one.

    """
    tree = parse(text)
    binder = AggregateBinder(scope)
    term = binder.term(tree)
    if not binder.calls:
        fail("no-aggregate", f"{text!r} does not aggregate", "count(), sum(x), last(x), ...", at=term.offset)
    return Aggregated(tuple(binder.calls.values()), term.expr, term.type, canonical(tree, scope))


def signs_names(text: str, scope: Scope) -> Bound | None:
    """Give the names of the true conditions of the expression's `signs(...)`, joined by ", "; None if it has none."""
    tree = parse(text)
    call = next((node for node in tree.find_all(exp.Anonymous) if call_name(node).lower() == "signs"), None)
    if call is None:
        return None
    binder = Binder(scope)
    shown = [pl.when(condition).then(pl.lit(name)) for name, condition in binder.sign_conditions(call)]
    expr = pl.concat_str(shown, separator=", ", ignore_nulls=True)
    return bound(Term(expr, STRING), binder.names, f"names of {canonical(call, scope)}")


def sign_conditions(text: str, scope: Scope) -> dict[str, Bound]:
    """Give the conditions of the expression's `signs(...)` by name; empty if it has none. Raises as `bind`."""
    tree = parse(text)
    call = next((node for node in tree.find_all(exp.Anonymous) if call_name(node).lower() == "signs"), None)
    if call is None:
        return {}
    binder = Binder(scope)
    pairs = binder.sign_conditions(call)
    spelled = canonical(call, scope)
    return {name: bound(Term(condition, BOOLEAN), binder.names, f"{name} of {spelled}") for name, condition in pairs}


def names_in(text: str) -> set[str]:
    """Give every name that an expression mentions: columns, parameters, tables.

    A dotted name is given with all its beginnings (`rack.model.v_low`: also `rack` and `rack.model`), because only a
    scope knows which of them is the column.

    Raises:
        ExpressionError: the text is no expression.

    """
    found: set[str] = set()
    for node in parsing.parse(text).walk():
        parts = path(node)
        found.update(".".join(parts[: count + 1]) for count in range(len(parts)))
        name = call_name(node)
        if name and name.lower() not in FUNCTIONS and name.lower() not in SPECIAL and not is_aggregate(name):
            found.add(name)
    return found
