"""For every scalar function and operator: an expression of ours and the DuckDB SQL that must give the same.

The key is the function's name in the registry; operators stand under their sign. A case without SQL of its own is the
same text in both. Where the language differs on purpose (`docs/topology.md`), the SQL says the difference.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """One comparison."""

    ours: str
    theirs: str = ""


def part(function: str, field: str) -> list[Case]:
    return [Case(f"{function}(t)", f"extract('{field}' from berlin(t))")]


_MINUTE = "(extract('hour' from berlin(t)) * 60 + extract('minute' from berlin(t)))"
_WEEKDAY = "isodow(berlin(t))"
_HALF_CHORD = (
    "(sin(radians(45 - lat) / 2) ** 2 + cos(radians(lat)) * cos(radians(45)) * sin(radians(-100 - lon) / 2) ** 2)"
)

OPERATORS: dict[str, list[Case]] = {
    "+": [
        Case("a + b"),
        Case("f + g"),
        Case("d + e"),
        Case("a + d"),
        Case("d + f", "d::double + f"),
        Case("d + 0.005"),
        Case("t + r"),
        Case("r + k"),
        Case("a + 1"),
    ],
    "-": [
        Case("a - b"),
        Case("f - g"),
        Case("d - e"),
        Case("t - w"),
        Case("t - r"),
        Case("1 - a"),
        Case("- f"),
        Case("- d"),
        Case("- a"),
    ],
    "*": [
        Case("a * b"),
        Case("f * g"),
        Case("d * a", "d * a::decimal(19,0)"),
        Case("r * a"),
        Case("d * 1.5"),
        Case("e * f", "e::double * f"),
    ],
    "/": [Case("a / b"), Case("f / g"), Case("d / e"), Case("a / 0"), Case("d / 3"), Case("r / k"), Case("1 / a")],
    "%": [
        Case("a % b", "case when b = -1 then a - a else a % b end"),
        Case("a % 3"),
        Case("a % -3"),
        Case("d % e"),
        Case("d % 0.02"),
    ],
    "=": [
        Case("a = b"),
        Case("f = g"),
        Case("d = e"),
        Case("s = u"),
        Case("t = w"),
        Case("p = q"),
        Case("d = 57.16"),
        Case("a = f"),
        Case("f = 57.16"),
        Case("r = k"),
        Case("a = 0.5"),
        Case("d = 57"),
    ],
    "<>": [Case("a <> b"), Case("f <> g"), Case("s != u")],
    "<": [Case("a < b"), Case("f < g"), Case("d < e"), Case("s < u"), Case("d < 0.005"), Case("a < 9007199254740992")],
    "<=": [Case("a <= b"), Case("s <= u"), Case("d <= 57.16")],
    ">": [
        Case("a > b"),
        Case("f > g"),
        Case("d > e"),
        Case("s > 'a'"),
        Case("a > d"),
        Case("f / g > 5", "case when isfinite(f / g) then f / g > 5 end"),
    ],
    ">=": [Case("a >= b"), Case("d >= 0.0005"), Case("t >= w")],
    "and": [Case("p and q"), Case("p and null"), Case("f > 0 and a > 0")],
    "or": [Case("p or q"), Case("q or null")],
    "not": [Case("not p"), Case("not a > b"), Case("s not in ('a', 'A')"), Case("a not between 1 and 7")],
    "is": [
        Case("a is null"),
        Case("s is not null"),
        Case("p is true"),
        Case("p is not false", "p is distinct from false"),
        Case("a is distinct from b"),
        Case("d is not distinct from e"),
        Case("a is distinct from null"),
        Case("f is not distinct from g"),
    ],
    "between": [
        Case("a between -3 and 7"),
        Case("d between e and 57.16"),
        Case("s between 'A' and 'b'"),
        Case("a between b and 7"),
    ],
    "in": [
        Case("a in (1, 7, -7)"),
        Case("s in ('a', '', 'größe')"),
        Case("s in ('a', null)"),
        Case("a in (1, null)"),
        Case("d in (57.16, 0.005, 0)"),
        Case("a in (b, 3)"),
        Case("f in (0, 2.5)"),
    ],
    "like": [
        Case("s like 'a%'"),
        Case("s like '%c'"),
        Case("s like '%b%'"),
        Case("s like '_'"),
        Case("s like ''"),
        Case("s like '%'"),
        Case("s like 'a!%b!_c' escape '!'"),
        Case("s like '%\n%'"),
        Case("s like 'l_ne%k'"),
        Case("s not like 'a%'"),
        Case("s like '(.*)'"),
        Case("s like 'a%b%c'"),
        Case("s like '__'"),
    ],
    "ilike": [Case("s ilike 'A%'"), Case("s ilike '%GR%'"), Case("s ilike '_BC'")],
    "||": [Case("s || u"), Case("s || 'x'"), Case("s || null")],
    "case": [
        Case("case when p then a when q then b end"),
        Case("case when p then a else d end"),
        Case("case a when 1 then 'one' when b then 'b' else s end"),
        Case("case when null then 1 else 2 end"),
        Case("case when p then f else a end"),
        Case("case when a > b then null else s end"),
    ],
    "literals": [
        Case("1 + 1"),
        Case("0.1 + 0.2"),
        Case("'it''s'"),
        Case("true"),
        Case("-5 % 3"),
        Case("1e3"),
        Case("9223372036854775807 + 0"),
    ],
}

FUNCTIONS: dict[str, list[Case]] = {
    "coalesce": [
        Case("coalesce(a, b)"),
        Case("coalesce(a, 0)"),
        Case("coalesce(s, u, 'x')"),
        Case("coalesce(d, e)"),
        Case("coalesce(null, f, g)"),
        Case("coalesce(a, d, f)", "coalesce(a::double, d::double, f)"),
        Case("coalesce(p, q, false)"),
    ],
    "nullif": [Case("nullif(a, b)"), Case("nullif(s, '')"), Case("nullif(f, 0)"), Case("nullif(d, 57.16)")],
    "greatest": [
        Case("greatest(a, b)"),
        Case("greatest(f, g)"),
        Case("greatest(d, e)"),
        Case("greatest(d, 0.01)"),
        Case("greatest(s, u)"),
        Case("greatest(t, w)"),
        Case("greatest(a, b, 3)"),
    ],
    "least": [Case("least(a, b)"), Case("least(f, g)"), Case("least(d, e)"), Case("least(s, u)"), Case("least(r, k)")],
    "abs": [Case("abs(a)"), Case("abs(f)"), Case("abs(d)"), Case("abs(r)")],
    "sign": [Case("sign(a)"), Case("sign(f)"), Case("sign(d)")],
    "round": [
        Case("round(f)"),
        Case("round(f, 1)", "case when abs(f) > 1e299 then f else round(f, 1) end"),
        Case("round(d)"),
        Case("round(d, 1)"),
        Case("round(e, 2)"),
        Case("round(a)"),
        Case("round(a, 2)", "a"),
    ],
    "floor": [Case("floor(f)"), Case("floor(d)"), Case("floor(a)", "a")],
    "ceil": [Case("ceil(f)"), Case("ceil(d)"), Case("ceil(a)", "a")],
    "sqrt": [Case("sqrt(f)"), Case("sqrt(d)"), Case("sqrt(a)")],
    "ln": [Case("ln(f)"), Case("ln(d)"), Case("ln(a)")],
    "log10": [Case("log10(f)"), Case("log10(d)")],
    "exp": [Case("exp(f)"), Case("exp(d)")],
    "power": [Case("power(f, 2)"), Case("power(f, g)"), Case("power(a, 0.5)"), Case("power(2, b)")],
    "lower": [Case("lower(s)")],
    "upper": [Case("upper(s)", "replace(upper(s), 'ẞ', 'SS')")],
    "length": [Case("length(s)")],
    "trim": [Case("trim(s)")],
    "concat": [Case("concat(s, u)"), Case("concat(s, '/', u)"), Case("concat(s)")],
    "substring": [
        Case("substring(s, 2)"),
        Case("substring(s, 1, 1)"),
        Case("substring(s, 2, 3)"),
        Case("substring(s, 99, 2)"),
    ],
    "prefix": [Case("prefix(s, 2)", "left(s, 2)"), Case("prefix(s, 0)", "left(s, 0)")],
    "left": [Case("left(s, 3)")],
    "right": [Case("right(s, 3)"), Case("right(s, 0)")],
    "starts_with": [Case("starts_with(s, u)"), Case("starts_with(s, 'a')")],
    "ends_with": [Case("ends_with(s, u)"), Case("ends_with(s, 'c')")],
    "contains": [Case("contains(s, u)"), Case("contains(s, '%')")],
    "replace": [Case("replace(s, 'a', u)"), Case("replace(s, 'aa', '')"), Case("replace(s, '', 'x')")],
    "year": part("year", "year"),
    "month": part("month", "month"),
    "day": part("day", "day"),
    "hour": part("hour", "hour"),
    "minute": part("minute", "minute"),
    "second": [Case("second(t)", "floor(extract('second' from berlin(t)))")],
    "day_of_week": part("day_of_week", "isodow"),
    "day_of_year": part("day_of_year", "doy"),
    "time_of_day": [Case("time_of_day(t)", f"{_MINUTE} * 60000 + extract('milliseconds' from berlin(t))")],
    "during": [
        Case("during(t, '22:00-05:00')", f"{_MINUTE} >= 1320 or {_MINUTE} < 300"),
        Case("during(t, '08:00-20:00')", f"{_MINUTE} >= 480 and {_MINUTE} < 1200"),
        Case("during(t, 'mon-fri 08:00-18:00')", f"{_WEEKDAY} <= 5 and {_MINUTE} >= 480 and {_MINUTE} < 1080"),
        Case("during(t, 'sat,sun')", f"{_WEEKDAY} >= 6"),
        Case(
            "during(t, 'sun 23:00-04:00')",
            f"({_WEEKDAY} = 7 and {_MINUTE} >= 1380) or ({_WEEKDAY} = 1 and {_MINUTE} < 240)",
        ),
    ],
    "distance": [
        Case(
            "distance(place, point(45, -100))",
            f"2 * 6371008.8 * asin(case when {_HALF_CHORD} > 1 then 1 else sqrt({_HALF_CHORD}) end)",
        )
    ],
    "point": [Case("distance(point(lat, lon), place)", "case when lat is not null and lon is not null then 0.0 end")],
    "cast": [
        Case("cast(a as float64)", "a::double"),
        Case("cast(d as float64)", "d::double"),
        Case("cast(a as decimal(2))", "try_cast(a as decimal(38,2))"),
        Case("cast(d as decimal(3))", "d::decimal(38,3)"),
        Case("cast(e as decimal(2))", "e::decimal(38,2)"),
        Case("cast(d as int64)", "d::bigint"),
        Case("cast(a as string)", "a::varchar"),
        Case("cast(d as string)", "d::varchar"),
        Case("cast(p as string)", "p::varchar"),
        Case("cast(p as int64)", "p::bigint"),
        Case("cast(f as int64)", "try_cast(case when f % 1 in (0.5, -0.5) then round(f) else f end as bigint)"),
        Case("cast(s as float64)", "try_cast(s as double)"),
        Case("cast(s as int64)", "case when regexp_matches(s, '^ *[+-]?[0-9]+ *$') then try_cast(s as bigint) end"),
        Case(
            "cast(s as boolean)",
            "case when lower(s) in ('true','t','1','false','f','0') then try_cast(s as boolean) end",
        ),
        Case("cast(s as timestamp)", "epoch_ms(try_cast(s as timestamp))"),
        Case("cast(s as string)", "s"),
    ],
    "signs": [
        Case(
            "signs(one => a > b, two => p, three => s = 'a')",
            "coalesce((a > b)::int, 0) + coalesce(p::int, 0) + coalesce((s = 'a')::int, 0)",
        )
    ],
}
