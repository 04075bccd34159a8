"""From a parsed tree to typed terms: one handler per kind of node, and no other node is allowed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl
from sqlglot import exp

from operators.expressions.aggregate_names import is_aggregate
from operators.expressions.arithmetic import add, divide, modulo, multiply, negate
from operators.expressions.canonical import canonical
from operators.expressions.casts import cast, type_named
from operators.expressions.comparison import between, compare, is_in, like
from operators.expressions.conditional import case
from operators.expressions.names import Names
from operators.expressions.parse import CALL, call_name, offset_of, path
from operators.expressions.registry import FUNCTIONS, SPECIAL
from operators.expressions.term import Term, constant, fail, null_term, number_term
from operators.expressions.text_functions import concatenate
from tocsin.errors import nearest
from tocsin.model.types import BOOLEAN, FLOAT64, INT64, STRING, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operators.expressions.scope import Scope

_ARITHMETIC: dict[type[exp.Expression], Callable[[Term, Term], Term]] = {
    exp.Add: lambda left, right: add(left, right, "+"),
    exp.Sub: lambda left, right: add(left, right, "-"),
    exp.Mul: multiply,
    exp.Div: divide,
    exp.Mod: modulo,
}
_COMPARISON: dict[type[exp.Expression], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "is not distinct from",
    exp.NullSafeNEQ: "is distinct from",
}
DEPTH_MOST = 150
_KNOWN_ARGS = frozenset(
    {"this", "expression", "expressions", "low", "high", "ifs", "default", "field", "negate", "is_string", "safe"}
    | {"table", "db", "catalog"}
)
"""What nodes may say. sqlglot marks many a thing by a further argument (`not like` once was one that we overlooked)."""


class Binder:
    """Binds the nodes of one scalar expression."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.names = Names(scope)
        self._depth = 0

    def term(self, node: exp.Expression) -> Term:
        """Give the typed term of a node."""
        self._depth += 1
        if self._depth > DEPTH_MOST:
            fail(
                "too-deep",
                f"more than {DEPTH_MOST} levels or operators in a row",
                "columns under `derive`",
                at=offset_of(node),
            )
        try:
            return self._bind(node)
        finally:
            self._depth -= 1

    def _bind(self, node: exp.Expression) -> Term:
        unknown = {key for key, value in node.args.items() if value} - _KNOWN_ARGS
        if unknown:
            self._refuse(node)
        if parts := path(node):
            return self.column(parts, node)
        if name := call_name(node):
            return self.call(name, node)
        if type(node) in _ARITHMETIC:
            return _ARITHMETIC[type(node)](self._operand(node.this), self._operand(node.expression))
        if type(node) in _COMPARISON:
            return compare(self.term(node.this), self.term(node.expression), _COMPARISON[type(node)])
        handle = self._HANDLERS.get(type(node))
        return handle(self, node) if handle else self._refuse(node)

    def _refuse(self, node: exp.Expression) -> Term:
        what = f"`{node.sql()}` is not part of the language".replace(CALL, "")
        return fail("not-in-language", what, "the expressions of the reference", at=offset_of(node))

    def column(self, parts: tuple[str, ...], node: exp.Expression) -> Term:
        """Give what a dotted name stands for."""
        return self.names.resolve(parts, offset_of(node))

    def condition(self, node: exp.Expression) -> Term:
        """Give a term that must be a Boolean."""
        term = self.term(node)
        if term.null:
            return null_term(BOOLEAN, term.offset)
        if term.type.kind is not Kind.BOOLEAN:
            fail("types", f"`{canonical(node, self.scope)}` is {term.type}, no condition", "true or false",
                 at=term.offset)  # fmt: skip
        return term

    def call(self, name: str, node: exp.Expression) -> Term:
        """Give the value of a function."""
        at = offset_of(node)
        if name.lower() == "signs":
            return self._signs(node)
        if name.lower() == "cast":
            return self._cast(node)
        if name in self.scope.tables:
            fail("table-as-column", f"{name}(...) is a row of a table", f"{name}(...).field", at=at)
        function = FUNCTIONS.get(name.lower())
        if function is None:
            return self._unknown(name, at)
        return function.call([self.term(argument) for argument in node.expressions], self.scope, at)

    def _unknown(self, name: str, at: int) -> Term:
        if is_aggregate(name):
            fail("aggregate", f"{name}() aggregates rows, but here is one row", "an aggregate only under `windows`",
                 at=at)  # fmt: skip
        known = nearest(name, [*FUNCTIONS, *SPECIAL, *self.scope.tables])
        return fail("unknown-function", f"no function or table {name}", "a function of the reference", known, at=at)

    def _operand(self, node: exp.Expression) -> Term:
        term = self.term(node)
        return replace(null_term(INT64, term.offset), null=False) if term.null else term

    def _and(self, node: exp.Expression) -> Term:
        left, right = self.condition(node.this), self.condition(node.expression)
        return left.of(left.expr & right.expr, BOOLEAN)

    def _or(self, node: exp.Expression) -> Term:
        left, right = self.condition(node.this), self.condition(node.expression)
        return left.of(left.expr | right.expr, BOOLEAN)

    def _not(self, node: exp.Expression) -> Term:
        term = self.condition(node.this)
        return term.of(~term.expr, BOOLEAN)

    def _neg(self, node: exp.Expression) -> Term:
        return negate(self._operand(node.this))

    def _is(self, node: exp.Expression) -> Term:
        wanted = node.expression
        if isinstance(wanted, exp.Null):
            term = self.term(node.this)
            return term.of(term.expr.is_null(), BOOLEAN)
        term = self.condition(node.this)
        if not isinstance(wanted, exp.Boolean):
            fail("not-in-language", "`is` with a value", "is null, is true, is false, is distinct from", at=term.offset)
        return term.of(term.expr.eq_missing(pl.lit(bool(wanted.this))), BOOLEAN)

    def _between(self, node: exp.Expression) -> Term:
        return between(self.term(node.this), self.term(node.args["low"]), self.term(node.args["high"]))

    def _in(self, node: exp.Expression) -> Term:
        field = node.args.get("field")
        if field is not None:
            return self._in_table(node, field)
        if not node.expressions:
            fail("arguments", "`in ()` without a value", "a list such as ('a', 'b'), or a table", at=offset_of(node))
        return is_in(self.term(node.this), [self.term(choice) for choice in node.expressions])

    def _in_table(self, node: exp.Expression, field: exp.Expression) -> Term:
        table, at = ".".join(path(field)), offset_of(field)
        if table not in self.scope.tables:
            fail("unknown-table", f"no table {table or field.sql()}", "a table, or a list such as ('a', 'b')",
                 nearest(table, self.scope.tables), at=at)  # fmt: skip
        keys = node.this.expressions if isinstance(node.this, exp.Tuple) else [node.this]
        texts = tuple(self._text(key) for key in keys)
        return self.names.member(table, [self.term(key) for key in keys], texts, f"{', '.join(texts)} in {table}")

    def _text(self, node: exp.Expression) -> str:
        """Name a key: a dotted name as it is written, else the canonical text."""
        parts = path(node)
        return ".".join(parts) if parts and len(parts[0]) else canonical(node, self.scope)

    def _dot(self, node: exp.Expression) -> Term:
        fields: list[str] = []
        while isinstance(node, exp.Dot):
            fields.insert(0, node.expression.name)
            node = node.this
        table, at = call_name(node), offset_of(node)
        if table not in self.scope.tables:
            fail(
                "unknown-table", f"no table {table or node.sql()}", "a table", nearest(table, self.scope.tables), at=at
            )
        texts = tuple(self._text(key) for key in node.expressions)
        if not texts:
            fail("key", f"{table}() without a key", f"{table}({', '.join(self.scope.tables[table].key)})", at=at)
        name = f"{table}({', '.join(texts)}).{fields[0]}"
        term = self.names.field(table, [self.term(key) for key in node.expressions], texts, fields[0], name)
        for part in fields[1:]:
            term, name = self.names.follow(term, name, part), f"{name}.{part}"
        return term.at(at)

    def _like(self, node: exp.Expression, escape: str = "") -> Term:
        fold = isinstance(node, exp.ILike)
        found = like(self.term(node.this), self.term(node.expression), fold=fold, escape=escape)
        return found.of(~found.expr, BOOLEAN) if node.args.get("negate") else found

    def _escape(self, node: exp.Expression) -> Term:
        if not isinstance(node.this, exp.Like | exp.ILike) or len(node.expression.name) != 1:
            fail("constant", "escape without a like", "like 'pattern' escape '!'", at=offset_of(node))
        return self._like(node.this, node.expression.name)

    def _case(self, node: exp.Expression) -> Term:
        branches = node.args["ifs"]
        if node.this is None:
            conditions = [self.condition(branch.this).expr for branch in branches]
        else:
            subject = self.term(node.this)
            conditions = [compare(subject, self.term(branch.this), "=").expr for branch in branches]
        default = node.args.get("default")
        otherwise = self.term(default) if default is not None else null_term(STRING)
        return case(conditions, [self.term(branch.args["true"]) for branch in branches], otherwise)

    def _joined(self, node: exp.Expression) -> Term:
        terms = [self.term(node.this), self.term(node.expression)]
        for term in terms:
            if term.type.kind is not Kind.STRING:
                fail("types", f"{term.type} in `||`", "texts; cast(x as string)", at=term.offset)
        return concatenate(terms, skip_nulls=False)

    def _cast(self, node: exp.Expression) -> Term:
        if len(node.expressions) != 2 or not node.expressions[1].is_string:  # noqa: PLR2004  # the value and the type
            fail("cast", "a cast without a type", SPECIAL["cast"][0], at=offset_of(node))
        type_ = type_named(node.expressions[1].name, offset_of(node.expressions[1]))
        return cast(self.term(node.expressions[0]), type_)

    def sign_conditions(self, node: exp.Expression) -> Sequence[tuple[str, pl.Expr]]:
        """Give the names and conditions of a call of signs."""
        for argument in node.expressions:
            if not isinstance(argument, exp.Kwarg):
                fail("arguments", "a sign without a name", SPECIAL["signs"][0], at=offset_of(argument))
        pairs = [(argument.name, self.condition(argument.expression).expr) for argument in node.expressions]
        if not pairs or len({name for name, _ in pairs}) < len(pairs):
            fail("arguments", "signs need different names", SPECIAL["signs"][0], at=offset_of(node))
        return pairs

    def _signs(self, node: exp.Expression) -> Term:
        conditions = [condition for _, condition in self.sign_conditions(node)]
        total = pl.sum_horizontal(condition.fill_null(value=False).cast(pl.Int64) for condition in conditions)
        return Term(total.cast(pl.Int64), INT64, offset_of(node))

    def _literal(self, node: exp.Expression) -> Term:
        at = offset_of(node)
        if node.is_string:
            return Term(pl.lit(node.name, dtype=pl.String), STRING, at, literal=node.name)
        term = number_term(Fraction(node.name), offset=at)
        if "e" in node.name.lower():
            return replace(term, expr=constant(Fraction(node.name), FLOAT64), type=FLOAT64)
        return term

    def _boolean(self, node: exp.Expression) -> Term:
        return Term(pl.lit(bool(node.this), dtype=pl.Boolean), BOOLEAN, offset_of(node))

    def _null(self, node: exp.Expression) -> Term:
        return null_term(STRING, offset_of(node))

    def _paren(self, node: exp.Expression) -> Term:
        return self.term(node.this)

    def _filter(self, node: exp.Expression) -> Term:
        return fail("aggregate", "`filter` without an aggregate", "count() filter (where ...)", at=offset_of(node))

    _HANDLERS: dict[type[exp.Expression], Callable[[Binder, exp.Expression], Term]] = {  # noqa: RUF012  # never changed
        exp.And: _and,
        exp.Or: _or,
        exp.Not: _not,
        exp.Neg: _neg,
        exp.Is: _is,
        exp.Between: _between,
        exp.In: _in,
        exp.Dot: _dot,
        exp.Like: _like,
        exp.ILike: _like,
        exp.Escape: _escape,
        exp.Case: _case,
        exp.DPipe: _joined,
        exp.Literal: _literal,
        exp.Boolean: _boolean,
        exp.Null: _null,
        exp.Paren: _paren,
        exp.Filter: lambda self, node: self._filter(node),
    }
