"""SQL scalar and aggregate expressions: parsed once, typed, translated to Polars."""

from operators.expressions.binding import bind, bind_aggregate, names_in, sign_conditions, signs_names
from operators.expressions.bound import AggregateCall, Aggregated, Bound, Lookup
from operators.expressions.scope import Constant, Scope, TableShape

__all__ = [
    "AggregateCall",
    "Aggregated",
    "Bound",
    "Constant",
    "Lookup",
    "Scope",
    "TableShape",
    "bind",
    "bind_aggregate",
    "names_in",
    "sign_conditions",
    "signs_names",
]
