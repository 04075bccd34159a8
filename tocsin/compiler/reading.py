"""How rows of nodes come to a stage: several side by side, key columns, what is kept, where keys need tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from operators.align import Align
from operators.dedup import Dedup
from operators.reorder import Reorder
from operators.rowwise import Column, Condition, Each, LookUps, RowStep, Rowwise
from operators.stage import Input, Stage
from tocsin.compiler.nodes import Rhythm, Shape
from tocsin.model.display import display
from tocsin.model.rows import FEATURE_SYSTEM, HASH, WINDOW_COLUMNS, Schema
from tocsin.model.types import DURATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operators.expressions.bound import Bound, Lookup
    from tocsin.compiler.nodes import Context, Node
    from tocsin.language.model import Text
    from tocsin.model.types import Type


@dataclass(frozen=True, slots=True)
class Route:
    """What a stage wants of a node: key columns as expressions, the node's columns to keep (None: all)."""

    node: Node
    key: Mapping[str, Bound]
    keep: frozenset[str] | None = None
    probe: bool | None = None


_ALONE = {
    Shape.STREAM: "is a stream, whose events happen at times of their own",
    Shape.SESSION: "has sessions, which end at times of their own",
    Shape.SEQUENCE: "has matches of a sequence, which happen at times of their own",
}


def read_nodes(names: Sequence[Text], context: Context) -> tuple[Node, ...] | None:
    """Give the nodes that are read together; None if one is not known, broken, or they do not fit together."""
    found = [context.node(name) for name in names]
    nodes = tuple(node for node in found if node is not None)
    if not nodes or len(nodes) < len(names):
        return None
    problems = len(context.report.problems)
    if len(nodes) > 1:
        _check_together(names, nodes, context)
    return nodes if len(context.report.problems) == problems else None


def _check_together(names: Sequence[Text], nodes: Sequence[Node], context: Context) -> None:
    """Several nodes must have rows of the same keys at the same times, and no other column in common."""
    owners: dict[str, Node] = {}
    for name, node in zip(names, nodes, strict=True):
        if problem := _apart(nodes[0], node):
            context.report.add(name, *problem, expected="features with the same `by` and the same steps of time")
            return
        shared = sorted((set(node.columns) & set(owners)) - set(node.by) - set(WINDOW_COLUMNS))
        if shared:
            what = f"{owners[shared[0]].name} and {node.name} both have {', '.join(shared)}"
            context.report.add(name, "column-twice", what, expected="different names for their columns")
            return
        owners |= dict.fromkeys(node.columns, node)


def _apart(first: Node, node: Node) -> tuple[str, str] | None:
    """Say why two nodes cannot be read side by side."""
    if node.shape in _ALONE:
        return "not-aligned", f"{node.name} {_ALONE[node.shape]}"
    if not node.by or set(node.by) != set(first.by):
        said = (
            f"{node.name} is by {', '.join(node.by) or 'nothing'}, {first.name} by {', '.join(first.by) or 'nothing'}"
        )
        return "different-by", said
    for part in node.by:
        one, other = first.columns[part], node.columns[part]
        if one.physical != other.physical or one.person != other.person:
            return "different-by", f"{part} is {one} in {first.name} and {other} in {node.name}"
    if node.rhythm != first.rhythm:
        return "not-aligned", f"{first.name} has rows {_often(first.rhythm)}, {node.name} {_often(node.rhythm)}"
    return None


def _often(rhythm: Rhythm) -> str:
    return f"every {display(rhythm.every, DURATION)}" if rhythm.every else f"per {rhythm.kind}"


def align_of(nodes: Sequence[Node], columns: Mapping[str, Type]) -> Align | None:
    """Give what makes one row of those of several nodes; None for a single one."""
    return Align(nodes[0].by, Schema(columns, FEATURE_SYSTEM)) if len(nodes) > 1 else None


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
    schema = Schema(kept, node.system)
    reorder = Reorder(tuple(route.key), schema, node.source, node.numbered)
    made = Input(node.name, reorder, computed, route.probe)
    if node.dedup:
        made = replace(made, dedup=Dedup(f"dedup {made.name}", tuple(route.key), node.dedup, schema))
    return made, kept


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


def steps_read(steps: Iterable[RowStep]) -> set[str]:
    """Give the columns that conditions and computed columns read."""
    return {name for step in steps if isinstance(step, Column | Condition) for name in step.bound.columns}


def lookups_of(step: RowStep) -> Sequence[Lookup]:
    """Give the look-ups of one row-wise step."""
    if isinstance(step, Each):
        return (step.lookup,)
    if isinstance(step, LookUps):
        return step.lookups
    return step.bound.lookups
