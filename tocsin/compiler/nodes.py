"""What is known of streams and features while a topology is compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from operators.expressions.scope import Constant, Scope, TableShape
from tocsin.compiler.parameters import Parameters
from tocsin.language.streams import BUILT_IN
from tocsin.model.rows import SOURCE_SYSTEM, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.stage import Stage
    from tocsin.compiler.empty_rows import EmptyRow
    from tocsin.compiler.report import Report
    from tocsin.language.model import Text, Topology
    from tocsin.model.types import Type


class Shape(StrEnum):
    """How rows of a node come; decides how a rule over them clears (language.md, decision 1)."""

    STREAM = "stream"
    TRAILING = "trailing"
    GAUGE = "gauge"
    SESSION = "session"
    MOVEMENT = "movement"
    ASKED = "asked"
    SEQUENCE = "sequence"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """At which times rows come: every how many ms, or per `kind` of thing that happens at no even times."""

    kind: str
    every: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A stream or a feature, as others read it.

    `by`: its key columns. `numbered`: rows have no id of their own. `memory`: how far back its rows reach, ms; `fills`:
    how long after a key's first row they are incomplete; `learns`: how far back its detectors reach beyond that.
    `parameters`: that messages of rules over it may name. `rhythm`: when its rows come. `empty`: the row of a window
    that has run empty, as far as it is known; None if none comes. `groups`: the columns that tell of how many persons
    there are, each with the counts that it is made of. `dedup`: the horizon of copies of a stream, ms.
    """

    name: str
    columns: Mapping[str, Type]
    shape: Shape
    system: tuple[str, ...]
    by: tuple[str, ...] = ()
    numbered: bool = False
    memory: int = 0
    fills: int = 0
    learns: int = 0
    parameters: Parameters = field(default_factory=lambda: Parameters({}))
    rhythm: Rhythm = Rhythm("event")
    empty: EmptyRow | None = None
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dedup: int = 0

    @property
    def source(self) -> bool:
        """Whether rows come straight from a stream, so that copies are possible."""
        return self.system == SOURCE_SYSTEM

    @property
    def schema(self) -> Schema:
        """The schema of its rows."""
        return Schema(self.columns, self.system)


@dataclass(slots=True)
class Context:
    """Everything that compiling one word needs to know of the others; grows while the topology is compiled."""

    topology: Topology
    report: Report
    tables: Mapping[str, TableShape]
    nodes: dict[str, Node] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    """Of the words that stages were made of, by the stage's name."""
    broken: set[str] = field(default_factory=set)
    """Features that could not be compiled: what reads them is passed over, for its problems would only echo theirs."""

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The key fields of each table."""
        return {name: shape.key for name, shape in self.tables.items()}

    def node(self, name: Text) -> Node | None:
        """Give a stream or feature; None if there is none, which is noted, or if it is broken."""
        found = self.nodes.get(str(name))
        if found is not None or str(name) in self.broken:
            return found
        declared = {*self.topology.streams, *self.topology.features, *BUILT_IN}
        self.report.unknown(name, "stream or feature", map(str, declared))
        return None

    def scope(self, columns: Mapping[str, Type], parameters: Mapping[str, Constant] | None = None) -> Scope:
        """Give the scope of expressions over these columns."""
        return Scope(columns, self.tables, {} if parameters is None else parameters, str(self.topology.header.zone))
