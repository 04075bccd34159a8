"""JSON records become columns: the quick way and the way record by record are one decoder."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.codecs.decoder import OFFSET, Decoded, Decoder
from streams.codecs.json_record import parse_object
from streams.codecs.reasons import Bad
from streams.codecs.record import Layout, read_record
from streams.sources.contract import Records
from tocsin.model.types import BOOLEAN, FLOAT64, INT64, POINT, STRING, TIMESTAMP, Kind, Type, decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FIELDS = {
    "id": STRING,
    "at": TIMESTAMP,
    "count": INT64,
    "level": FLOAT64,
    "amount": decimal(2),
    "on": BOOLEAN,
    "ring": Type(Kind.DURATION, unit="s"),
    "place": POINT,
}
LAYOUT = Layout(FIELDS, "at", "id")


def decode(*lines: bytes, cut: bool = False) -> Decoded:
    return Decoder(LAYOUT).decode(Records(b"\n".join(lines) + (b"" if cut else b"\n"), cut=cut))


def record(**values: str) -> bytes:
    """Spell a record; values are JSON texts."""
    given_values = {"id": '"e"', "at": "1700000000000"} | values
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in given_values.items()) + "}").encode()


def fate(decoded: Decoded, offset: int) -> tuple[object, ...] | str | None:
    """Say what became of the record at an offset: its values, why it is dead, or None."""
    for letter in decoded.dead:
        if letter.offset == offset:
            return f"{letter.reason} {letter.field}".strip()
    found = decoded.rows.filter(decoded.rows[OFFSET] == offset).select(*FIELDS).rows()
    return found[0] if found else None


# --- an oracle of its own: what the documentation says, in plain Python ---


class Refused(Exception):
    """The oracle does not take a value: the argument is the reason."""


def oracle_number(value: object) -> Decimal:
    if isinstance(value, str):
        bare = value[1:] if value[:1] in {"+", "-"} else value
        if bare.lower() in {"nan", "inf", "infinity"}:
            raise Refused("not-finite")
        head, _, exponent = bare.lower().partition("e")
        digits = head.replace(".", "", 1)
        tail = exponent[1:] if exponent[:1] in {"+", "-"} else exponent
        if not (digits.isascii() and digits.isdigit()) or ("e" in bare.lower() and not tail.isdigit()):
            raise Refused("wrong-type")
        return Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("wrong-type")
    if not math.isfinite(value):
        raise Refused("not-finite")
    return Decimal(repr(value))


def oracle_int(value: object) -> int:
    if isinstance(value, bool):
        return int(value)
    number = oracle_number(value)
    if number != int(number):
        raise Refused("wrong-type")
    if not -(2**63) <= number < 2**63:
        raise Refused("does-not-fit")
    return int(number)


def oracle_float(value: object) -> float:
    number = float(oracle_number(value))
    if not math.isfinite(number):
        raise Refused("not-finite")
    return number


class Spelled(float):
    """A JSON number with its text."""

    text: str

    def __new__(cls, text: str) -> Spelled:  # noqa: PYI034  # `Self` breaks float's typing
        self = super().__new__(cls, text)
        self.text = text
        return self


def oracle_decimal(value: object) -> int:
    units = oracle_number(value) * 100
    if isinstance(value, Spelled) and abs(units) >= 10**15:
        units = Decimal(value.text) * 100
    if units != int(units) or not -(2**63) <= units < 2**63:
        raise Refused("does-not-fit")
    return int(units)


def oracle_time(value: object) -> int:
    if isinstance(value, str) and not value.lstrip("+-").isdigit():
        if "-" not in value or "T" not in value:
            raise Refused("wrong-type")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise Refused("wrong-type") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        time = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    elif isinstance(value, bool):
        raise Refused("wrong-type")
    else:
        try:
            time = oracle_int(value)
        except Refused as refused:
            raise Refused("time-out-of-range" if str(refused) == "does-not-fit" else str(refused)) from None
    if not 0 <= time < datetime(2101, 1, 1, tzinfo=UTC).timestamp() * 1000:
        raise Refused("time-out-of-range")
    return time


def oracle_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    text = f"{oracle_number(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def oracle_boolean(value: object) -> bool:
    known = {"true": True, "false": False, "1": True, "0": False}
    text = str(int(value)) if isinstance(value, int | float) and value in {0, 1} else str(value).lower()
    if text not in known or isinstance(value, dict | list):
        raise Refused("wrong-type")
    return known[text]


def oracle_seconds(value: object) -> int:
    length = oracle_float(value) * 1000
    if abs(length) > 10**15:
        raise Refused("does-not-fit")
    return round(length)


def oracle_place(value: object) -> dict[str, float]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if isinstance(value, dict):
        value = [value.get("lat"), value.get("lon")]
    if not isinstance(value, list) or len(value) != 2 or None in value:
        raise Refused("wrong-type")
    lat, lon = oracle_float(value[0]), oracle_float(value[1])
    if abs(lat) > 90 or abs(lon) > 180:
        raise Refused("out-of-range")
    return {"lat": lat, "lon": lon}


ORACLES: dict[str, Callable[[object], object]] = {
    "id": oracle_text,
    "at": oracle_time,
    "count": oracle_int,
    "level": oracle_float,
    "amount": oracle_decimal,
    "on": oracle_boolean,
    "ring": oracle_seconds,
    "place": oracle_place,
}


def _first(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(reversed(pairs))


def oracle(raw: bytes) -> tuple[object, ...] | str | None:  # noqa: PLR0911  # one answer per way to be bad
    if not raw.strip():
        return None
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_first, parse_float=Spelled)
    except UnicodeDecodeError:
        return "invalid-utf8"
    except ValueError:
        return "bad-json"
    if not isinstance(value, dict):
        return "bad-json"
    values: list[object] = []
    for name, read in ORACLES.items():
        if value.get(name) is None:
            if name in {"id", "at"}:
                return f"missing {name}"
            values.append(None)
            continue
        try:
            values.append(read(value[name]))
        except Refused as refused:
            return f"{refused} {name}"
    return tuple(values)


AWKWARD = [
    "null", "true", "false", "0", "1", "-0", "7", "3.0", "3.5", "1e3", "-2.50", "57.16", "0.1", "1e-3", "1.005",
    "85.64999999999999", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e18", "1e19",
    "1e300", "1e999", "NaN", "-Infinity", "99999999999999.99", "92233720368547758.07", '"57.16"', '"3"', '"3.0"',
    '"-0"', '"x"', '""', '"NaN"', '"inf"', '" 5"', '"+5"', '"5."', '".5"', '"1_0"', '"0x10"', '"1e2"', '"true"',
    '"FALSE"', '"e1"', '"é中"', '"a\\u0000"', '"39.90 116.40"', '"39.90, 116.40"', '"91 0"', "[39.9, 116.4]",
    '["39.9", 116.4]', "[1]", "[1, 2, 3]", "[null, 1]", "[]", '{"lat": 1, "lon": 2}', '{"lat": 1}',
    '{"lat": "x", "lon": 2}', '{"v": 1}', '"{"', '"[1]"', "1700000000000", "1.7e12", "1700000000000.5", "-1", "9e15",
    '"1700000000000"', '"2024-02-29T10:00:00Z"', '"2023-02-29T10:00:00Z"', '"2024-01-01T00:00:00.123456+08:00"',
    '"2024-01-01T00:00:00-00:30"', '"2024-01-01T24:00:00Z"', '"2024-13-01T00:00:00Z"', '"2024-01-01T00:00:00"',
    '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"', '"2100-12-31T23:59:59.999Z"', '"1969-12-31T23:59:59.999Z"',
    '"2024-01-01Tx0:00:00Z"',
]  # fmt: skip
USUAL = {
    "id": ['"e1"', '"e2"', "5"],
    "at": ["1700000000000", '"2024-02-29T10:00:00Z"', '"2024-02-29T10:00:00.5Z"'],
    "count": ["1", "2"],
    "level": ["1.5", "2"],
    "amount": ["57.16", "3", "0.1"],
    "on": ["true", "false"],
    "ring": ["1.5", "30"],
    "place": ['"39.90 116.40"', "[39.9, 116.4]", '{"lat": 1.5, "lon": 2.5}'],
}
LINES = [
    b"",
    b"  ",
    b"[1]",
    b"5",
    b"null",
    b'"x"',
    b'{"id": "e"',
    b"{",
    b'{"id": "\xff", "at": 1}',
    b'{"id": "e", "at": 5}}',
    b'{"id": "e", "id": "f", "at": 5}',
    b'{"id": "e", "at": 5, "q": [[{"a": [1]}]]}',
    b'{"id": "e", "at": 5, "q": "\\ud83d\\ude00"}',
    b'\t{"id": "e", "at": 5} ',
    b'{"id": "\\ud83d\\ude00", "at": 5}',
    b'{"id": "e", "at": 5, "q": 01}',
    b"\x00",
]

values = {
    name: st.one_of(st.sampled_from(usual), st.sampled_from(usual), st.sampled_from(AWKWARD), st.none())
    for name, usual in USUAL.items()
}
usual_records = st.fixed_dictionaries({name: st.sampled_from(usual) for name, usual in USUAL.items()})
records = st.fixed_dictionaries(values).map(lambda drawn: {n: v for n, v in drawn.items() if v is not None})
lines = st.one_of(
    usual_records.map(lambda drawn: record(**drawn)),
    records.map(lambda drawn: record(**drawn)),
    st.sampled_from(LINES),
)


class TestOneDecoder:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(lines, min_size=1, max_size=8))
    def test_a_record_becomes_what_the_documentation_says_whatever_stands_beside_it(self, drawn: list[bytes]) -> None:
        decoded = decode(*drawn)
        assert [fate(decoded, at) for at in range(len(drawn))] == [oracle(line) for line in drawn]

    @pytest.mark.parametrize("name", FIELDS)
    def test_every_awkward_value_of_every_type_is_read_as_the_oracle_reads_it(self, name: str) -> None:
        for first in USUAL[name]:  # what stands first decides how the columnar parser is set up
            drawn = [record(**{name: text}) for text in (first, *AWKWARD)]
            decoded = decode(*drawn)
            for at, line in enumerate(drawn):
                assert fate(decoded, at) == oracle(line), line

    @pytest.mark.parametrize("name", FIELDS)
    def test_an_awkward_value_in_a_record_that_lacks_nothing_is_read_as_the_oracle_reads_it(self, name: str) -> None:
        whole = record(**{field: usual[0] for field, usual in USUAL.items()})
        decoder = Decoder(LAYOUT)
        for text in AWKWARD:
            line = record(**{field: usual[0] for field, usual in USUAL.items()} | {name: text})
            decoded = decoder.decode(Records(b"\n".join([whole, line, whole])))
            assert [fate(decoded, at) for at in range(3)] == [oracle(whole), oracle(line), oracle(whole)], line

    @pytest.mark.parametrize("digits", [19, 39, 45, 200])
    def test_a_number_that_fits_nowhere_is_a_letter_among_few_whole_records(self, digits: int) -> None:
        layout = Layout({"id": STRING, "count": INT64}, "", "id")
        lines = [b'{"id":"a","count":1}', b'{"id":"b","count":' + b"9" * digits + b"}", b'{"id":"c","count":3}']
        decoded = Decoder(layout).decode(Records(b"\n".join(lines) + b"\n"))
        assert decoded.rows["id"].to_list() == ["a", "c"]
        assert [(letter.offset, letter.reason) for letter in decoded.dead] == [(1, "does-not-fit")]

    @pytest.mark.parametrize("broken", [(b'{"id":"b"}{"id":"c"}', b""), (b'{"id":"b",', b'"count":2}{"id":"c"}')])
    def test_objects_are_not_counted_over_the_ends_of_few_lines(self, broken: tuple[bytes, bytes]) -> None:
        layout = Layout({"id": STRING}, "", "id")
        decoded = Decoder(layout).decode(Records(b"\n".join([b'{"id":"a"}', *broken]) + b"\n"))
        assert decoded.rows["id"].to_list() == ["a"]
        assert 1 in [letter.offset for letter in decoded.dead]

    def test_a_first_record_nested_beyond_measure_ends_nothing(self) -> None:
        deep = record(other="[" * 3000 + "]" * 3000)
        assert decode(deep, record()).rows[OFFSET].to_list()[-1] == 1

    def test_few_records_that_lack_nothing_need_no_other_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = record(**{field: usual[0] for field, usual in USUAL.items()})
        monkeypatch.setattr(pl, "read_ndjson", None)
        assert decode(whole, whole).rows.height == 2

    @settings(max_examples=40, deadline=None)
    @given(records)
    @example({"id": '"\\ud800"'})
    def test_a_record_in_company_is_what_it_is_alone(self, drawn: dict[str, str]) -> None:
        line = record(**drawn)
        try:
            alone: object = tuple(read_record(parse_object(line), LAYOUT).values())
        except Bad as bad:
            alone = f"{bad.reason} {bad.field}".strip()
        assert fate(decode(record(), line, record()), 1) == alone

    @settings(max_examples=30, deadline=None)
    @given(st.lists(lines, min_size=2, max_size=12), st.integers(1, 11))
    def test_the_result_does_not_depend_on_how_records_are_cut_into_batches(self, drawn: list[bytes], cut: int) -> None:
        decoder = Decoder(LAYOUT)
        parts = [drawn[:cut], drawn[cut:]]
        decoded = [
            decoder.decode(Records(b"\n".join(part) + b"\n", first=first))
            for part, first in zip(parts, (0, cut), strict=True)
            if part
        ]
        together = decode(*drawn)
        assert [row for part in decoded for row in part.rows.rows()] == together.rows.rows()
        assert [letter for part in decoded for letter in part.dead] == together.dead


class TestDeadRecords:
    @pytest.mark.parametrize(
        ("line", "reason", "field"),
        [
            (record(count='{"deep": 1}'), "wrong-type", "count"),
            (record(level="NaN"), "not-finite", "level"),
            (record(level="-Infinity"), "not-finite", "level"),
            (record(level="1e999"), "not-finite", "level"),
            (record(amount="57.165"), "does-not-fit", "amount"),
            (record(amount='"1e30"'), "does-not-fit", "amount"),
            (record(amount='"1e999999999"'), "does-not-fit", "amount"),
            (record(count="1" * 200), "does-not-fit", "count"),
            (record(at='"0001-01-01T00:00:00Z"'), "time-out-of-range", "at"),
            (record(at='"292277-01-09T04:00:54Z"'), "time-out-of-range", "at"),
            (record(at="9223372036854775807"), "time-out-of-range", "at"),
            (record(at="null"), "missing", "at"),
            (record(id="null"), "missing", "id"),
            (record(id='"\\ud800"'), "invalid-utf8", "id"),
            (b'{"id": "\xff\xfe", "at": 1}', "invalid-utf8", ""),
            (b"[" * 200_000, "bad-json", ""),
        ],
    )
    def test_a_bad_record_dies_with_reason_and_field_between_good_ones(
        self, line: bytes, reason: str, field: str
    ) -> None:
        decoded = decode(record(), line, record())
        assert decoded.rows[OFFSET].to_list() == [0, 2]
        assert [(letter.offset, letter.reason, letter.field) for letter in decoded.dead] == [(1, reason, field)]
        assert decoded.dead[0].raw == line

    def test_a_record_that_is_dead_for_another_reason_still_says_its_time(self) -> None:
        assert [letter.time for letter in decode(record(count='"x"'), b'{"at": 5}', b'{"id": "e"}').dead] == [
            1700000000000,
            5,
            None,
        ]

    def test_the_last_record_of_a_cut_file_is_called_truncated(self) -> None:
        (letter,) = decode(record(), record()[:-7], cut=True).dead
        assert letter.reason == "truncated"

    def test_a_whole_last_record_needs_no_newline(self) -> None:
        assert decode(record(), record(), cut=True).rows.height == 2

    def test_an_unknown_name_is_passed_over_and_named(self) -> None:
        decoded = decode(record(colour='"red"'))
        assert decoded.rows.height == 1
        assert decoded.unknown == {"colour"}

    def test_of_a_name_that_stands_twice_the_first_counts(self) -> None:
        decoded = decode(
            b'{"id": "e", "at": 5, "count": 1, "count": 2}', b'{"id": "e", "at": 5, "count": 1, "count": "x"}'
        )
        assert decoded.rows["count"].to_list() == [1, 1]


class TestIngestionTimestamps:
    def decode_taken_at(self, taken: Sequence[int | None]) -> Decoded:
        lines = [record(), record(count='"x"'), record()]
        return Decoder(LAYOUT).decode(Records.of(lines, [7, 9, 12], taken))

    def test_offsets_with_gaps_are_kept(self) -> None:
        decoded = self.decode_taken_at([None, None, None])
        assert decoded.rows[OFFSET].to_list() == [7, 12]
        assert [letter.offset for letter in decoded.dead] == [9]

    def test_a_time_too_far_ahead_of_the_ingestion_timestamp_is_dead_and_moves_no_watermark(self) -> None:
        hour = 3_600_000
        decoded = self.decode_taken_at([1700000000000 - hour, 1700000000000 - hour - 1, 1700000000000 - hour - 1])
        assert decoded.rows[OFFSET].to_list() == [7]
        assert [(letter.reason, letter.time) for letter in decoded.dead] == [("time-ahead", None)] * 2
