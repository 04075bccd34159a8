"""Points in time spelled as text, a column at a time.

All texts of one length that are laid out as the first of them are read as one matrix of digits; what is laid out
otherwise comes back null, for `times.read_timestamp` to judge.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.codecs.times import TIME_LEAST, TIME_MOST

if TYPE_CHECKING:
    import numpy.typing as npt

    Digits = npt.NDArray[np.int64]
    Bytes = npt.NDArray[np.uint8]

_LAYOUT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?P<point>\.\d+)?(?P<zone>[Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_STANDS = ((4, b"-"), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":"))
_DAYS_BEFORE_MONTH = np.array([0, 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275], dtype=np.int64)
"""Days from March 1 to the first of each month: with the year beginning in March a leap day is its last day."""
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_EPOCH_FROM_MARCH_0 = 719_468
"""Days from 0000-03-01 to 1970-01-01."""


class _Layout(NamedTuple):
    """Where the fraction and the zone stand: bounds of digits, and the zone's first byte."""

    fraction: tuple[int, int]
    zone: int | None
    offset: bool


def timestamps_of_texts(texts: pl.Series) -> pl.Series:
    """Give milliseconds since the epoch (Int64); null where a text is null or not surely read."""
    lengths = texts.str.len_bytes()
    result = np.zeros(len(texts), dtype=np.int64)
    sure = np.zeros(len(texts), dtype=np.bool_)
    for length in lengths.unique().drop_nulls():
        chosen = lengths == length
        where = chosen.fill_null(value=False).to_numpy()
        part = texts.filter(chosen)
        result[where], sure[where] = _of_one_length(part, length)
    return pl.select(pl.when(pl.Series(sure)).then(pl.Series(result))).to_series().alias(texts.name)


def _of_one_length(texts: pl.Series, length: int) -> tuple[Digits, npt.NDArray[np.bool_]]:
    layout = _layout(str(texts[0]))
    if layout is None:
        return np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=np.bool_)
    joined = texts.str.join("").item().encode()
    matrix = np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), length).T
    return _read(np.ascontiguousarray(matrix), layout, length)


def _layout(text: str) -> _Layout | None:
    found = _LAYOUT.fullmatch(text)
    if not found:
        return None
    zone = found.start("zone") if found["zone"] else None
    offset = zone is not None and text[zone] in "+-"
    begin, end = found.span("point") if found["point"] else (19, 19)
    return _Layout((min(begin + 1, end), end), zone, offset)


def _read(byte: Bytes, layout: _Layout, length: int) -> tuple[Digits, npt.NDArray[np.bool_]]:
    digit = byte - np.uint8(48)
    sure = np.ones(byte.shape[1], dtype=np.bool_)
    for place in _digit_places(layout, length):
        sure &= digit[place] <= 9  # noqa: PLR2004  # below "0" the byte wraps to above 9
    for place, allowed in _marks(layout, length):
        sure &= (
            np.isin(byte[place], np.frombuffer(allowed, dtype=np.uint8))
            if len(allowed) > 1
            else (byte[place] == allowed[0])
        )
    time = _day(digit, sure) * 86_400_000 + _clock(digit, layout, sure)
    if layout.offset and layout.zone is not None:
        time -= _ahead(byte, digit, layout.zone, sure)
    sure &= (time >= TIME_LEAST) & (time <= TIME_MOST)
    return time, sure


def _digit_places(layout: _Layout, length: int) -> list[int]:
    places = [*range(4), 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, *range(*layout.fraction)]
    return [*places, length - 5, length - 4, length - 2, length - 1] if layout.offset else places


def _marks(layout: _Layout, length: int) -> list[tuple[int, bytes]]:
    marks = list(_STANDS)
    if layout.fraction[0] < layout.fraction[1]:
        marks.append((19, b"."))
    if layout.zone is not None:
        marks.append((layout.zone, b"+-" if layout.offset else b"Zz"))
    return [*marks, (length - 3, b":")] if layout.offset else marks


def _number(digit: Bytes, first: int, count: int) -> Digits:
    value: Digits = digit[first].astype(np.int64)
    for place in range(first + 1, first + count):
        value = value * 10 + digit[place]
    return value


def _day(digit: Bytes, sure: npt.NDArray[np.bool_]) -> Digits:
    """Count days since the epoch, proleptic Gregorian, with years that begin in March."""
    year, month, day = _number(digit, 0, 4), _number(digit, 5, 2), _number(digit, 8, 2)
    sure &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)  # noqa: PLR2004  # months
    month = np.where(sure, month, 1)
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    sure &= day <= _MONTH_DAYS[month] + (leap & (month == 2))  # noqa: PLR2004  # February
    march_year = year - (month <= 2)  # noqa: PLR2004  # January and February end the year before
    leaps = march_year // 4 - march_year // 100 + march_year // 400
    days: Digits = march_year * 365 + leaps + _DAYS_BEFORE_MONTH[month] + day - 1 - _EPOCH_FROM_MARCH_0
    return days


def _clock(digit: Bytes, layout: _Layout, sure: npt.NDArray[np.bool_]) -> Digits:
    hour, minute, second = (_number(digit, place, 2) for place in (11, 14, 17))
    sure &= (hour <= 23) & (minute <= 59) & (second <= 60)  # noqa: PLR2004  # a clock's face, and leap seconds
    begin, end = layout.fraction
    digits = min(end - begin, 3)
    fraction = _number(digit, begin, digits) * 10 ** (3 - digits) if digits else 0
    return ((hour * 60 + minute) * 60 + second) * 1000 + fraction


def _ahead(byte: Bytes, digit: Bytes, zone: int, sure: npt.NDArray[np.bool_]) -> Digits:
    hours, minutes = _number(digit, zone + 1, 2), _number(digit, zone + 4, 2)
    sure &= (hours <= 23) & (minutes <= 59)  # noqa: PLR2004  # RFC 3339, section 5.6
    ahead: Digits = np.where(byte[zone] == ord("-"), -1, 1) * (hours * 60 + minutes) * 60_000
    return ahead
