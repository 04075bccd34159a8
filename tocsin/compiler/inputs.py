"""How rows of a node come to a stage: key columns, what is kept, a stage of their own where keys need tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from operators.reorder import Reorder
from operators.rowwise import Column, Each, LookUps, RowStep, Rowwise
from operators.stage import Input, Stage
from tocsin.model.rows import HASH, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operators.expressions.bound import Bound, Lookup
    from tocsin.compiler.nodes import Context, Node
    from tocsin.model.types import Type


@dataclass(frozen=True, slots=True)
class Route:
    """What a stage wants of a node: key columns as expressions, the node's columns to keep (None: all)."""

    node: Node
    key: Mapping[str, Bound]
    keep: frozenset[str] | None = None
    probe: bool | None = None


def make_input(route: Route, owner: str, context: Context) -> tuple[Input, Mapping[str, Type]]:
    """Give the input of stage `owner`, and the types of the columns that its rows have."""
    node = route.node
    key_types = {name: bound.type for name, bound in route.key.items()}
    if any(bound.lookups for bound in route.key.values()):
        node = _enrich(route, owner, context)
        computed: tuple[tuple[str, Bound], ...] = ()
    else:
        computed = tuple((n, b) for n, b in route.key.items() if b.columns != {n} or n not in node.columns)
    kept = {n: t for n, t in node.columns.items() if route.keep is None or n in route.keep} | key_types
    reorder = Reorder(tuple(route.key), Schema(kept, node.system), node.source, node.numbered)
    return Input(node.name, reorder, computed, route.probe), kept


def _enrich(route: Route, owner: str, context: Context) -> Node:
    """Put a stage before the exchange that looks up what the key is made of; spread by content, it has no key."""
    node = route.node
    name = f"{node.name}>{owner}"
    columns = {**node.columns, **{n: b.type for n, b in route.key.items()}}
    spread = (HASH,) if node.source else node.by
    head = Input(node.name, Reorder(spread, node.schema, source=False))
    steps = tuple(Column(n, b) for n, b in route.key.items())
    enriched = replace(node, name=name, columns=columns)
    chain = (Rowwise("keys", steps, enriched.schema, context.keys),)
    context.stages.append(Stage(name, spread, (head,), chain, enriched.schema, tables_of(steps)))
    context.nodes[name] = enriched
    return enriched


def tables_of(steps: Iterable[RowStep]) -> tuple[str, ...]:
    """Give the tables that row-wise steps look up."""
    return tuple(sorted({lookup.table for step in steps for lookup in lookups_of(step)}))


def lookups_of(step: RowStep) -> Sequence[Lookup]:
    """Give the look-ups of one row-wise step."""
    if isinstance(step, Each):
        return (step.lookup,)
    if isinstance(step, LookUps):
        return step.lookups
    return step.bound.lookups
