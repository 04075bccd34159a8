"""Counts of persons: `min_group` of the header is the least that may be published (design.md, 10).

A count of persons is a **group**; what is computed from it is withheld with it, since one could be computed back.
Nobody is no small group: zero identifies no one, and to withhold it would only say that it may be one or two. A count
that is null counted nobody, either: there was no row of it, as of a feature that a rule reads beside another one.
What rules decide does not change: a condition reads the true count.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.bound import Bound
from operators.rowwise import Column
from tocsin.model.types import BOOLEAN, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from operators.expressions.bound import AggregateCall, Aggregated
    from operators.expressions.scope import TableShape
    from tocsin.model.types import Type

Groups = dict[str, frozenset[str]]
"""Columns that tell of how many persons there are: each with the counts that it is made of, itself perhaps."""

_PAST = "past "
"""Before the name of a count whose past a column tells of: that nobody is there now says nothing of who was."""

_CARRIED = frozenset({"min", "max", "sum", "avg", "first", "last", "previous", "arg_min", "arg_max", "quantile"})


def groups_of(name: str, bound: Bound, known: Mapping[str, frozenset[str]]) -> Groups:
    """Give the groups of a computed column; a condition tells too little."""
    counts = [known[column] for column in bound.columns if column in known]
    if not counts or bound.type.kind is Kind.BOOLEAN:
        return {}
    return {name: frozenset[str]().union(*counts)}


def past(counts: frozenset[str]) -> frozenset[str]:
    """Give what a detector's columns are made of: the present count and those before it."""
    return frozenset(count if count.startswith(_PAST) else _PAST + count for count in counts)


def renamed(groups: Mapping[str, frozenset[str]], name: Callable[[str], str]) -> Groups:
    """Give the groups of columns that go on under other names; the past of a count is that of its new name."""
    return {name(column): frozenset(map(partial(_renamed, name=name), counts)) for column, counts in groups.items()}


def _renamed(count: str, name: Callable[[str], str]) -> str:
    return _PAST + name(count.removeprefix(_PAST)) if count.startswith(_PAST) else name(count)


def aggregated_groups(
    columns: Mapping[str, Aggregated], known: Mapping[str, frozenset[str]], tables: Mapping[str, TableShape]
) -> Groups:
    """Give the groups among aggregates: persons that are counted, and what is taken over from counts of them."""
    named = {name: column.calls[0] for name, column in columns.items() if len(column.calls) == 1}
    return {name: frozenset({name}) for name, call in named.items() if _counts_persons(call, known, tables)}


def _counts_persons(call: AggregateCall, known: Mapping[str, frozenset[str]], tables: Mapping[str, TableShape]) -> bool:
    if call.argument is None:
        return False
    if call.function == "count_distinct":
        return names_person(call.argument.type, tables)
    return call.function in _CARRIED and bool(call.argument.columns & set(known))


def names_person(type_: Type, tables: Mapping[str, TableShape]) -> bool:
    """Whether values of a type identify persons, perhaps as keys of tables."""
    seen: set[str] = set()
    while not type_.person and type_.table in tables and type_.table not in seen:
        seen.add(type_.table)
        shape = tables[type_.table]
        type_ = shape.fields[shape.key[0]]
    return bool(type_.person)


def withheld(published: Iterable[str], types: Mapping[str, Type], groups: Groups, least: int) -> list[Column]:
    """Give the steps that make published columns null where they tell of fewer than `least` persons, but of some."""
    told = sorted(name for name in published if name in groups) if least > 0 else []
    counts = sorted(frozenset[str]().union(*(groups[name] for name in told)))
    # Whether there are enough is asked before the first count is withheld.
    asked = [Column(_enough(count), _is_enough(count, types[count.removeprefix(_PAST)], least)) for count in counts]
    return [*asked, *(Column(name, _kept(name, types[name], groups[name])) for name in told)]


def _enough(count: str) -> str:
    return f"__enough {count}"


def _is_enough(count: str, type_: Type, least: int) -> Bound:
    column = count.removeprefix(_PAST)
    enough = pl.col(column) >= least * 10**type_.scale
    expr = enough if column != count else enough | (pl.col(column) == 0) | pl.col(column).is_null()
    return Bound(expr, BOOLEAN, frozenset({column}), (), f"{count} >= {least}")


def _kept(name: str, type_: Type, counts: frozenset[str]) -> Bound:
    enough = pl.all_horizontal(_enough(count) for count in sorted(counts))
    return Bound(pl.when(enough).then(pl.col(name)), type_, frozenset({name}), (), f"{name} of enough")
