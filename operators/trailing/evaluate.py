"""Evaluate compiled calls over ranges of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from operators.grouping import gathered
from operators.trailing import sliding
from operators.trailing.parts import RangePart
from operators.trailing.ranges import PrefixSums, Ranges, prefix_sums
from operators.windows.bags import Bag
from operators.windows.calls import argument
from operators.windows.scaling import from_real, steps
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operators.expressions.bound import AggregateCall
    from operators.trailing.keyring import Ints
    from operators.trailing.parts import Compiled

PAIRS_MOST = 1_000_000
"""Pairs of (range, row) that are laid out at a time where nothing shorter is known (top_k)."""
ROWS = RangePart("rows")
NARROW_MOST = 2.0**62
DIRECT = frozenset({pl.Int64, pl.Float64})


@dataclass(slots=True)
class Evaluation:
    """What the calls of `windows` need of sorted rows; what was prepared or chosen of them is found once for all.

    `kept`: what was kept of the rows.
    """

    kept: pl.DataFrame
    windows: Sequence[Compiled]
    prepared: dict[str, pl.Series] = field(default_factory=dict)
    present: dict[str, pl.Series] = field(default_factory=dict)
    sums: dict[str, PrefixSums] = field(default_factory=dict)

    def column(self, name: str) -> pl.Series:
        """Give a prepared column; integer steps of floats are Int64 where all of them fit."""
        if name not in self.prepared:
            calls = next(calls for calls in self.windows if name in calls.inputs)
            narrow = self._narrow(calls.whole[name]) if name in calls.whole else None
            self.prepared[name] = self._of(calls.inputs[name]) if narrow is None else narrow
        return self.prepared[name]

    def _narrow(self, whole: pl.Expr) -> pl.Series | None:
        values = self._of(whole)
        greatest = values.abs().max()
        fits = greatest is None or greatest < NARROW_MOST  # type: ignore[operator]  # a float
        return values.cast(pl.Int64, strict=False) if fits else None

    def _of(self, value: pl.Expr) -> pl.Series:
        return self.kept.select(value).to_series()

    def results(self, calls: Compiled, ranges: Ranges, places: Ints) -> pl.DataFrame:
        """Give the result of every call for every range, in columns named by the calls' texts.

        `ranges` ascend; results are those at `places` of them. Parts are taken from there rather than results: hardly
        any of them are null, which costs less, and many are the same.
        """
        parts = {name: self._plain(part) for name, part in calls.ranged.items()}
        found = {part: gathered(self._part(part, ranges), places) for part in dict.fromkeys(parts.values())}
        columns = [found[part].alias(name) for name, part in parts.items()]
        columns += [gathered(self._bag(call, column, ranges), places).alias(call.text) for call, column in calls.bags]
        finals = [value.alias(name) for name, value in calls.finals.items()]
        return pl.DataFrame(columns).select(*finals, *(call.text for call, _ in calls.bags))

    def _plain(self, part: RangePart) -> RangePart:
        """Give the number of rows for the number of values where none is null."""
        return ROWS if part.what == "count" and not self.column(part.column).null_count() else part

    def _part(self, part: RangePart, ranges: Ranges) -> pl.Series:
        return _PARTS[part.what](self, part, ranges)

    def chosen(self, column: str, ranges: Ranges) -> tuple[pl.Series, Ranges]:
        """Give which rows have a value that is not null (or, of Booleans, true) and the ranges among those."""
        if column not in self.present:
            values = self.column(column)
            self.present[column] = values if values.dtype == pl.Boolean else values.is_not_null()
        mask = self.present[column]
        return mask, ranges if mask.all() else ranges.within(mask.to_numpy())

    def values(self, column: str, ranges: Ranges) -> tuple[pl.Series, Ranges]:
        """Give the values that are there, and the ranges among those."""
        values = self.column(column)
        return values.drop_nulls(), ranges.within(values.is_not_null().to_numpy()) if values.null_count() else ranges

    def _bag(self, call: AggregateCall, column: str, ranges: Ranges) -> pl.Series:
        values, ranges = self.values(column, ranges)
        result = _BAGS[call.function](call, values, ranges)
        return result.cast(call.type.physical)


def _rows(self: Evaluation, part: RangePart, ranges: Ranges) -> pl.Series:
    return pl.Series(self.chosen(part.chosen, ranges)[1].size if part.chosen else ranges.size, dtype=pl.Int64)


def _count(self: Evaluation, part: RangePart, ranges: Ranges) -> pl.Series:
    return pl.Series(ranges.within(self.column(part.column).is_not_null().to_numpy()).size, dtype=pl.Int64)


def _sum(self: Evaluation, part: RangePart, ranges: Ranges) -> pl.Series:
    if part.column not in self.sums:
        self.sums[part.column] = prefix_sums(self.column(part.column))
    return self.sums[part.column].of(ranges)


def _extreme(self: Evaluation, part: RangePart, ranges: Ranges) -> pl.Series:
    values, ranges = self.values(part.column, ranges)
    least = part.what == "min"
    some = np.flatnonzero(ranges.size)
    there = Ranges(ranges.low[some], ranges.high[some])
    if values.dtype in DIRECT:
        return _spread(pl.Series(sliding.extreme(values.to_numpy(), there, least=least)), some, ranges)
    return _spread(values.gather(sliding.extreme_place(values, there, least=least)), some, ranges)


def _at_place(self: Evaluation, part: RangePart, ranges: Ranges) -> pl.Series:
    values = self.column(part.column)
    if part.chosen:
        mask, ranges = self.chosen(part.chosen, ranges)
        values = values.filter(mask)
    some = np.flatnonzero(ranges.size > (1 if part.what == "previous" else 0))
    place = {"first": ranges.low, "last": ranges.high - 1, "previous": ranges.high - 2}[part.what][some]
    return _spread(values.gather(place), some, ranges)


def _at_extreme(self: Evaluation, part: RangePart, ranges: Ranges) -> pl.Series:
    order, among = self.values(part.chosen, ranges)
    values = self.column(part.column).filter(self.column(part.chosen).is_not_null())
    some = np.flatnonzero(among.size)
    there = Ranges(among.low[some], among.high[some])
    return _spread(values.gather(sliding.extreme_place(order, there, least=part.what == "arg_min")), some, among)


def _spread(found: pl.Series, some: Ints, ranges: Ranges) -> pl.Series:
    """Put what was found for some ranges at their places; the others are null."""
    size = ranges.low.size
    if some.size == size:
        return found
    places = np.zeros(size, dtype=np.int64)
    places[some] = np.arange(1, some.size + 1)
    return pl.concat([pl.Series([None], dtype=found.dtype), found.alias("")]).gather(places)


def _distinct(_: AggregateCall, values: pl.Series, ranges: Ranges) -> pl.Series:
    return pl.Series(sliding.count_distinct(values, ranges), dtype=pl.Int64)


def _quantile(call: AggregateCall, values: pl.Series, ranges: Ranges) -> pl.Series:
    """Interpolate between the two values around rank q (n - 1): percentile_cont, as pane windows do."""
    ranks = values.rank("dense").cast(pl.Int64).to_numpy() - 1
    sizes = values.unique().sort().cast(pl.Float64).to_numpy()
    some = np.flatnonzero(ranges.size)
    there = Ranges(ranges.low[some], ranges.high[some])
    rank = call.quantile * (there.size - 1)
    low, high = (sizes[sliding.smallest(ranks, there, side(rank).astype(np.int64))] for side in (np.floor, np.ceil))
    type_ = argument(call).type
    per_unit = 1.0 if type_.kind is Kind.FLOAT64 else steps(type_)
    real = pl.Series((low + (high - low) * (rank - np.floor(rank))) / per_unit, dtype=pl.Float64)
    return _spread(real.to_frame("real").select(from_real(pl.col("real"), call.type)).to_series(), some, ranges)


def _top(call: AggregateCall, values: pl.Series, ranges: Ranges) -> pl.Series:
    """Lay out the rows of so many ranges at a time as memory allows, and let the bags of pane windows count them."""
    bag = Bag("value", argument(call).type, (call,))
    ends = np.cumsum(ranges.size)
    found = [pl.DataFrame(schema={"range": pl.Int64, call.text: call.type.physical})]
    start = 0
    while start < ends.size:
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + PAIRS_MOST, side="right")))
        found.append(_top_of(bag, call, values, Ranges(ranges.low[start:end], ranges.high[start:end]), start))
        start = end
    all_ = pl.concat(found)
    return _in_place(all_, call.text, ranges.low.size)


def _top_of(bag: Bag, call: AggregateCall, values: pl.Series, ranges: Ranges, start: int) -> pl.DataFrame:
    size = ranges.size
    probe = np.repeat(np.arange(size.size), size)
    row = ranges.low[probe] + np.arange(probe.size) - np.repeat(np.cumsum(size) - size, size)
    pairs = pl.DataFrame({"range": probe + start, "value": values.gather(row)})
    return bag.results(bag.partial(pairs, ["range"]), ["range"], [call])


def _in_place(found: pl.DataFrame, column: str, size: int) -> pl.Series:
    everyone = pl.DataFrame({"range": pl.int_range(size, eager=True)})
    return everyone.join(found, on="range", how="left", maintain_order="left").get_column(column)


_PARTS: Mapping[str, Callable[[Evaluation, RangePart, Ranges], pl.Series]] = {
    "rows": _rows,
    "count": _count,
    "sum": _sum,
    "min": _extreme,
    "max": _extreme,
    "first": _at_place,
    "last": _at_place,
    "previous": _at_place,
    "arg_min": _at_extreme,
    "arg_max": _at_extreme,
}

_BAGS: Mapping[str, Callable[[AggregateCall, pl.Series, Ranges], pl.Series]] = {
    "count_distinct": _distinct,
    "quantile": _quantile,
    "top_k": _top,
}
