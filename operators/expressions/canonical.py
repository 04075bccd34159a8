"""The one spelling of an expression: what rule versions hash and what accumulators are named by.

Names are quoted, operators bracketed, keywords and functions in lower case, parameters replaced by their values: two
texts with the same canonical form compute the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from operators.expressions.parse import call_name, path

if TYPE_CHECKING:
    from collections.abc import Callable

    from operators.expressions.scope import Constant, Scope

BINARY: dict[type[exp.Expression], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.And: "and",
    exp.Or: "or",
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "is not distinct from",
    exp.NullSafeNEQ: "is distinct from",
    exp.DPipe: "||",
    exp.Like: "like",
    exp.ILike: "ilike",
    exp.Is: "is",
}


def canonical(node: exp.Expression, scope: Scope) -> str:
    """Give the canonical text of a parsed expression (of one that has been bound without an error)."""
    if parts := path(node):
        return _name(parts, scope)
    if name := call_name(node):
        return _call(name, node, scope)
    if type(node) in BINARY:
        left, right = canonical(node.this, scope), canonical(node.args["expression"], scope)
        negated = "not " if node.args.get("negate") else ""
        return f"({left} {negated}{BINARY[type(node)]} {right})"
    render = _OTHER.get(type(node))
    return render(node, scope) if render else repr(node)


def quoted(name: str) -> str:
    """Give a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """Give a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def column_prefix(parts: tuple[str, ...], scope: Scope) -> int:
    """Give how many leading parts of a dotted name are the column's own name: the most that are one, 0 for none."""
    lengths = range(len(parts), 0, -1)
    return next((length for length in lengths if ".".join(parts[:length]) in scope.columns), 0)


def _name(parts: tuple[str, ...], scope: Scope) -> str:
    own = column_prefix(parts, scope)
    if not own and len(parts) == 1 and parts[0] in scope.parameters:
        return _parameter(scope.parameters[parts[0]])
    own = own or 1
    return ".".join(quoted(name) for name in (".".join(parts[:own]), *parts[own:]))


def _parameter(constant: Constant) -> str:
    if isinstance(constant.value, str):
        return text_literal(constant.value)
    if isinstance(constant.value, bool):
        return str(constant.value).lower()
    unit = constant.type.unit or ("ms" if constant.type.kind.value == "duration" else "")
    return f"{constant.value!r}{' ' + quoted(unit) if unit else ''}"


def _call(name: str, node: exp.Expression, scope: Scope) -> str:
    if name.lower() == "cast":
        return _cast(node, scope)
    shown = name if name in scope.tables else name.lower()
    arguments = [a for a in node.expressions if not isinstance(a, exp.Star)]
    return f"{shown}({', '.join(canonical(argument, scope) for argument in arguments)})"


def _cast(node: exp.Expression, scope: Scope) -> str:
    value, type_ = node.expressions
    return f"cast({canonical(value, scope)} as {type_.name.lower()})"


def _list(node: exp.Expression, scope: Scope) -> str:
    return ", ".join(canonical(item, scope) for item in node.expressions)


def _in(node: exp.Expression, scope: Scope) -> str:
    field = node.args.get("field")
    choices = quoted(".".join(path(field))) if field else f"({_list(node, scope)})"
    return f"({canonical(node.this, scope)} in {choices})"


def _between(node: exp.Expression, scope: Scope) -> str:
    low, high = canonical(node.args["low"], scope), canonical(node.args["high"], scope)
    return f"({canonical(node.this, scope)} between {low} and {high})"


def _case(node: exp.Expression, scope: Scope) -> str:
    subject = f" {canonical(node.this, scope)}" if node.this else ""
    branches = (
        f" when {canonical(branch.this, scope)} then {canonical(branch.args['true'], scope)}"
        for branch in node.args["ifs"]
    )
    default = node.args.get("default")
    otherwise = f" else {canonical(default, scope)}" if default else ""
    return f"(case{subject}{''.join(branches)}{otherwise} end)"


def _literal(node: exp.Expression, _: Scope) -> str:
    return text_literal(node.name) if node.is_string else node.name.lower()


def _filter(node: exp.Expression, scope: Scope) -> str:
    return f"{canonical(node.this, scope)} filter (where {canonical(node.expression.this, scope)})"


def _escape(node: exp.Expression, scope: Scope) -> str:
    return f"{canonical(node.this, scope)[:-1]} escape {canonical(node.expression, scope)})"


def _dot(node: exp.Expression, scope: Scope) -> str:
    return f"{canonical(node.this, scope)}.{quoted(node.expression.name)}"


_OTHER: dict[type[exp.Expression], Callable[[exp.Expression, Scope], str]] = {
    exp.Paren: lambda node, scope: canonical(node.this, scope),
    exp.Neg: lambda node, scope: f"(- {canonical(node.this, scope)})",
    exp.Not: lambda node, scope: f"(not {canonical(node.this, scope)})",
    exp.Distinct: lambda node, scope: f"distinct {_list(node, scope)}",
    exp.Tuple: lambda node, scope: f"({_list(node, scope)})",
    exp.Kwarg: lambda node, scope: f"{quoted(node.name)} => {canonical(node.expression, scope)}",
    exp.Null: lambda _node, _scope: "null",
    exp.Boolean: lambda node, _: str(node.this).lower(),
    exp.In: _in,
    exp.Between: _between,
    exp.Case: _case,
    exp.Literal: _literal,
    exp.Filter: _filter,
    exp.Escape: _escape,
    exp.Dot: _dot,
}
