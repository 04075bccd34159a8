"""Whole columns are trusted only where they give what each value gives alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.codecs.columns import Converter, carriers
from streams.codecs.reasons import Bad
from streams.codecs.scalars import read_value
from streams.codecs.time_texts import timestamps_of_texts
from tocsin.model.types import BOOLEAN, FLOAT64, INT64, POINT, POLYGON, STRING, TIMESTAMP, Kind, Type, decimal

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPES = {
    str(type_): type_
    for type_ in (
        STRING,
        INT64,
        FLOAT64,
        BOOLEAN,
        TIMESTAMP,
        POINT,
        decimal(0),
        decimal(2),
        decimal(9),
        Type(Kind.DURATION, unit="s"),
        Type(Kind.DURATION),
    )
}
LEAP = datetime(2024, 2, 29, 1, 2, 3, 999_999)  # noqa: DTZ001  # naive ones count as UTC
BEFORE = datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001  # as above
numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
    st.sampled_from(
        [0.0, -0.0, 1.0, 2.0**53, 2.0**63, -(2.0**63), 1e15, 1e-9, 85.64999999999999, 1.005, 92233720368547.75]
    ),
)
wholes = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-3, 3),
    st.sampled_from([2**53 + 1, 253402300799999, 253402300800000, -62135596800001, 10**15 + 1]),
)
spelled = st.one_of(
    st.text(st.sampled_from("0123456789+-.eE_ \tx"), max_size=8),
    numbers.map(repr),
    wholes.map(str),
    st.builds("{}.{}".format, wholes, st.integers(0, 10**12)),
    st.sampled_from(["true", "False", "TRUE", "nan", "-inf", "Infinity", "39.9 116.4", "39.9,116.4", "-90 180"]),
    st.sampled_from(["1.2.3 4", "0x1", "\uff11"]),
)  # fmt: skip
clocks = st.builds(
    "{:04d}-{:02d}-{:02d}{}{:02d}:{:02d}:{:02d}{}{}".format,
    st.sampled_from([0, 1, 4, 100, 1582, 1900, 1969, 1970, 2000, 2023, 2024, 2100, 9999]),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from(["T", " ", "t", "x"]),
    st.integers(0, 24),
    st.integers(0, 60),
    st.integers(0, 61),
    st.sampled_from(["", ".5", ".123", ".999999999", ".", ",5"]),
    st.sampled_from(["", "Z", "z", "+08:00", "-23:59", "+24:00", "+0800", "Z "]),
)


def agree(values: Sequence[object], dtype: pl.DataType, type_: Type) -> None:
    """Check every value that the columns trust against the scalar reading."""
    column = pl.Series("x", values, dtype=dtype, strict=False)
    frame, doubt = Converter({"x": type_}).convert(carriers(column.to_frame()))
    assert frame["x"].dtype == type_.physical
    for value, found, doubted in zip(
        carriers(column.to_frame())["x"].to_list(), frame["x"].to_list(), doubt, strict=True
    ):
        if not doubted:
            expected = read_value(value, type_)
            assert found == expected
            assert repr(found) == repr(expected)  # tells 0.0 from -0.0


@pytest.mark.parametrize("name", TYPES)
class TestTrust:
    @settings(max_examples=15, deadline=None)
    @given(values=st.lists(st.none() | numbers, min_size=1, max_size=30))
    @example(values=[-(2.0**63), 2.0**63])
    def test_floats(self, name: str, values: list[float | None]) -> None:
        agree(values, pl.Float64(), TYPES[name])

    @settings(max_examples=15, deadline=None)
    @given(values=st.lists(st.none() | wholes, min_size=1, max_size=30))
    def test_integers(self, name: str, values: list[int | None]) -> None:
        agree(values, pl.Int64(), TYPES[name])

    @settings(max_examples=25, deadline=None)
    @given(values=st.lists(st.none() | spelled, min_size=1, max_size=30))
    def test_texts(self, name: str, values: list[str | None]) -> None:
        agree(values, pl.String(), TYPES[name])

    def test_other_columns(self, name: str) -> None:
        for dtype, values in (
            (pl.UInt64(), [2**64 - 1, 0, None]),
            (pl.Int8(), [-1, 1, None]),
            (pl.Float32(), [57.16, 0.1, 3.0, None, float("nan")]),
            (pl.Boolean(), [True, False, None]),
            (pl.Decimal(20, 2), [Decimal("57.16"), Decimal("3.00"), Decimal("-0.01"), None]),
            (pl.Decimal(38, 6), [Decimal("57.160000"), Decimal("0.000001"), None]),
            (pl.Categorical(), ["5", "x", None]),
            (pl.Binary(), [b"5", b"\xff", None]),
            (pl.Datetime("us"), [LEAP, BEFORE, None]),
            (pl.Date(), [date(1, 1, 1), date(2024, 2, 29), None]),
            (pl.List(pl.Float64()), [[1.0, 2.0], [91.0, 0.0], [1.0], [1.0, None], [], None]),
            (pl.Array(pl.Float64(), 2), [[1.0, 2.0], None]),
            (pl.List(pl.String()), [["a"], None]),
            (POINT.physical, [{"lat": 1.0, "lon": 2.0}, {"lat": None, "lon": 2.0}, None]),
            (pl.Null(), [None]),
        ):  # fmt: skip
            try:
                agree(values, dtype, TYPES[name])
            except Bad as bad:
                pytest.fail(f"{dtype} was trusted: {bad}")


class TestTimes:
    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.none() | clocks, min_size=1, max_size=6))
    @example(["2024-02-29T23:59:60Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z"])
    def test_a_column_of_texts_gives_what_each_text_gives_or_nothing(self, texts: list[str | None]) -> None:
        for text, found in zip(texts, timestamps_of_texts(pl.Series(texts, dtype=pl.String)), strict=True):
            if found is not None:
                assert found == read_value(text, TIMESTAMP)

    @settings(max_examples=60, deadline=None)
    @given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001  # the zone is added below
    def test_the_standard_spelling_is_read_as_python_reads_it(self, moment: datetime, ahead: int) -> None:
        sign, (hours, minutes) = "-" if ahead < 0 else "+", divmod(abs(ahead), 60)
        text = f"{moment.isoformat(timespec='milliseconds')}{sign}{hours:02d}:{minutes:02d}"
        expected = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
            milliseconds=1
        ) - ahead * 60_000
        assert read_value(text, TIMESTAMP) == expected
        assert timestamps_of_texts(pl.Series([text]))[0] == expected

    def test_usual_spellings_are_read_by_columns(self) -> None:
        texts = ["2024-01-01T00:00:00Z", "2024-01-01 00:00:00", "2024-01-01T08:00:00.000+08:00", None]
        assert timestamps_of_texts(pl.Series(texts)).to_list() == [1704067200000] * 3 + [None]


class TestPolygons:
    RING = "POLYGON ((0 0, 1 0, 1 1, 0 0))"

    @pytest.mark.parametrize(
        "value",
        [
            "polygon((0 0,1 0, 1.0 1,0 0))",
            [[0, 0], [1, 0], [1, 1], [0, 0]],
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        ],
    )
    def test_every_spelling_becomes_the_same_text(self, value: object) -> None:
        assert read_value(value, POLYGON) == self.RING

    def test_holes_are_kept(self) -> None:
        text = "POLYGON ((0 0, 9 0, 9 9, 0 0), (1 1, 2 1, 2 2, 1 1))"
        assert read_value(text, POLYGON) == text

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("POLYGON ((0 0, 1 0, 1 1))", "wrong-type"),
            ("POLYGON ((0 0, 1 0, 1 1, 5 5))", "wrong-type"),
            ("POLYGON ((0 0, 1 0, 1 95, 0 0))", "out-of-range"),
            ("POLYGON ((0 0 0, 1 0 0, 1 1 0, 0 0 0))", "wrong-type"),
            ("POINT (0 0)", "wrong-type"),
            (5, "wrong-type"),
            ({"type": "Point", "coordinates": [0, 0]}, "wrong-type"),
        ],
    )
    def test_what_is_no_polygon_is_refused(self, value: object, reason: str) -> None:
        with pytest.raises(Bad) as caught:
            read_value(value, POLYGON)
        assert caught.value.reason == reason
