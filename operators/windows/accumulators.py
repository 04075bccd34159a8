"""Aggregate calls as accumulators: partials per slice of the stream, merges of partials, and results.

Everything is one Polars `group_by` each, whatever the number of keys. Rows come sorted by (time, id), and partials are
merged in the order of their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.windows import calls as call_parts
from operators.windows.bags import Bag
from operators.windows.calls import BAGS, COUNTS
from operators.windows.parts import Part, Parts
from tocsin.model.rows import EVIDENCE, EVIDENCE_MOST, ID, POSITION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operators.expressions.bound import AggregateCall, Aggregated
    from tocsin.model.rows import Schema

OWN_EVIDENCE = pl.struct(pl.col(ID).alias("id"), pl.col(POSITION).alias("position")).alias(EVIDENCE)


@dataclass(frozen=True, slots=True)
class Accumulators:
    """What a list of calls keeps per group.

    `inputs`: prepared columns. `parts`: columns of the scalar partials. `finals`: result of each scalar call over them.
    `bags`: the rest. `evidence`: where the evidence of the rows stands: "" (nowhere), POSITION or EVIDENCE.
    """

    inputs: Mapping[str, pl.Expr]
    parts: tuple[Part, ...]
    finals: Mapping[str, pl.Expr]
    bags: tuple[Bag, ...]
    counts: tuple[str, ...]
    evidence: str = ""

    def prepare(self, rows: pl.DataFrame, keys: Iterable[str | pl.Expr]) -> pl.DataFrame:
        """Evaluate keys and arguments once per row."""
        carried = {POSITION: [OWN_EVIDENCE], EVIDENCE: [pl.col(EVIDENCE)]}.get(self.evidence, [])
        return rows.select(*keys, *carried, *(value.alias(name) for name, value in self.inputs.items()))

    def partial(self, prepared: pl.DataFrame, keys: Sequence[str], also: Sequence[pl.Expr] = ()) -> pl.DataFrame:
        """Give the scalar partials of prepared rows, one row per group; `also`: more columns to aggregate."""
        columns = [part.partial.alias(part.name) for part in self.parts]
        return prepared.group_by(*keys).agg(*columns, *self._evidence_partial(), *also)

    def merge(self, partials: pl.DataFrame, keys: Sequence[str], also: Sequence[pl.Expr] = ()) -> pl.DataFrame:
        """Give one row per group from partials whose order within a group is that of their rows."""
        columns = [part.merge.alias(part.name) for part in self.parts]
        return partials.group_by(*keys).agg(*columns, *self._evidence_merge(), *also)

    def finalise(self, merged: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
        """Give the results of the scalar calls, each in a column named by its text, and the evidence."""
        results = [value.alias(name) for name, value in self.finals.items()]
        return merged.select(*keys, *results, *([EVIDENCE] if self.evidence else []))

    def complete(self, results: pl.DataFrame) -> pl.DataFrame:
        """Put 0 where a count had nothing to count in the group."""
        there = [name for name in self.counts if name in results.columns]
        return results.with_columns(pl.col(there).fill_null(0)) if there else results

    def _evidence_partial(self) -> list[pl.Expr]:
        if self.evidence == EVIDENCE:
            return [pl.col(EVIDENCE).drop_nulls().explode().tail(EVIDENCE_MOST)]
        return [pl.col(EVIDENCE).tail(EVIDENCE_MOST)] if self.evidence else []

    def _evidence_merge(self) -> list[pl.Expr]:
        return [pl.col(EVIDENCE).explode().tail(EVIDENCE_MOST)] if self.evidence else []


def accumulators(columns: Iterable[Aggregated], schema: Schema, *, rows: bool = False) -> Accumulators:
    """Compile the calls of some columns; `rows`: count the rows of every group too, for windows that slide."""
    distinct = {call.text: call for column in columns for call in column.calls}
    parts = Parts()
    if rows:
        parts.rows(None)
    finals = {text: call_parts.final(call, parts) for text, call in distinct.items() if call.function not in BAGS}
    bags = _bags([call for call in distinct.values() if call.function in BAGS], parts)
    counts = tuple(text for text, call in distinct.items() if call.function in COUNTS)
    evidence = next((name for name in (EVIDENCE, POSITION) if name in schema.system), "")
    return Accumulators(parts.inputs, tuple(parts.parts.values()), finals, bags, counts, evidence)


def _bags(calls: Sequence[AggregateCall], parts: Parts) -> tuple[Bag, ...]:
    shared: dict[str, list[AggregateCall]] = {}
    for call in calls:
        shared.setdefault(parts.value(call_parts.argument(call), call.where), []).append(call)
    return tuple(Bag(column, call_parts.argument(users[0]).type, tuple(users)) for column, users in shared.items())
