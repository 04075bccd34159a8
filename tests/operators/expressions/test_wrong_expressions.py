"""What is refused, where in the text, and what the author is told."""

from __future__ import annotations

import pytest

from operators.expressions import Constant, Scope, TableShape, bind, bind_aggregate
from tocsin.errors import ExpressionError
from tocsin.model.types import BOOLEAN, DURATION, FLOAT64, INT64, POINT, STRING, TIMESTAMP, Kind, Type, decimal

SCOPE = Scope(
    {
        "amount": decimal(2),
        "payments": INT64,
        "city": STRING,
        "at": TIMESTAMP,
        "ring": DURATION,
        "ok": BOOLEAN,
        "place": POINT,
        "card": Type(Kind.STRING, person="card"),
        "caller": Type(Kind.STRING, person="phone"),
        "rack": Type(Kind.STRING, table="racks"),
        "heat": FLOAT64,
        "call.amount": decimal(2),
        "größe": INT64,
    },
    {
        "racks": TableShape(("rack",), {"rack": STRING, "station": STRING}),
        "limits": TableShape(("type", "slot"), {"type": STRING, "slot": STRING, "most": decimal(3)}),
        "trusted": TableShape(("card",), {"card": Type(Kind.STRING, person="card")}),
    },
    {"many": Constant(10, INT64.with_unit("payments"), "10 payments")},
)

WRONG = [
    # text, code, offset, part of the message, nearest
    ("", "empty", 0, "empty", ""),
    ("payments > 3s", "quantity-in-expression", 11, "'3s'", ""),
    ("payments > 5 km", "quantity-in-expression", 11, "'5 km'", ""),
    ("heat > 80%", "quantity-in-expression", 7, "'80%'", ""),
    ("heat > 80% and ok", "quantity-in-expression", 7, "make it a parameter", ""),
    ("payments as p", "alias", 0, "'p'", ""),
    ("payments many", "alias", 0, "'many'", ""),
    ("payments, amount", "several", 0, "2 expressions", ""),
    ("(select 1)", "not-in-language", 1, "a subquery", ""),
    ("payments in (select 1)", "not-in-language", 13, "a subquery", ""),
    ("sum(payments) over ()", "not-in-language", 14, "a window function", ""),
    ("now() > at", "clock", 0, "cannot ask for the time", ""),
    ("at > current_timestamp", "clock", 5, "cannot ask for the time", ""),
    ("payments > 1; drop table x", "statement", 12, "ends a statement", ""),
    ("payments -- all of them", "comment", 0, "a YAML comment", ""),
    ("payments >", "syntax", 9, "no expression", ""),
    ("'open", "syntax", 0, "no expression", ""),
    ("payments[1]", "not-in-language", 0, "not part of the language", ""),
    ("payments::string", "not-in-language", 0, "not part of the language", ""),
    ("*", "not-in-language", 0, "not part of the language", ""),
    ("amuont > 5", "unknown-column", 0, "amuont", "amount"),
    ("ok and Payments > 5", "unknown-column", 7, "Payments", "payments"),
    ("grösse > 1", "unknown-column", 0, "grösse", "größe"),
    ("call.amout > 1", "unknown-column", 0, "call.amout", "call.amount"),
    ("cuont(payments)", "unknown-function", 0, "cuont", "concat"),
    ("ok and uper(city) = 'A'", "unknown-function", 7, "uper", "upper"),
    ("sum(payments)", "aggregate", 0, "only under `windows`", ""),
    ("count() filter (where ok)", "aggregate", 0, "filter", ""),
    ("rack.statoin = 'x'", "unknown-field", 0, "no field statoin", "station"),
    ("city.name = 'x'", "no-table", 0, "not the key of a table", ""),
    ("card in trustd", "unknown-table", 8, "no table trustd", "trusted"),
    ("limit(city, city).most", "unknown-table", 0, "no table limit", "limits"),
    ("limits(city).most", "key", 7, "1 keys", ""),
    ("limits(payments, city).most", "key", 7, "int64 as the key limits.type", ""),
    ("caller in trusted", "key", 0, "person(phone) as the key trusted.card", ""),
    ("card = caller", "types", 7, "different keys", ""),
    ("limits(city, city)", "table-as-column", 0, "limits(...).field", ""),
    ("racks = 'x'", "table-as-column", 0, "racks is a table", ""),
    ("city > 5", "types", 7, "string compared with int64", ""),
    ("payments = 'five'", "types", 11, "int64 compared with string", ""),
    ("at > '2025-01-31'", "types", 5, "cast('2025-01-31 12:00:00' as timestamp)", ""),
    ("payments = null", "null-comparison", 0, "`is null`", ""),
    ("payments <> null", "null-comparison", 0, "`is not null`", ""),
    ("payments between 22 and 5", "empty-range", 17, "during(t, '22:00-05:00')", ""),
    ("heat between 5 and -5", "empty-range", 13, "never true", ""),
    ("payments and ok", "types", 0, "no condition", ""),
    ("not city", "types", 4, "no condition", ""),
    ("city + 1", "types", 0, "string in `+`", ""),
    ("at + at", "types", 5, "timestamp ± duration", ""),
    ("heat % 2", "types", 0, "rounding errors", ""),
    ("city || payments", "types", 8, "cast(x as string)", ""),
    ("case when ok then 1 else 'x' end", "types", 25, "int64 compared with string", ""),
    ("coalesce(city, 0)", "types", 15, "string compared with int64", ""),
    ("place = place", "types", 0, "distance(a, b)", ""),
    ("ok > ok", "types", 0, "no order", ""),
    ("hour(ring)", "types", 5, "hour(t)", ""),
    ("round(heat, payments)", "constant", 12, "whole number", ""),
    ("round(heat, -1)", "arguments", 13, "0 to 15", ""),
    ("prefix(city)", "arguments", 0, "prefix(x, n)", ""),
    ("substring(city, 0)", "arguments", 16, "counted from 1", ""),
    ("city like city", "constant", 10, "not a constant", ""),
    ("during(at, '25:00-26:00')", "hours", 11, "no time of day", ""),
    ("during(at, 'monday')", "hours", 11, "mon-fri 08:00-18:00", ""),
    ("during(at, '05:00-05:00')", "hours", 11, "no length", ""),
    ("cast(payments as intt64)", "cast", 17, "cast to 'intt64'", "int64"),
    ("cast(heat as string)", "cast", 5, "float64 does not become string", ""),
    ("signs(ok)", "arguments", 6, "a sign without a name", ""),
    ("signs(a => ok, a => ok)", "arguments", 0, "different names", ""),
    ("null", "types", 0, "only null", ""),
    ("payments in ()", "arguments", 0, "`in ()`", ""),
    ("1" + "0" * 400, "number", 0, "401 digits", ""),
    ("(" * 150 + "1" + ")" * 150, "too-deep", 50, "levels of brackets", ""),
    (" + ".join(["payments"] * 500), "too-deep", 0, "levels", ""),
]

