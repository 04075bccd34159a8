"""Who reads `alerts`, the built-in stream of transitions, and the transitions of which rules that means.

A feature that says so in its `where` (`rule = 'a'`, `rule in ('a', 'b')`, perhaps with more behind `and`) reads the
alerts of these rules. Any other reader gets those of all rules that do not read alerts themselves, however indirectly:
so a rule over alerts never meets its own, and a rule over the alerts of such a rule has to name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlglot import exp

from operators.expressions.parse import offset_of, parse, path
from tocsin.compiler.order import key_of, read_by
from tocsin.errors import ExpressionError
from tocsin.language.model import RuleWord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tocsin.compiler.order import Reader
    from tocsin.language.model import Expression, Topology

ALERTS = "alerts"


class Named(NamedTuple):
    """A rule that a condition names, and where, in characters of the condition."""

    rule: str
    offset: int


def readers_of_alerts(topology: Topology) -> set[str]:
    """Give the keys of all features and rules that read alerts, directly or not."""
    found: set[str] = set()
    words: list[Reader] = [*topology.features.values(), *topology.rules.values()]
    while more := {key_of(word) for word in words if key_of(word) not in found and _reads(word, found)}:
        found |= more
    return found


def _reads(word: Reader, known: set[str]) -> bool:
    return any(name == ALERTS or name in known for name in read_by(word))


def base_rules(topology: Topology) -> tuple[str, ...]:
    """Give the rules that do not read alerts, in order of name."""
    readers = readers_of_alerts(topology)
    return tuple(sorted(str(word.name) for word in topology.rules.values() if key_of(word) not in readers))


def rules_read(word: Reader, topology: Topology) -> tuple[str, ...]:
    """Give the declared rules whose alerts a feature or rule reads directly, in order of name; () if it reads none."""
    if ALERTS not in read_by(word):
        return ()
    named = named_rules(word)
    if not named:
        return base_rules(topology)
    declared: Mapping[str, object] = {str(name): rule for name, rule in topology.rules.items()}
    return tuple(sorted({one.rule for one in named} & set(declared)))


def named_rules(word: Reader) -> list[Named]:
    """Give the rules that the `where` of a feature restricts its rows to; [] if it does not."""
    if isinstance(word, RuleWord) or word.where is None or read_by(word).count(ALERTS) != word.sources.count(ALERTS):
        return []
    return _restriction(word.where)


def _restriction(text: Expression) -> list[Named]:
    try:
        parts = list(_conjuncts(parse(text)))
    except ExpressionError:  # said where the condition is typed
        return []
    return next((found for part in parts if (found := list(_literals(part)))), [])


def _conjuncts(tree: exp.Expression) -> Iterator[exp.Expression]:
    inner = tree.unnest()
    if isinstance(inner, exp.And):
        yield from _conjuncts(inner.this)
        yield from _conjuncts(inner.expression)
    elif isinstance(inner, exp.Expression):
        yield inner


def _literals(part: exp.Expression) -> Iterator[Named]:
    """Give the rules of `rule = 'a'`, `'a' = rule` or `rule in ('a', 'b')`."""
    if isinstance(part, exp.EQ):
        sides = (part.this, part.expression)
        chosen = [other for side, other in (sides, sides[::-1]) if path(side) == ("rule",)]
    elif isinstance(part, exp.In) and path(part.this) == ("rule",):
        chosen = part.expressions
    else:
        return
    if all(isinstance(one, exp.Literal) and one.is_string for one in chosen):
        yield from (Named(str(one.this), offset_of(one)) for one in chosen)
