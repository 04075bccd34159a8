"""Quantities take the unit of what they meet; what does not fit is refused."""

from __future__ import annotations

import polars as pl
import pytest

from operators.expressions import Constant, Scope, bind
from tocsin.errors import ExpressionError
from tocsin.model.types import DURATION, FLOAT64, INT64, TIMESTAMP, Type, decimal
from tocsin.model.units import parse_quantity

PARAMETERS = {
    "near": "50 km",
    "fast": "900 km/h",
    "many": "10 payments",
    "blink": "3 s",
    "close": "50 m",
    "share": "80%",
    "steep": "2 °C/min",
    "limit": "220.5 kWh",
    "ten": "10",
    "cheap": "5 CNY",
    "bound": "220.005",
}


def parameter(text: str) -> Constant:
    quantity = parse_quantity(text)
    return Constant(quantity.value, quantity.type, quantity.text)


COLUMNS: dict[str, Type] = {
    "distance": FLOAT64.with_unit("m"),
    "speed": FLOAT64.with_unit("m/s"),
    "payments": INT64,
    "ring": DURATION,
    "at": TIMESTAMP,
    "used": decimal(3, "kWh"),
    "rise": FLOAT64.with_unit("°C/s"),
    "volt": FLOAT64.with_unit("V"),
    "ratio": FLOAT64,
    "damp": FLOAT64.with_unit("%"),
    "seconds": INT64.with_unit("s"),
    "paid": decimal(2, "EUR"),
    "amount": decimal(2),
    "heat": FLOAT64.with_unit("°C"),
    "joule": INT64.with_unit("J"),
}
SCOPE = Scope(COLUMNS, parameters={name: parameter(text) for name, text in PARAMETERS.items()})


def value(text: str, **columns: object) -> object:
    rows = pl.DataFrame(
        {name: [columns.get(name)] for name in COLUMNS}, schema={n: t.physical for n, t in COLUMNS.items()}
    )
    return rows.select(bind(text, SCOPE).expr).item()


class TestParametersTakeTheUnitOfTheColumn:
    """A parameter is converted to the unit of the column it is compared with."""

    @pytest.mark.parametrize(
        ("text", "columns", "expected"),
        [
            ("distance > near", {"distance": 50_000.0}, False),
            ("distance > near", {"distance": 50_000.1}, True),
            ("near < distance", {"distance": 50_000.1}, True),
            ("speed >= fast", {"speed": 250.0}, True),
            ("speed >= fast", {"speed": 249.999}, False),
            ("distance > close", {"distance": 51.0}, True),
            ("rise > steep", {"rise": 0.034}, True),
            ("used >= limit", {"used": 220_500}, True),
            ("used < limit", {"used": 220_499}, True),
            ("joule < limit", {"joule": 793_799_999}, True),
            ("joule < limit", {"joule": 793_800_000}, False),
            ("ratio >= share", {"ratio": 0.8}, True),
            ("damp >= share", {"damp": 80.0}, True),
            ("damp >= share", {"damp": 79.9}, False),
            ("damp >= 80", {"damp": 79.9}, False),
            ("seconds <= blink", {"seconds": 3}, True),
            ("ring <= blink", {"ring": 3001}, False),
            ("payments >= many", {"payments": 10}, True),
            ("payments < many / 2", {"payments": 5}, False),
            ("payments < many / 2", {"payments": 4}, True),
            ("amount > bound", {"amount": 22_000}, False),
            ("amount > bound", {"amount": 22_001}, True),
            ("distance between close and near", {"distance": 49.0}, False),
            ("distance in (near, 7)", {"distance": 7.0}, True),
            ("heat > 30", {"heat": 30.5}, True),
            ("distance + close > near", {"distance": 49_950.0}, False),
            ("greatest(distance, close) = close", {"distance": 49.0}, True),
            ("seconds - blink = 0", {"seconds": 3}, True),
            ("ring >= 0", {"ring": 0}, True),
            ("coalesce(ring, 0) = blink - ring", {"ring": 1500}, True),
        ],
    )
    def test_a_comparison_converts(self, text: str, columns: dict[str, object], expected: object) -> None:
        assert value(text, **columns) is expected


class TestUnitsOfResults:
    """The unit of a result follows from the units that went in."""

    @pytest.mark.parametrize(
        ("text", "unit"),
        [
            ("used / limit", ""),
            ("used + limit", "kWh"),
            ("distance / ring", "m/s"),
            ("speed * ring", "m"),
            ("distance / seconds", "m/s"),
            ("used / ring", "kWh/s"),
            ("used * 2", "kWh"),
            ("distance - near", "m"),
            ("greatest(distance, near)", "m"),
            ("coalesce(used, 0)", "kWh"),
            ("abs(volt)", "V"),
            ("volt * payments", "V"),
            ("round(used, 1)", "kWh"),
            ("payments / ten", ""),
            ("case when true then volt else 0 end", "V"),
        ],
    )
    def test_the_unit_follows_the_computation(self, text: str, unit: str) -> None:
        assert bind(text, SCOPE).type.unit == unit

    def test_a_distance_by_a_duration_is_metres_per_second(self) -> None:
        assert value("distance / ring", distance=30.0, ring=2000) == 15.0
        assert value("speed * ring", speed=15.0, ring=2000) == 30.0

    def test_times_and_durations_add_up(self) -> None:
        assert value("at - ring", at=5000, ring=3000) == 2000
        assert value("at - cast('1970-01-01' as timestamp)", at=5000) == 5000
        assert value("ring * 1.5", ring=3) == 5  # half away from zero
        assert value("ring / blink", ring=1500) == 0.5
        assert value("greatest(ring, blink)", ring=1500) == 3000

    def test_an_expected_type_converts_exactly(self) -> None:
        bound = bind("near", SCOPE, expect=FLOAT64.with_unit("m"))
        assert bound.type == FLOAT64.with_unit("m")
        assert pl.DataFrame({"x": [1, 2]}).select(bound.expr).to_series().to_list() == [50_000.0, 50_000.0]
        assert bind("payments", SCOPE, expect=decimal(2)).type == decimal(2)


class TestUnitsThatDoNotFit:
    """What measures different things is not compared."""

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("volt > near", ("km", "V")),
            ("distance + volt", ("V", "m")),
            ("distance > many", ("payments", "m")),
            ("speed > near", ("km", "m/s")),
            ("paid > cheap", ("CNY", "EUR")),
            ("ring > near", ("duration", "km")),
            ("greatest(volt, near)", ("km", "V")),
            ("volt between 3 and near", ("km", "V")),
            ("heat > near", ("km", "°C")),
        ],
    )
    def test_both_units_are_named(self, text: str, said: tuple[str, str]) -> None:
        with pytest.raises(ExpressionError) as caught:
            bind(text, SCOPE)
        assert all(word in str(caught.value) for word in said)
        assert caught.value.code in {"unit", "types"}

    def test_a_duration_beside_a_plain_number_is_told_how_to_write_it(self) -> None:
        with pytest.raises(ExpressionError, match=r"a parameter such as `value: 10m`"):
            bind("ring > 3", SCOPE)
