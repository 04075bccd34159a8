"""What aggregate calls are, and the expressions over their results; how they are computed is the windows' part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from operators.expressions import Aggregated, Scope, TableShape, bind_aggregate
from operators.expressions.aggregate_names import AGGREGATES, is_aggregate
from tocsin.model.types import (
    BOOLEAN,
    DURATION,
    FLOAT64,
    INT64,
    POINT,
    STRING,
    TIMESTAMP,
    Kind,
    Type,
    decimal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDE = Type(Kind.INT64, wide=True)
CELL = Type(Kind.STRING, table="cells")
SCOPE = Scope(
    {
        "a": INT64,
        "b": INT64,
        "f": FLOAT64,
        "volt": FLOAT64.with_unit("V"),
        "d": decimal(2, "CNY"),
        "s": STRING,
        "at": TIMESTAMP,
        "ring": DURATION,
        "ok": BOOLEAN,
        "place": POINT,
        "cell": CELL,
    },
    {"cells": TableShape(("cell",), {"cell": STRING, "listed": BOOLEAN, "unit": STRING})},
)


class TestTypes:
    """Aggregates keep, widen or make real the type of what they read."""

    @pytest.mark.parametrize(
        ("text", "type_"),
        [
            ("count()", INT64),
            ("count(*)", INT64),
            ("count(s)", INT64),
            ("count(distinct s)", INT64),
            ("sum(a)", WIDE),
            ("sum(d)", Type(Kind.DECIMAL, scale=2, unit="CNY", wide=True)),
            ("sum(volt)", FLOAT64.with_unit("V")),
            ("sum(ring)", DURATION),
            ("avg(a)", FLOAT64),
            ("avg(d)", FLOAT64.with_unit("CNY")),
            ("avg(ring)", DURATION),
            ("min(at)", TIMESTAMP),
            ("max(s)", STRING),
            ("max(ring)", DURATION),
            ("first(cell)", CELL),
            ("last(place)", POINT),
            ("previous(cell)", CELL),
            ("arg_min(cell, volt)", CELL),
            ("arg_max(s, at)", STRING),
            ("stddev_pop(volt)", FLOAT64.with_unit("V")),
            ("stddev_samp(d)", FLOAT64.with_unit("CNY")),
            ("p50(a)", FLOAT64),
            ("p999(ring)", DURATION),
            ("top_k(s, 3)", Type(Kind.LIST)),
            ("slope(volt, 'min')", FLOAT64.with_unit("V/min")),
            ("slope(a, 's')", FLOAT64.with_unit("1/s")),
            ("max(volt) - min(volt)", FLOAT64.with_unit("V")),
            ("sum(a) / sum(b)", FLOAT64),
            ("sum(a) > 5", BOOLEAN),
            ("coalesce(sum(a), 0)", WIDE),
        ],
    )
    def test_the_result_has_the_type_of_the_language(self, text: str, type_: Type) -> None:
        assert bind_aggregate(text, SCOPE).type == type_

    def test_every_aggregate_of_the_reference_is_one(self) -> None:
        assert all(is_aggregate(name) for name in AGGREGATES.keys() - {"pNN"})
        assert is_aggregate("p1")
        assert is_aggregate("P99")
        assert not is_aggregate("p100")


class TestCalls:
    """A call is plain data for the operator that computes it."""

    def test_a_call_carries_what_it_needs(self) -> None:
        (call,) = bind_aggregate("slope(volt, 'min') filter (where ok)", SCOPE).calls
        assert call.argument is not None
        assert call.where is not None
        assert (call.function, call.per_ms, call.argument.columns, call.where.columns) == (
            "slope",
            60_000,
            {"volt"},
            {"ok"},
        )

    @pytest.mark.parametrize(
        ("text", "quantile"), [("p1(a)", 0.01), ("p50(a)", 0.5), ("p05(a)", 0.05), ("p999(a)", 0.999)]
    )
    def test_the_name_of_a_quantile_is_its_number(self, text: str, quantile: float) -> None:
        assert bind_aggregate(text, SCOPE).calls[0].quantile == quantile

    def test_arg_min_carries_its_order(self) -> None:
        (call,) = bind_aggregate("arg_min(cell, volt)", SCOPE).calls
        assert call.order is not None
        assert call.order.columns == {"volt"}

    def test_equal_calls_are_one(self) -> None:
        calls = bind_aggregate("sum(a) / (sum( a ) + SUM(b) + sum(a) filter (where ok))", SCOPE).calls
        assert [call.text for call in calls] == ['sum("a")', 'sum("b")', 'sum("a") filter (where "ok")']

    def test_an_argument_may_be_looked_up(self) -> None:
        (call,) = bind_aggregate("max(at) filter (where cell.listed)", SCOPE).calls
        assert call.where is not None
        assert [lookup.into for lookup in call.where.lookups] == [{"listed": "cell.listed"}]

    def test_an_argument_may_be_an_expression(self) -> None:
        (call,) = bind_aggregate("count(distinct hour(at))", SCOPE).calls
        assert (call.function, call.text) == ("count_distinct", 'count(distinct hour("at"))')


ROWS = [(1, 2, 0.5, 150, True), (3, None, -0.0, -1, False), (None, 5, 1e300, None, None), (2**62, -6, None, 9, True)]
EXPRESSIONS = [
    "sum(a) / sum(b)",
    "max(f) - min(f)",
    "sum(a) - sum(b)",
    "max(a)",
    "count() filter (where ok)",
    "sum(a) filter (where ok) / count()",
    "coalesce(sum(b) filter (where a > 100 and not ok), 0)",
    "case when count() > 3 then 'many' else 'few' end",
    "sum(d) * 2 > count(*)",
    "greatest(max(a), max(b))",
    "round(avg(b), 1)",
    "count(distinct a) = 3 and sum(a) is not null",
]


def evaluate(aggregated: Aggregated, results: Iterable[Any]) -> Any:  # noqa: ANN401  # any value
    columns = [
        pl.Series(call.text, [result], dtype=call.type.physical)
        for call, result in zip(aggregated.calls, results, strict=True)
    ]
    return pl.DataFrame(columns).select(aggregated.expr).item()


class TestExpressionsOverResults:
    """What stands around the aggregates is computed from their results."""

    @pytest.mark.parametrize("text", EXPRESSIONS)
    def test_an_expression_over_results_gives_what_duckdb_gives(self, text: str) -> None:
        """Calls are computed by DuckDB, the expression over them by both."""
        scope = Scope({"a": INT64, "b": INT64, "f": FLOAT64, "d": INT64, "ok": BOOLEAN})
        aggregated = bind_aggregate(text, scope)
        with duckdb.connect() as connection:
            connection.execute("create table rows (a bigint, b bigint, f double, d bigint, ok boolean)")
            connection.executemany("insert into rows values (?, ?, ?, ?, ?)", ROWS)
            calls = [connection.execute(f"select {call.text} from rows").fetchall()[0][0] for call in aggregated.calls]  # noqa: S608  # our own
            expected = connection.execute(f"select {text} from rows").fetchall()[0][0]  # noqa: S608  # our own
        assert evaluate(aggregated, calls) == expected

    def test_the_mean_of_durations_is_a_duration(self) -> None:
        assert evaluate(bind_aggregate("avg(ring)", SCOPE), [1500.5]) == 1501

    def test_a_sum_of_durations_beyond_64_bits_is_null(self) -> None:
        assert evaluate(bind_aggregate("sum(ring)", SCOPE), [2**70]) is None
