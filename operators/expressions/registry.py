"""All scalar functions by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.expressions import math_functions, text_functions, time_functions
from operators.expressions.conditional import coalesce, extreme, nullif
from operators.expressions.function import Function

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.expressions.scope import Scope
    from operators.expressions.term import Term


def _coalesce(terms: Sequence[Term], _: Scope) -> Term:
    return coalesce(terms)


def _nullif(terms: Sequence[Term], _: Scope) -> Term:
    return nullif(terms[0], terms[1])


def _greatest(terms: Sequence[Term], _: Scope) -> Term:
    return extreme(terms, greatest=True)


def _least(terms: Sequence[Term], _: Scope) -> Term:
    return extreme(terms, greatest=False)


_CONDITIONAL = (
    Function("coalesce", "coalesce(x, ...)", "the first that is not null", "coalesce(texts, 0)", ("any",), _coalesce,
             repeats=True),
    Function("nullif", "nullif(x, y)", "null where x = y, else x", "nullif(direction, '')", ("any", "any"), _nullif),
    Function("greatest", "greatest(x, ...)", "the greatest that is not null", "greatest(people, soon.value)", ("any",),
             _greatest, repeats=True),
    Function("least", "least(x, ...)", "the least that is not null", "least(amount, 1000)", ("any",), _least,
             repeats=True),
)  # fmt: skip

FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for group in (_CONDITIONAL, math_functions.FUNCTIONS, text_functions.FUNCTIONS, time_functions.FUNCTIONS)
    for function in group
}

SPECIAL = {
    "cast": ("cast(x as T)", "x as string, int64, float64, boolean, decimal(n), timestamp (UTC); null if it does not",
             "cast(code as int64)"),
    "signs": ("signs(name => condition, ...)", "how many conditions are true; `{signs}` names them in a message",
              "signs(many => sims >= 5, still => cells <= 3)"),
}  # fmt: skip
"""Functions whose arguments are no plain expressions: signature, meaning, example."""
