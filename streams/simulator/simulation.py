"""What a simulation consists of: streams, tables and the truth about them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LABELS: dict[str, pl.DataType] = {
    "rule": pl.String(),
    "entity": pl.String(),
    "persons": pl.String(),
    "from": pl.Int64(),
    "until": pl.Int64(),
    "kind": pl.String(),
    "level": pl.String(),
    "case": pl.String(),
}
"""The columns of `labels.ndjson`, one row per incident or near miss.

`entity`: JSON object of the rule's entity with raw identifiers; `persons`: JSON object that gives the identifier domain
of those fields that are persons. `from`, `until`: ms, the first and last moment of the cause. `kind`: incident or
near-miss. `level`: the highest level expected, "" for a near miss. `case`: what happens, in words.
"""


@dataclass(frozen=True, slots=True)
class Label:
    """One incident that a rule must find, or one near miss (no `level`) that must stay quiet."""

    rule: str
    entity: Mapping[str, str]
    begin: int
    end: int
    case: str
    level: str = ""
    persons: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Literal["incident", "near-miss"]:
        """Whether the rule must speak."""
        return "incident" if self.level else "near-miss"

    def row(self) -> dict[str, str | int]:
        """Give the label as a row of LABELS."""
        entity, persons = json.dumps(dict(self.entity)), json.dumps(dict(self.persons))
        return {
            "rule": self.rule, "entity": entity, "persons": persons, "from": self.begin, "until": self.end,
            "kind": self.kind, "level": self.level, "case": self.case,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """What one cause adds to a simulation; the events still carry their event time as `time` (Int64, ms)."""

    streams: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class Simulation:
    """Streams as their producers send them, in arrival order; tables; labels with the columns of LABELS.

    `arrivals`: when each record of a stream arrives, `begin`: before which no event happens, ms since the epoch.
    """

    streams: Mapping[str, pl.DataFrame]
    tables: Mapping[str, pl.DataFrame]
    labels: pl.DataFrame
    arrivals: Mapping[str, pl.Series]
    begin: int


def merge(parts: Iterable[Part]) -> Part:
    """Put parts together: rows below each other, in the order of the parts."""
    streams: dict[str, list[pl.DataFrame]] = defaultdict(list)
    tables: dict[str, list[pl.DataFrame]] = defaultdict(list)
    labels: list[Label] = []
    for part in parts:
        for name, rows in part.streams.items():
            streams[name].append(rows)
        for name, rows in part.tables.items():
            tables[name].append(rows)
        labels.extend(part.labels)
    return Part(
        {name: pl.concat(rows) for name, rows in streams.items()},
        {name: pl.concat(rows) for name, rows in tables.items()},
        tuple(labels),
    )


def label_rows(labels: Iterable[Label]) -> pl.DataFrame:
    """Give labels as a frame with the columns of LABELS, in the order of time."""
    return pl.DataFrame([label.row() for label in labels], schema=LABELS).sort("from", "rule", "entity")
