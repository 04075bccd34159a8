"""What a topology compiles to: plain, picklable data that a host carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.alerts import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.expressions.bound import Bound
    from operators.stage import Stage
    from tocsin.model.rates import Rate
    from tocsin.model.rows import Schema
    from tocsin.model.types import Type


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a stream: what fails it is dead, or only counted (`should`)."""

    name: str
    bound: Bound
    should: bool


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """How records of a stream become rows; times in milliseconds."""

    name: str
    fields: Mapping[str, Type]
    id: str | None
    time: str
    lateness: int
    idle: int
    ahead: int
    skew: int
    format: str
    topic: str
    derive: tuple[tuple[str, Bound], ...]
    checks: tuple[Check, ...]
    output: Schema
    partitioned_by: tuple[str, ...] = ()
    dedup: int = 0


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table: its shape and where its rows come from: `rows` inline as text, the path of a `file`, or a topic.

    `keyed`: a host with several workers may spread it over them by its key; in one process there is one copy anyway.
    """

    name: str
    key: tuple[str, ...]
    fields: Mapping[str, Type]
    time: str | None
    format: str
    broadcast: int
    topic: str = ""
    file: str = ""
    rows: tuple[Mapping[str, str], ...] | None = None
    keyed: bool = False


@dataclass(frozen=True, slots=True)
class RulePlan:
    """What is known of a rule beside its stage: version, how each level clears, labels for people."""

    name: str
    version: str
    stage: str
    clears: Mapping[str, str]
    immediate: bool
    entity: tuple[str, ...]


LEVEL_NUMBERS = {level.name.lower(): int(level) for level in Level}


@dataclass(frozen=True, slots=True)
class LogCondition:
    """A condition over the transition log.

    `condition` reads `rule`, `kind`, the number of the `level`, and `nested` columns, each the text under a name in the
    JSON object of a column: `{"labels.channel": ("labels", "channel")}`.
    """

    condition: pl.Expr
    nested: Mapping[str, tuple[str, str]]

    def __call__(self, log: pl.DataFrame) -> pl.Series:
        """Say of each transition of a batch whether the condition holds.

        In two steps and not as one expression that calls back: sinks ask from threads of their own.
        """
        seen = [
            pl.col("level").replace_strict(LEVEL_NUMBERS, return_dtype=pl.Int64).alias("level"),
            *map(pl.col, ("rule", "kind")),
            *(
                pl.col(column).str.json_path_match(f"$['{name}']").alias(path)
                for path, (column, name) in self.nested.items()
            ),
        ]
        return log.select(seen).select(self.condition).to_series()


@dataclass(frozen=True, slots=True)
class SinkPlan:
    """A sink of the topology: kind, target, perhaps a condition over the transition log and a limit per time."""

    name: str
    kind: str
    target: str
    where: LogCondition | None = None
    at_most: Rate | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled topology. `stages` stand in an order in which every stage follows those that it reads."""

    name: str
    version: str
    zone: str
    streams: Mapping[str, StreamPlan]
    tables: Mapping[str, TablePlan]
    stages: tuple[Stage, ...]
    rules: Mapping[str, RulePlan]
    sinks: tuple[SinkPlan, ...]
    outputs: Mapping[str, str]
    """Feature name to the name of the stage whose rows it gives."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """How far back, in milliseconds, a feature looks, and a stream has to be read; by name."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the feature or rule that a stage was made of, by the stage's name; one that several share has none."""

    @property
    def names_persons(self) -> bool:
        """Whether any field identifies a person."""
        fields = [stream.fields for stream in self.streams.values()] + [table.fields for table in self.tables.values()]
        return any(type_.person for named in fields for type_ in named.values())
