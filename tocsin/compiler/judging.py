"""A rule while it is compiled: the columns that its rows have so far, and what of them an alert shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from operators.rowwise import Column, RowStep
from tocsin.compiler.groups import groups_of

if TYPE_CHECKING:
    from operators.expressions.bound import Bound
    from operators.expressions.scope import Scope
    from tocsin.compiler.empty_rows import EmptyRow
    from tocsin.compiler.nodes import Context, Node, Shape
    from tocsin.compiler.parameters import Parameters
    from tocsin.compiler.report import Places
    from tocsin.language.model import RuleWord, Text
    from tocsin.model.types import Type


@dataclass(slots=True)
class Ruling:
    """One rule. `nodes`: what it reads. `columns`: those of their rows, then those that steps add."""

    word: RuleWord
    context: Context
    nodes: tuple[Node, ...]
    columns: dict[str, Type]
    parameters: Parameters
    groups: dict[str, frozenset[str]]
    empty: EmptyRow | None
    noted: int
    """How many problems there were before this rule."""
    steps: list[RowStep] = field(default_factory=list)
    shown: dict[str, Type] = field(default_factory=dict)
    """What the explanation shows: the columns that conditions read."""

    @property
    def shape(self) -> Shape:
        """How the rows that are judged come."""
        return self.nodes[0].shape

    @property
    def wrong(self) -> bool:
        """Whether a problem was found in this rule."""
        return len(self.context.report.problems) > self.noted

    @property
    def scope(self) -> Scope:
        """What names mean in the rule's expressions."""
        columns = {name: type_ for name, type_ in self.columns.items() if not name.startswith("__")}
        return self.context.scope(columns, self.parameters)

    @property
    def scope_with_bounds(self) -> Scope:
        """What names mean in the conditions that bounds stand for."""
        return self.context.scope(self.columns, self.parameters)

    @property
    def node(self) -> Node:
        """The first node: its key and shape are those of all."""
        return self.nodes[0]

    def bind(self, text: Text, *, expect: Type | None = None, at: Places | None = None) -> Bound | None:
        """Type an expression over the columns so far."""
        return self.context.report.bind(text, self.scope, expect=expect, at=at)

    def add(self, name: str, bound: Bound, *, shown: bool = True) -> str:
        """Evaluate an expression into a column; `shown`: what it read is part of the explanation."""
        self.steps.append(Column(name, bound))
        self.columns[name] = bound.type
        self.groups |= groups_of(name, bound, self.groups)
        self.empty = None if self.empty is None else self.empty.plus(name, bound)
        if shown:
            self.shown |= {
                column: self.columns[column] for column in sorted(bound.columns) if not column.startswith("__")
            }
        return name
