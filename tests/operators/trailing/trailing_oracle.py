"""Trailing windows in plain Python over all events, one at a time: slow, and plainly right."""

from __future__ import annotations

import io
import math
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import polars as pl

from operators.contract import Instant
from operators.expressions.bound import AggregateCall, Aggregated, Bound
from tocsin.model.rows import EVIDENCE_MOST, ID, POSITION, TIME, Schema
from tocsin.model.types import BOOLEAN, FLOAT64, INT64, STRING, Kind, Type, decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from operators.contract import Operator, State
    from tocsin.model.windows import Trailing

Row = dict[str, Any]
SCHEMA = Schema(
    {"card": STRING, "amount": decimal(2), "level": FLOAT64, "shop": STRING, "odd": BOOLEAN}, (TIME, ID, POSITION)
)
BATCH = SCHEMA.physical


def bound(name: str) -> Bound:
    return Bound(pl.col(name), SCHEMA.columns[name], frozenset([name]), (), name)


def call(function: Any, of: str = "", where: str = "", order: str = "", **more: Any) -> AggregateCall:  # noqa: ANN401
    types = {
        "count": INT64,
        "count_distinct": INT64,
        "avg": FLOAT64,
        "stddev_pop": FLOAT64,
        "stddev_samp": FLOAT64,
        "quantile": FLOAT64,
        "slope": FLOAT64,
        "top_k": Type(Kind.LIST),
    }
    type_ = types.get(function) or SCHEMA.columns[of]
    if function == "sum" and type_.kind is Kind.DECIMAL:
        type_ = Type(Kind.DECIMAL, scale=2, wide=True)
    text = f"{function}({of}, {order}, {more}) filter ({where})"
    return AggregateCall(
        function,
        type_,
        text,
        bound(of) if of else None,
        bound(order) if order else None,
        bound(where) if where else None,
        **more,
    )


def column(aggregate: AggregateCall) -> Aggregated:
    return Aggregated((aggregate,), pl.col(aggregate.text), aggregate.type, aggregate.text)


CALLS: Mapping[str, AggregateCall] = {
    "rows": call("count"),
    "odd_rows": call("count", where="odd"),
    "amounts": call("count", "amount"),
    "total": call("sum", "amount"),
    "odd_total": call("sum", "amount", where="odd"),
    "levels": call("sum", "level"),
    "mean": call("avg", "amount"),
    "spread": call("stddev_pop", "amount"),
    "sample": call("stddev_samp", "level"),
    "least": call("min", "amount"),
    "most": call("max", "level", where="odd"),
    "least_shop": call("min", "shop"),
    "first": call("first", "shop"),
    "last": call("last", "amount"),
    "previous": call("previous", "shop", where="odd"),
    "shops": call("count_distinct", "shop"),
    "odd_shops": call("count_distinct", "shop", where="odd"),
    "cheapest": call("arg_min", "shop", order="amount"),
    "dearest": call("arg_max", "shop", where="odd", order="amount"),
    "median": call("quantile", "amount", quantile=0.5),
    "p90": call("quantile", "level", where="odd", quantile=0.9),
    "top": call("top_k", "shop", most=2),
    "slope": call("slope", "amount", per_ms=1000),
}


def batch(rows: Iterable[Row]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=BATCH).sort(TIME, ID)


# --- the oracle ---------------------------------------------------------------------------------------------------


def expected(rows: Sequence[Row], windows: Sequence[tuple[Trailing, Sequence[str]]], until: int) -> list[Row]:
    """Give the rows of a feature `by card`: those of the events, and the empty ones."""
    ordered = sorted(rows, key=lambda row: (row[TIME], row[ID].encode()))
    asked: list[tuple[int, str, str, Row | None]] = [(row[TIME], row[ID], row["card"], row) for row in ordered]
    asked += [(time, f'\0["{card}"]', card, None) for card, time in empty_times(ordered, windows, until)]
    asked.sort(key=lambda item: (item[0], item[1].encode()))
    return [answer(time, id_, card, row, ordered, windows) for time, id_, card, row in asked]


def empty_times(rows: Sequence[Row], windows: Any, until: int) -> set[tuple[str, int]]:  # noqa: ANN401
    found = set()
    for row in rows:
        times = [other[TIME] for other in rows if other["card"] == row["card"]]
        for window, _ in windows:
            due = row[TIME] + window.delayed + window.width
            silent = not any(row[TIME] < time <= row[TIME] + window.width for time in times)
            if silent and due not in times and due <= until:
                found.add((row["card"], due))
    return found


def answer(
    time: int,
    id_: str,
    card: str,
    row: Row | None,
    answering: Sequence[Row],
    windows: Sequence[tuple[Trailing, Sequence[str]]],
    *,
    probe: bool = False,
) -> Row:
    columns = (row or {}) | {"card": card}
    given = {TIME: time, ID: id_} | {name: columns.get(name) for name in SCHEMA.columns}
    mine = [other for other in answering if other["card"] == card]
    for number, (window, names) in enumerate(windows):
        held = [o for o in mine if time - window.delayed - window.width < o[TIME] <= time - window.delayed]
        given |= {f"{name}_{number}": AGGREGATES[name](held) for name in names}
    oldest = max(window.delayed + window.width for window, _ in windows)
    youngest = min(window.delayed for window, _ in windows)
    hull = [(o[ID], o[POSITION]) for o in mine if time - oldest < o[TIME] <= time - youngest]
    if row is not None and (probe or youngest > 0):
        hull.append((row[ID], row[POSITION]))
    return given | {"evidence": hull[-EVIDENCE_MOST:]}


