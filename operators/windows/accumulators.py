"""Aggregate calls as accumulators: partials per slice of the stream, merges of partials, and results.

Rows come sorted by (time, id), and partials are merged in the order of their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.grouping import grouped, neighbours
from operators.windows import calls as call_parts
from operators.windows import ids, items
from operators.windows.bags import Bag
from operators.windows.calls import BAGS, COUNTS
from operators.windows.parts import Part, Parts, Sum
from tocsin.model.rows import EVIDENCE, POSITION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from operators.expressions.bound import AggregateCall, Aggregated
    from operators.grouping import Groups
    from operators.windows.ids import Form
    from tocsin.model.rows import Schema


_WORTH_ADDING = 0.25
"""The part of the rows that partials of them must spare; else adding up waits until runs are merged."""


@dataclass(frozen=True, slots=True)
class Accumulators:
    """What a list of calls keeps per group.

    `inputs`: prepared columns. `sums`, `parts`: columns of the scalar partials. `finals`: result of each scalar call
    over them. `bags`: the rest. `evidence`: where the evidence of the rows stands: "" (nowhere), POSITION or EVIDENCE.
    """

    inputs: Mapping[str, pl.Expr]
    sums: tuple[Sum, ...]
    parts: tuple[Part, ...]
    finals: Mapping[str, pl.Expr]
    bags: tuple[Bag, ...]
    counts: tuple[str, ...]
    evidence: str = ""

    def prepare(self, rows: pl.DataFrame, keys: Iterable[str | pl.Expr]) -> pl.DataFrame:
        """Evaluate keys and arguments once per row."""
        carried: Sequence[pl.Expr | pl.Series] = ()
        if self.evidence:
            carried = items.OWN if self.evidence == POSITION else items.of_lists(rows)
        return rows.select(*keys, *carried, *(value.alias(name) for name, value in self.inputs.items()))

    def partial(
        self,
        prepared: pl.DataFrame,
        keys: Sequence[str],
        also: Sequence[pl.Expr] = (),
        *,
        ascending: int = 0,
        by_key: bool = False,
    ) -> pl.DataFrame:
        """Give the scalar partials of prepared rows, one row per group; `also`: more columns to aggregate.

        `ascending`: as in `grouped`. `by_key`: rows are sorted by a hash of their keys; then keys that share one may
        have several rows, and where hardly two rows have one key, every row is left alone.
        """
        columns = prepared.select(keys)
        alone = 0.0 if self.parts or also else _WORTH_ADDING
        groups = neighbours(columns, least=alone) if by_key else grouped(columns, ascending)
        sums = [part.partial(prepared, groups) for part in self.sums]
        rest = [part.partial.alias(part.name) for part in self.parts]
        evidence = items.latest_rows if self.evidence == POSITION else items.latest
        return self._together(prepared, keys, groups, sums, [*rest, *also], evidence)

    def merge(
        self, partials: pl.DataFrame, keys: Sequence[str], also: Sequence[pl.Expr] = (), *, ascending: int = 0
    ) -> pl.DataFrame:
        """Give one row per group from partials whose order within a group is that of their rows."""
        groups = grouped(partials.select(keys), ascending)
        sums = [part.merge(partials, groups) for part in self.sums]
        rest = [part.merge.alias(part.name) for part in self.parts]
        return self._together(partials, keys, groups, sums, [*rest, *also], items.latest)

    def packed(self, partials: pl.DataFrame) -> pl.DataFrame:
        """Give partials with numbers as narrow as they can be: `merge`, `wide` and `finalise` take them so."""
        evidence = items.ITEMS if self.evidence else ()
        narrow = (partials.get_column(name) for name in (*(part.name for part in self.sums), *evidence))
        return partials.with_columns(column.shrink_dtype() for column in narrow if column.dtype.is_integer())

    def wide(self, partials: pl.DataFrame) -> pl.DataFrame:
        """Give partials with sums of the width in which they are reckoned with."""
        return partials.with_columns(pl.col(part.name).cast(part.wide) for part in self.sums)

    def finalise(
        self, merged: pl.DataFrame, keys: Sequence[str], *, evidence: bool = True, form: Form = ids.TEXTS
    ) -> pl.DataFrame:
        """Give the results of the scalar calls, each in a column named by its text, and the evidence if wanted.

        `form`: of the ids of the evidence.
        """
        results = self.wide(merged).select(*keys, *(value.alias(name) for name, value in self.finals.items()))
        return results.with_columns(items.lists(merged, form.texts)) if self.evidence and evidence else results

    def complete(self, results: pl.DataFrame) -> pl.DataFrame:
        """Put 0 where a count had nothing to count in the group."""
        there = [name for name in self.counts if name in results.columns]
        return results.with_columns(pl.col(there).fill_null(0)) if there else results

    def _together(  # what is known of the groups
        self,
        rows: pl.DataFrame,
        keys: Sequence[str],
        groups: Groups,
        sums: Sequence[pl.Series],
        rest: Sequence[pl.Expr],
        evidence: Callable[[pl.DataFrame, Groups], pl.DataFrame],
    ) -> pl.DataFrame:
        frames = [groups.firsts(rows.select(keys)), pl.DataFrame(sums)]
        if rest:
            frames.append(groups.aggregated(rows, rest))
        if self.evidence:
            frames.append(evidence(rows, groups))
        return pl.concat([frame for frame in frames if frame.width], how="horizontal")


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
    sums = tuple(part for part in parts.parts.values() if isinstance(part, Sum))
    others = tuple(part for part in parts.parts.values() if isinstance(part, Part))
    return Accumulators(parts.inputs, sums, others, finals, bags, counts, evidence)


def _bags(calls: Sequence[AggregateCall], parts: Parts) -> tuple[Bag, ...]:
    shared: dict[str, list[AggregateCall]] = {}
    for call in calls:
        shared.setdefault(parts.value(call_parts.argument(call), call.where), []).append(call)
    return tuple(Bag(column, call_parts.argument(users[0]).type, tuple(users)) for column, users in shared.items())
