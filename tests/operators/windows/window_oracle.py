"""Aggregates by loops over plain rows, with exact fractions; a driver that cuts a stream in any way it is told to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import polars as pl
from hypothesis import strategies as st

from operators.contract import Instant, Operator, State
from operators.expressions.bound import AggregateCall, Aggregated, Bound
from operators.state import dump, restore
from tocsin.model.rows import EVIDENCE_MOST, ID, POSITION, TIME, Schema
from tocsin.model.types import BOOLEAN, FLOAT64, INT64, STRING, Kind, Type, decimal

Row = dict[str, Any]
AMOUNT, HEAT = decimal(2), replace(FLOAT64, resolution=1e-3)
SCHEMA = Schema({"key": STRING, "amount": AMOUNT, "heat": HEAT, "place": STRING, "flag": BOOLEAN}, (TIME, ID, POSITION))


def column(name: str) -> Bound:
    """Give a column as an expression."""
    return Bound(pl.col(name), SCHEMA.columns[name], frozenset([name]), (), name)


def call(function: str, name: str | None, type_: Type, *, where: bool = False, **more: Any) -> AggregateCall:  # noqa: ANN401  # fields of AggregateCall
    """Give a call over a column, filtered by `flag` or not."""
    text = f"{function}({name}, {more}) {where}"
    filter_ = column("flag") if where else None
    return AggregateCall(
        function,
        type_,
        text,
        None if name is None else column(name),
        where=filter_,
        **more,  # type: ignore[arg-type]
    )


def _values(rows: Sequence[Row], name: str) -> list[Any]:
    return [row[name] for row in rows if row[name] is not None]


def _exact(rows: Sequence[Row], name: str) -> list[Fraction]:
    scale = 100 if name == "amount" else 1
    numbers = [Fraction(str(value)) / scale for value in _values(rows, name)]
    return [Fraction(round(number * 1000), 1000) for number in numbers] if name == "heat" else numbers


def _root(square: Fraction) -> float:
    """Give the root to full precision although the square may not fit a float well."""
    return math.sqrt(square)


def _deviation(rows: Sequence[Row], name: str, less: int) -> float | None:
    values = _exact(rows, name)
    if len(values) <= less:
        return None
    mean = sum(values) / len(values)
    return _root(sum(((value - mean) ** 2 for value in values), Fraction(0)) / (len(values) - less))


def _slope(rows: Sequence[Row], name: str, per_ms: int) -> float | None:
    points = [(Fraction(row[TIME]), value) for row in rows if row[name] is not None for value in _exact([row], name)]
    if not points:
        return None
    t = sum(point[0] for point in points) / len(points)
    x = sum(point[1] for point in points) / len(points)
    over = sum((point[0] - t) ** 2 for point in points)
    return float(sum((point[0] - t) * (point[1] - x) for point in points) / over * per_ms) if over else None


def _quantile(rows: Sequence[Row], name: str, quantile: float) -> float | None:
    scale = 100 if name == "amount" else 1
    values = sorted(Fraction(value) / scale for value in _values(rows, name))
    if not values:
        return None
    rank = Fraction(quantile) * (len(values) - 1)
    low = values[math.floor(rank)]
    return float(low + (values[math.ceil(rank)] - low) * (rank - math.floor(rank)))


def _top(rows: Sequence[Row], name: str, most: int) -> list[str] | None:
    counts = Counter(_values(rows, name))
    return sorted(counts, key=lambda value: (-counts[value], value))[:most] if counts else None


def _extreme(rows: Sequence[Row], name: str, order: str, best: Callable[[Iterable[Any]], Any]) -> Any:  # noqa: ANN401
    values = _values(rows, order)
    return next(row[name] for row in rows if row[order] == best(values)) if values else None


def _sum(rows: Sequence[Row], name: str) -> int | float | None:
    values = _exact(rows, name)
    if not values:
        return None
    return int(sum(values) * 100) if name == "amount" else float(sum(values))


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = _exact(rows, name)
    return float(sum(values) / len(values)) if values else None


Answer = Callable[[Sequence[Row]], Any]
WIDE = replace(AMOUNT, wide=True)


def _pairs(*, where: bool) -> Iterable[tuple[AggregateCall, Answer]]:
    """Give every aggregate with its answer over the rows that pass the filter."""
    yield call("count", None, INT64, where=where), len
    for name, sum_type in (("amount", WIDE), ("heat", FLOAT64)):
        yield call("count", name, INT64, where=where), lambda rows, name=name: len(_values(rows, name))
        yield call("sum", name, sum_type, where=where), lambda rows, name=name: _sum(rows, name)
        yield call("avg", name, FLOAT64, where=where), lambda rows, name=name: _mean(rows, name)
        yield call("stddev_pop", name, FLOAT64, where=where), lambda rows, name=name: _deviation(rows, name, 0)
        yield call("stddev_samp", name, FLOAT64, where=where), lambda rows, name=name: _deviation(rows, name, 1)
        yield (
            call("slope", name, FLOAT64, where=where, per_ms=60_000),
            lambda rows, name=name: _slope(rows, name, 60_000),
        )
        for q in (0.0, 0.5, 0.95):
            yield (
                call("quantile", name, FLOAT64, where=where, quantile=q),
                lambda rows, name=name, q=q: _quantile(rows, name, q),
            )
    for name in ("amount", "heat", "place"):
        type_ = SCHEMA.columns[name]
        yield call("min", name, type_, where=where), lambda rows, name=name: min(_values(rows, name), default=None)
        yield call("max", name, type_, where=where), lambda rows, name=name: max(_values(rows, name), default=None)
        yield call("first", name, type_, where=where), lambda rows, name=name: rows[0][name] if rows else None
        yield call("last", name, type_, where=where), lambda rows, name=name: rows[-1][name] if rows else None
        yield (
            call("previous", name, type_, where=where),
            lambda rows, name=name: rows[-2][name] if len(rows) > 1 else None,
        )
        yield call("count_distinct", name, INT64, where=where), lambda rows, name=name: len(set(_values(rows, name)))
    for function, best in (("arg_min", min), ("arg_max", max)):
        yield (
            call(function, "place", STRING, where=where, order=column("heat")),
            lambda rows, best=best: _extreme(rows, "place", "heat", best),
        )
    yield call("top_k", "place", Type(Kind.LIST), where=where, most=2), lambda rows: _top(rows, "place", 2)


ALL: tuple[tuple[AggregateCall, Answer], ...] = (
    *_pairs(where=False),
    *(
        (call_, lambda rows, answer=answer: answer([row for row in rows if row["flag"]]))
        for call_, answer in _pairs(where=True)
    ),
)


EVERY = tuple(range(len(ALL)))


def columns(chosen: Iterable[int] = EVERY, prefix: str = "c") -> dict[str, Aggregated]:
    """Give one column per aggregate, by its number."""
    calls = {number: ALL[number][0] for number in chosen}
    return {
        f"{prefix}{number}": Aggregated((call_,), pl.col(call_.text), call_.type, call_.text)
        for number, call_ in calls.items()
    }


def some() -> st.SearchStrategy[list[int]]:
    """Draw a few aggregates: all of them at once make a slow query."""
    return st.lists(st.sampled_from(EVERY), min_size=1, max_size=5, unique=True)


def expected(rows: Sequence[Row], chosen: Iterable[int] = EVERY, prefix: str = "c") -> Row:
    """Answer every aggregate over these rows (in order)."""
    return {f"{prefix}{number}": ALL[number][1](rows) for number in chosen}


def evidence(rows: Sequence[Row]) -> list[Row]:
    """Give the evidence of a window."""
    return [{"id": row[ID], "position": row[POSITION]} for row in rows[-EVIDENCE_MOST:]]


def differences(given: Sequence[Row], wanted: Sequence[Row]) -> list[str]:
    """Name what is not as wanted; floats may differ in their last digits."""
    if len(given) != len(wanted):
        return [f"{len(given)} rows, wanted {len(wanted)}: {[row.get(TIME) for row in given]}"]
    return [
        f"row {number} {name}: {row.get(name)!r}, wanted {value!r}"
        for number, (row, want) in enumerate(zip(given, wanted, strict=True))
        for name, value in want.items()
        if not _same(row.get(name), value)
    ]


def _same(a: Any, b: Any) -> bool:  # noqa: ANN401
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return bool(a == b)


def frame(rows: Sequence[Row], schema: Schema = SCHEMA) -> pl.DataFrame:
    """Give rows as a batch in (time, id) order."""
    return pl.DataFrame(rows, schema=schema.physical).sort(TIME, ID)


def run(
    operator: Operator,
    rows: pl.DataFrame,
    watermarks: Sequence[int],
    until: int | None = None,
    tables: Mapping[str, pl.DataFrame] | None = None,
    begin: State | None = None,
) -> pl.DataFrame:
    """Call the operator at these watermarks, its state written to bytes and read back between; close if `until`."""
    state = operator.initial() if begin is None else begin
    given = [operator.output.empty()]
    before: int | None = None
    for watermark in sorted(set(watermarks)):
        low = pl.lit(value=True) if before is None else pl.col(TIME) > before
        step = operator.step(
            rows.filter(low & (pl.col(TIME) <= watermark)), state, Instant(watermark, tables=tables or {})
        )
        assert step.rows.schema == pl.Schema(operator.output.physical)
        assert (step.rows[TIME] <= watermark).all()
        given.append(step.rows)
        state = restore(dump(step.state))
        before = watermark
    if until is not None:
        rest = rows if before is None else rows.filter(pl.col(TIME) > before)
        mark = until if before is None else max(until, before)
        given.append(operator.step(rest, state, Instant(mark, until, tables=tables or {})).rows)
    result = pl.concat(given)
    assert result[TIME].is_sorted()
    return result.sort(TIME, ID)  # in which order keys follow one another means nothing


def run_when_due(operator: Operator, rows: pl.DataFrame, watermarks: Sequence[int]) -> pl.DataFrame:
    """Call the operator only when rows have come or the watermark has reached what it asked for."""
    state, due = operator.initial(), None
    given = [operator.output.empty()]
    before = -1
    for watermark in sorted(set(watermarks)):
        fresh = rows.filter((pl.col(TIME) > before) & (pl.col(TIME) <= watermark))
        before = watermark
        if fresh.is_empty() and (due is None or watermark < due):
            continue
        step = operator.step(fresh, state, Instant(watermark))
        given.append(step.rows)
        state, due = step.state, step.next_due
        assert due is None or due > watermark
    return pl.concat(given).sort(TIME, ID)


def events(span: int, most: int = 25) -> st.SearchStrategy[list[Row]]:
    """Draw rows with ties, nulls and awkward values."""
    amounts = st.one_of(st.none(), st.integers(-500, 500), st.sampled_from([-(2**60), 2**60]))
    heats = st.one_of(
        st.none(), st.sampled_from([0.0, -0.0, 0.0005, 57.16, -273.15, 1e9 + 0.001]), st.floats(-100, 100, width=32)
    )
    one = st.fixed_dictionaries(
        {
            TIME: st.integers(0, span),
            "key": st.sampled_from(["a", "b", 'q"\\']),
            "amount": amounts,
            "heat": heats,
            "place": st.sampled_from([None, "", "x", "y", "é"]),
            "flag": st.sampled_from([None, True, True, False]),
        }
    )
    return st.lists(one, max_size=most).map(_numbered)


def _numbered(rows: list[Row]) -> list[Row]:
    """Give ids that are not in the order of time, and positions; then put the rows in (time, id) order."""
    ided = [{**row, ID: f"e{(number * 7) % 31}", POSITION: number} for number, row in enumerate(rows)]
    return sorted(ided, key=lambda row: (row[TIME], row[ID].encode()))


def by_key(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Group rows by their key, in order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["key"], []).append(row)
    return groups