def _some(name: str, *, odd: bool = False) -> Callable[[list[Row]], list[Any]]:
    return lambda held: [row[name] for row in held if (not odd or row["odd"]) and row[name] is not None]


def _of(name: str, function: Callable[[list[Any]], Any], *, odd: bool = False) -> Callable[[list[Row]], Any]:
    values = _some(name, odd=odd)
    return lambda held: function(values(held)) if values(held) else None


def _odd(held: list[Row]) -> list[Row]:
    return [row for row in held if row["odd"]]


def _deviation(values: list[Fraction], less: int) -> float | None:
    if len(values) <= less:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - less))


def _quantile(values: list[float], q: float) -> float:
    values = sorted(values)
    rank = q * (len(values) - 1)
    low, high = values[math.floor(rank)], values[math.ceil(rank)]
    return low + (high - low) * (rank - math.floor(rank))


def _top(values: list[str]) -> list[str]:
    return [word for word, _ in sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))[:2]]


def _slope(held: list[Row]) -> float | None:
    points = [(Fraction(r[TIME]), Fraction(r["amount"], 100)) for r in held if r["amount"] is not None]
    if not points:
        return None
    t_mean = sum(t for t, _ in points) / len(points)
    over = sum((t - t_mean) ** 2 for t, _ in points)
    return float(sum((t - t_mean) * x for t, x in points) / over * 1000) if over else None


def _extreme(held: list[Row], best: Callable[..., Any]) -> str | None:
    ordered = [row for row in held if row["amount"] is not None]
    return best(ordered, key=lambda row: row["amount"])["shop"] if ordered else None


AGGREGATES: Mapping[str, Callable[[list[Row]], Any]] = {
    "rows": len,
    "odd_rows": lambda held: len(_odd(held)),
    "amounts": lambda held: len(_some("amount")(held)),
    "total": _of("amount", sum),
    "odd_total": _of("amount", sum, odd=True),
    "levels": _of("level", lambda values: float(sum(Fraction(str(value)) for value in values))),
    "mean": _of("amount", lambda values: float(Fraction(sum(values), 100 * len(values)))),
    "spread": _of("amount", lambda values: _deviation([Fraction(value, 100) for value in values], 0)),
    "sample": _of("level", lambda values: _deviation([Fraction(str(value)) for value in values], 1)),
    "least": _of("amount", min),
    "most": _of("level", max, odd=True),
    "least_shop": _of("shop", min),
    "first": lambda held: held[0]["shop"] if held else None,
    "last": lambda held: held[-1]["amount"] if held else None,
    "previous": lambda held: _odd(held)[-2]["shop"] if len(_odd(held)) > 1 else None,
    "shops": lambda held: len(set(_some("shop")(held))),
    "odd_shops": lambda held: len(set(_some("shop", odd=True)(held))),
    "cheapest": lambda held: _extreme(held, min),
    "dearest": lambda held: _extreme(_odd(held), max),
    "median": _of("amount", lambda values: _quantile(values, 0.5) / 100),
    "p90": _of("level", lambda values: _quantile(values, 0.9), odd=True),
    "top": lambda held: _top(_some("shop")(held)) or None,
    "slope": _slope,
}

# --- the driver ---------------------------------------------------------------------------------------------------


def carried(state: State) -> State:
    """Give the state after a way through bytes."""
    again = {}
    for name, frame in state.items():
        stream = io.BytesIO()
        frame.write_ipc(stream)
        again[name] = pl.read_ipc(io.BytesIO(stream.getvalue()))
    return again


def run(operator: Operator, rows: pl.DataFrame, cuts: Sequence[int], until: int) -> Iterator[pl.DataFrame]:
    """Step at every cut, with the state carried through bytes in between, and close."""
    state = operator.initial()
    since = -(2**62)
    for watermark in [*sorted({cut for cut in cuts if cut < until}), until]:
        slice_ = rows.filter((pl.col(TIME) > since) & (pl.col(TIME) <= watermark))
        step = operator.step(slice_, carried(state), Instant(watermark, until if watermark == until else None))
        assert step.rows.schema == operator.output.physical
        yield step.rows
        state, since = step.state, watermark


def told(rows: pl.DataFrame) -> list[Row]:
    """Give the rows as the oracle does."""
    found = rows.to_dicts()
    for row in found:
        row["evidence"] = [(item["id"], item["position"]) for item in row.pop("__evidence")]
    return found


def close(left: Any, right: Any) -> bool:  # noqa: ANN401
    """Say whether two values are the same, floats to 1e-9."""
    if isinstance(left, float) and isinstance(right, float | Fraction | int):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return bool(left == right)


def assert_same(found: Sequence[Row], wanted: Sequence[Row]) -> None:
    assert [(row[TIME], row[ID]) for row in found] == [(row[TIME], row[ID]) for row in wanted]
    for one, other in zip(found, wanted, strict=True):
        differing = {name: (one[name], other[name]) for name in other if not close(one[name], other[name])}
        assert not differing, (other[TIME], other[ID])