WRONG_AGGREGATES = [
    ("payments", "not-aggregated", 0, "last(payments)"),
    ("sum(payments) + heat", "not-aggregated", 16, "last(heat)"),
    ("rack.station", "not-aggregated", 0, "an aggregate such as"),
    ("1 + 1", "no-aggregate", 0, "does not aggregate"),
    ("sum(max(payments))", "nested-aggregate", 4, "inside an aggregate"),
    ("count() filter (where max(payments) > 1)", "nested-aggregate", 22, "inside an aggregate"),
    ("count() filter (where payments)", "types", 22, "no condition"),
    ("sum(city)", "types", 0, "sum of string"),
    ("avg(at)", "types", 0, "avg of timestamp"),
    ("max(place)", "types", 0, "max of point"),
    ("sum(distinct payments)", "arguments", 0, "sum(x)"),
    ("count(distinct payments, city)", "arguments", 0, "count of 2 columns"),
    ("arg_min(city)", "arguments", 0, "arg_min(x, y)"),
    ("slope(heat, 'fortnight')", "constant", 12, "'ms', 's', 'min', 'h', 'd' or 'w'"),
    ("top_k(city, 0)", "constant", 12, "1 to 1000"),
    ("top_k(payments, 3)", "types", 0, "top_k of int64"),
    ("lower(city) filter (where ok)", "aggregate", 0, "`filter` without an aggregate"),
    ("sum(null)", "types", 0, "an aggregate of null"),
    ("median(heat)", "unknown-function", 0, "median"),
    ("p0x(heat)", "unknown-function", 0, "p0x"),
]


class TestWrongExpressions:
    """Each mistake has a stable code, a place in the text, and says what was expected."""

    @pytest.mark.parametrize(("text", "code", "offset", "said", "nearest"), WRONG, ids=[case[0][:40] for case in WRONG])
    def test_a_wrong_expression_is_explained(self, text: str, code: str, offset: int, said: str, nearest: str) -> None:
        with pytest.raises(ExpressionError) as caught:
            bind(text, SCOPE)
        error = caught.value
        assert (error.code, error.offset, error.nearest) == (code, offset, nearest)
        assert said in str(error)
        assert "call:" not in str(error)

    @pytest.mark.parametrize(("text", "code", "offset", "said"), WRONG_AGGREGATES)
    def test_a_wrong_aggregate_is_explained(self, text: str, code: str, offset: int, said: str) -> None:
        with pytest.raises(ExpressionError) as caught:
            bind_aggregate(text, SCOPE)
        assert (caught.value.code, caught.value.offset) == (code, offset)
        assert said in str(caught.value)

    @pytest.mark.parametrize(("text", "expect"), [("payments", Kind.BOOLEAN), ("city", FLOAT64), ("amount", INT64)])
    def test_another_type_than_expected_is_refused(self, text: str, expect: Kind | Type) -> None:
        with pytest.raises(ExpressionError, match="the expression is"):
            bind(text, SCOPE, expect=expect)
