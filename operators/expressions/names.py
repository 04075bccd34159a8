"""What a name stands for: a column, a parameter, or a field of a table that is looked up.

`terminal.place` looks up the table that the column `terminal` is a key of; `limits(type, slot).most` the table `limits`
by key expressions; `card in trusted` asks whether the key is there. A column whose own name has dots comes first.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.bound import Lookup
from operators.expressions.canonical import column_prefix
from operators.expressions.term import Term, fail, number_term
from tocsin.errors import nearest
from tocsin.model.types import BOOLEAN, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.expressions.scope import Constant, Scope, TableShape

_Key = tuple[str, tuple[str, ...]]


class Names:
    """Resolves the names of one expression and remembers the columns and look-ups that it needs."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.columns: set[str] = set()
        self._keys: dict[_Key, tuple[pl.Expr, ...]] = {}
        self._into: dict[_Key, dict[str, str]] = {}
        self._found: dict[_Key, str] = {}

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """The look-ups in the order to do them; each table is asked once per key."""
        return tuple(
            Lookup(key[0], exprs, self._into[key], self._found.get(key, "")) for key, exprs in self._keys.items()
        )

    def resolve(self, parts: tuple[str, ...], at: int) -> Term:
        """Give the term that a dotted name stands for."""
        own = column_prefix(parts, self._scope)
        if not own:
            return self._constant(parts, at)
        name = ".".join(parts[:own])
        self.columns.add(name)
        term = Term(pl.col(name), self._scope.columns[name], at)
        for part in parts[own:]:
            term, name = self.follow(term, name, part), f"{name}.{part}"
        return term

    def follow(self, term: Term, name: str, part: str) -> Term:
        """Look up the field `part` in the table whose key `term` (named `name`) is."""
        table = term.type.table
        if table not in self._scope.tables:
            beginning = [other for other in self._scope.columns if other.startswith(f"{name}.")]
            meant = nearest(f"{name}.{part}", beginning)
            fail("no-table", f"{name} is a {term.type}, not the key of a table", "a column", meant, at=term.offset)
        return self.field(table, [term], (name,), part, f"{name}.{part}")

    def field(self, table: str, keys: Sequence[Term], texts: tuple[str, ...], part: str, name: str) -> Term:
        """Give a field of the row of a table with these keys; `name` is the column it becomes."""
        shape, at = self._scope.tables[table], keys[0].offset
        if part not in shape.fields:
            fail("unknown-field", f"table {table} has no field {part}", ", ".join(shape.fields),
                 nearest(part, shape.fields), at=at)  # fmt: skip
        key = self._lookup(table, shape, keys, texts)
        return Term(pl.col(self._into[key].setdefault(part, name)), shape.fields[part], at)

    def member(self, table: str, keys: Sequence[Term], texts: tuple[str, ...], name: str) -> Term:
        """Give whether a table has a row with these keys; null for a null key."""
        key = self._lookup(table, self._scope.tables[table], keys, texts)
        known = pl.all_horizontal(term.expr.is_not_null() for term in keys)
        return Term(pl.when(known).then(pl.col(self._found.setdefault(key, name))), BOOLEAN, keys[0].offset)

    def _lookup(self, table: str, shape: TableShape, keys: Sequence[Term], texts: tuple[str, ...]) -> _Key:
        if len(keys) != len(shape.key):
            fail("key", f"table {table} asked by {len(keys)} keys", f"{table}({', '.join(shape.key)})",
                 at=keys[0].offset)  # fmt: skip
        for term, part in zip(keys, shape.key, strict=True):
            self._check_key(term, shape.fields[part], f"{table}.{part}")
        key = (table, texts)
        self._keys.setdefault(key, tuple(term.expr for term in keys))
        self._into.setdefault(key, {})
        return key

    def _check_key(self, term: Term, wanted: Type, name: str) -> None:
        given = term.type
        same = given.kind is wanted.kind and given.scale == wanted.scale and given.wide == wanted.wide
        one, other = self._domain(given), self._domain(wanted)
        if not same or (one and other and one != other):
            fail("key", f"{given} as the key {name}", f"{wanted}", at=term.offset)

    def _domain(self, type_: Type) -> str:
        """Whose identifier it is, through the keys of the tables it refers to."""
        seen: set[str] = set()
        while not type_.person and type_.table in self._scope.tables and type_.table not in seen:
            seen.add(type_.table)
            shape = self._scope.tables[type_.table]
            type_ = shape.fields[shape.key[0]]
        return type_.person

    def _constant(self, parts: tuple[str, ...], at: int) -> Term:
        name = ".".join(parts)
        if len(parts) == 1 and name in self._scope.parameters:
            return constant_term(self._scope.parameters[name], at)
        known = [*self._scope.columns, *self._scope.parameters]
        if parts[0] in self._scope.tables:
            key = ", ".join(self._scope.tables[parts[0]].key)
            fail("table-as-column", f"{parts[0]} is a table", f"`x in {parts[0]}` or `{parts[0]}({key}).field`", at=at)
        return fail("unknown-column", f"no column or parameter {name}", _some(known), nearest(name, known), at=at)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown}, ..." if len(names) > 8 else shown or "no name: there are no columns here"  # noqa: PLR2004  # a line


def constant_term(constant: Constant, at: int) -> Term:
    """Give a parameter as a term that can take the unit and scale of what it meets."""
    value, type_ = constant.value, constant.type
    if isinstance(value, str):
        return Term(pl.lit(value, dtype=pl.String), type_, at, literal=value, written=constant.text)
    if isinstance(value, bool):
        return Term(pl.lit(value, dtype=pl.Boolean), type_, at, written=constant.text)
    number = Fraction(repr(value) if isinstance(value, float) else value)
    if type_.numeric:
        return number_term(number, type_.unit, at, constant.text)
    expr = pl.lit(int(number), dtype=pl.Int64)
    return Term(expr, type_, at, number=number if type_.kind is Kind.DURATION else None, written=constant.text)
