"""Quantities as authors write them, and values as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import UnitError
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
from tocsin.model.units import (
    DURATIONS,
    dimension,
    display,
    factor,
    known,
    nearest_unit,
    parse_duration,
    parse_quantity,
)


class TestQuantities:
    """A whole YAML value is a number with its unit."""

    @pytest.mark.parametrize(
        ("text", "value", "type_"),
        [
            ("10m", 600_000, DURATION),
            ("1d 12h", 129_600_000, DURATION),
            ("5 s", 5_000, DURATION),
            ("14 d", 1_209_600_000, DURATION),
            ("0.5s", 500, DURATION),
            ("250ms", 250, DURATION),
            ("80%", 0.8, FLOAT64),
            ("130%", 1.3, FLOAT64),
            ("18", 18, INT64),
            ("-40", -40, INT64),
            ("0.05", 0.05, FLOAT64),
            ("1e6", 1e6, FLOAT64),
            ("50 km", 50, INT64.with_unit("km")),
            ("900 km/h", 900, INT64.with_unit("km/h")),
            ("2 °C/min", 2, INT64.with_unit("°C/min")),
            ("0.5 °C/min", 0.5, FLOAT64.with_unit("°C/min")),
            ("4 terminals", 4, INT64.with_unit("terminals")),
            ("5 SIM", 5, INT64.with_unit("SIM")),
            ("3 m³", 3, INT64.with_unit("m³")),
            ("7 m3/h", 7, INT64.with_unit("m3/h")),
            ("200 CNY", 200, INT64.with_unit("CNY")),
        ],
    )
    def test_a_quantity_has_a_value_and_a_unit(self, text: str, value: float, type_: Type) -> None:
        quantity = parse_quantity(text)
        assert (quantity.value, quantity.type, quantity.text) == (value, type_, text)
        assert type(quantity.value) is type(value)

    @pytest.mark.parametrize(
        "text", ["", "mall", "true", "wish.urgent", "10:00", "2025-01-31", "1 2", "39.9 116.4", "5 7x", "km 5"]
    )
    def test_text_is_no_quantity(self, text: str) -> None:
        with pytest.raises(UnitError, match=r"is no (quantity|unit)"):
            parse_quantity(text)


class TestDurations:
    """Durations are whole milliseconds."""

    @given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(sorted(DURATIONS))), min_size=1, max_size=4))
    @settings(max_examples=40)
    def test_a_duration_is_the_sum_of_its_parts(self, parts: list[tuple[int, str]]) -> None:
        text = " ".join(f"{count}{unit}" for count, unit in parts)
        assert parse_duration(text) == sum(count * DURATIONS[unit] for count, unit in parts)

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("10 minutes", "10m"),
            ("3 hours", "3h"),
            ("2 days", "2d"),
            ("1 week", "1w"),
            ("5 sec", "5s"),
            ("10", ""),
            ("", ""),
        ],
    )
    def test_a_wrong_duration_is_told_what_is_allowed(self, text: str, meant: str) -> None:
        with pytest.raises(UnitError, match="units ms, s, m or min, h, d, w") as caught:
            parse_duration(text)
        assert caught.value.nearest == meant

    def test_a_fraction_of_a_millisecond_is_refused(self) -> None:
        with pytest.raises(UnitError, match="no whole number of milliseconds"):
            parse_duration("0.5ms")


class TestConversion:
    """Units of one dimension convert, others name both."""

    @pytest.mark.parametrize(
        ("source", "target", "expected"),
        [
            ("km", "m", 1000),
            ("km/h", "m/s", 1 / 3.6),
            ("kn", "km/h", 1.852),
            ("°C/min", "K/h", 60),
            ("°F/min", "°C/min", 5 / 9),
            ("kWh", "MJ", 3.6),
            ("m³/h", "l/min", 1000 / 60),
            ("MB/s", "kB/s", 1000),
            ("kWh·h", "Wh·h", 1000),
            ("%", "%", 1),
            ("terminals", "", 1),
            ("calls/min", "calls/h", 60),
            ("kWh/Wh", "", 1000),
        ],
    )
    def test_units_of_one_dimension_convert(self, source: str, target: str, expected: float) -> None:
        assert factor(source, target) == pytest.approx(expected, rel=1e-15)

    @pytest.mark.parametrize(
        ("source", "target"), [("km", "V"), ("°C", "K"), ("CNY", "EUR"), ("terminals", "m"), ("km", "km/h"), ("", "V")]
    )
    def test_units_of_different_dimensions_do_not(self, source: str, target: str) -> None:
        with pytest.raises(UnitError, match="does not convert") as caught:
            factor(source, target)
        assert target in str(caught.value)

    def test_a_misspelt_unit_is_told_the_nearest_of_the_dimension(self) -> None:
        with pytest.raises(UnitError) as caught:
            factor("Km", "m")
        assert caught.value.nearest == "km"
        assert nearest_unit("kwh") == "kWh"
        assert nearest_unit("km", "voltage") == ""
        assert nearest_unit("km") == ""

    @given(st.sampled_from(["m", "km", "mi", "ft"]), st.sampled_from(["m", "km", "mi", "ft"]))
    @settings(max_examples=16)
    def test_there_and_back_is_one(self, one: str, other: str) -> None:
        assert factor(one, other) * factor(other, one) == pytest.approx(1, rel=1e-15)

    def test_nouns_are_counts(self) -> None:
        assert dimension("terminals") == dimension("") == "count"
        assert not known("terminals")
        assert known("°C/min")


class TestDisplay:
    """Messages show values as people say them."""

    @pytest.mark.parametrize(
        ("value", "type_", "spec", "text"),
        [
            (1_067_078.9, FLOAT64.with_unit("m"), "", "1067 km"),
            (999.4, FLOAT64.with_unit("m"), "", "999 m"),
            (12_345.6, FLOAT64.with_unit("m"), ".1", "12.3 km"),
            (300.0, FLOAT64.with_unit("m/s"), "", "1080 km/h"),
            (1.234, FLOAT64.with_unit("m/s"), "", "1.23 m/s"),
            (7_500_000, DURATION, "", "2h 5m"),
            (-1500, DURATION, "", "-1s 500ms"),
            (0, DURATION, "", "0s"),
            (22_050, decimal(2, "CNY"), "", "220.50 CNY"),
            (-5, decimal(2), "", "-0.05"),
            (10**20, Type(Kind.DECIMAL, scale=2, wide=True), "", "1000000000000000000.00"),
            (12_345, decimal(3), ".1", "12.3"),
            (0.1234, FLOAT64, "%", "12.3%"),
            (0.1234, FLOAT64, ".2%", "12.34%"),
            (0.12345, FLOAT64, "", "0.123"),
            (12.0, FLOAT64.with_unit("V"), "", "12 V"),
            (1e-9, FLOAT64, "", "0.000000001"),
            (123456.7, FLOAT64, "", "123457"),
            (5, INT64, ".2", "5.00"),
            (4, INT64.with_unit("terminals"), "", "4 terminals"),
            (3.0, FLOAT64.with_unit("1/min"), "", "3 /min"),
            (1_700_000_000_000, TIMESTAMP, "", "2023-11-15 06:13:20"),
            (1_700_000_000_000, TIMESTAMP, "%H:%M", "06:13"),
            (10**18, TIMESTAMP, "", "1000000000000000000 ms since 1970"),
            (["a", None, "b"], Type(Kind.LIST), "", "a, –, b"),  # noqa: RUF001  # the sign for null
            (True, BOOLEAN, "", "true"),
            ({"lat": 39.9, "lon": 116.4}, POINT, "", "39.9 116.4"),
            ("mall", STRING, "", "mall"),
        ],
    )
    def test_a_value_is_shown_with_its_unit(self, value: object, type_: Type, spec: str, text: str) -> None:
        assert display(value, type_, spec, zone="Asia/Shanghai") == text

    @pytest.mark.parametrize("type_", [INT64, decimal(2), DURATION, TIMESTAMP, STRING, POINT, Type(Kind.LIST)])
    def test_null_is_a_dash(self, type_: Type) -> None:
        assert display(None, type_) == "–"  # noqa: RUF001  # the sign for null

    @pytest.mark.parametrize(("type_", "spec"), [(STRING, ".2"), (INT64, "x"), (DURATION, "%"), (TIMESTAMP, ".2")])
    def test_a_format_that_does_not_fit_is_refused(self, type_: Type, spec: str) -> None:
        with pytest.raises(ValueError, match="does not format"):
            display(1, type_, spec)

    @given(st.integers(-(10**20), 10**20), st.integers(0, 18))
    @settings(max_examples=40)
    def test_a_decimal_loses_no_digit(self, value: int, scale: int) -> None:
        text = display(value, Type(Kind.DECIMAL, scale=scale, wide=True))
        whole, _, fraction = text.partition(".")
        assert int(whole + fraction) == value
        assert len(fraction) == scale
