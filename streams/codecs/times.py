"""How one point in time is read: the definition that the columnar forms must equal.

RFC 3339 with an offset; `YYYY-MM-DD HH:MM:SS[.fff]` and a bare date count as UTC; a whole number (or its text) is
milliseconds since the epoch. Digits after the millisecond are cut off. A leap second counts as the start of the next
minute. Any field may lie in the years 1 to 9999, the event time only in 1970 to 2100 (semantics 4).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from streams.codecs.numbers import read_int64
from streams.codecs.reasons import Bad, Reason, shown

EVENT_LEAST = 0
EVENT_MOST = 4_133_980_799_999
"""The last millisecond of the year 2100."""
TIME_LEAST = -62_135_596_800_000
TIME_MOST = 253_402_300_799_999
"""The first millisecond of the year 1 and the last of 9999."""

EPOCH_DAY = 719_163
"""1970-01-01 as an ordinal of the proleptic Gregorian calendar."""

_DATE = r"(?P<year>[+-]?\d{4,})-(?P<month>\d\d)-(?P<day>\d\d)"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d+))?"
_ZONE = r"(?:[Zz]|(?P<sign>[+-])(?P<ahead_h>\d\d):(?P<ahead_m>\d\d))"
_TEXT = re.compile(rf"{_DATE}(?:[Tt ]{_CLOCK}{_ZONE}?)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)


def read_timestamp(value: object) -> int:
    """Read a point in time as milliseconds since the epoch, UTC."""
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        time = _text_ms(value)
    elif isinstance(value, datetime):
        time = _datetime_ms(value)
    elif isinstance(value, date):
        time = (value.toordinal() - EPOCH_DAY) * 86_400_000
    else:
        time = _epoch_ms(value)
    if not TIME_LEAST <= time <= TIME_MOST:
        raise Bad(Reason.TIME_OUT_OF_RANGE, f"{shown(value)} is not within the years 1 to 9999")
    return time


def check_event_time(time: int, latest: int | None = None) -> int:
    """Give back an event time that is plausible; Bad `time-out-of-range`, or `time-ahead` if after `latest`."""
    if not EVENT_LEAST <= time <= EVENT_MOST:
        raise Bad(Reason.TIME_OUT_OF_RANGE, f"{time} ms since the epoch is not within 1970 to 2100")
    if latest is not None and time > latest:
        raise Bad(Reason.TIME_AHEAD, f"{time - latest} ms later than a record taken then may be")
    return time


def _epoch_ms(value: object) -> int:
    if isinstance(value, bool):
        raise Bad(Reason.WRONG_TYPE, f"{value} is not a time")
    try:
        return read_int64(value)
    except Bad as bad:
        if bad.reason is Reason.DOES_NOT_FIT:
            raise Bad(Reason.TIME_OUT_OF_RANGE, f"{shown(value)} is not within the years 1 to 9999") from None
        raise


def _datetime_ms(value: datetime) -> int:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _text_ms(text: str) -> int:
    found = _TEXT.fullmatch(text)
    if not found:
        raise Bad(Reason.WRONG_TYPE, f"{shown(text)} is not a time: expected RFC 3339 or milliseconds since the epoch")
    part = found.groupdict(default="0")
    return _day_ms(text, part) + _clock_ms(text, part) - _ahead_ms(text, part)


def _day_ms(text: str, part: dict[str, str]) -> int:
    year, month, day = part["year"], int(part["month"]), int(part["day"])
    if len(year) != 4 or year == "0000":  # noqa: PLR2004  # RFC 3339 knows four digits
        raise Bad(Reason.TIME_OUT_OF_RANGE, f"{shown(text)} is not within the years 1 to 9999")
    try:
        return (date(int(year), month, day).toordinal() - EPOCH_DAY) * 86_400_000
    except ValueError:
        raise Bad(Reason.WRONG_TYPE, f"{shown(text)}: there is no such day") from None


def _clock_ms(text: str, part: dict[str, str]) -> int:
    hour, minute, second = int(part["hour"]), int(part["minute"]), int(part["second"])
    if hour > 23 or minute > 59 or second > 60:  # noqa: PLR2004  # a clock's face, and leap seconds
        raise Bad(Reason.WRONG_TYPE, f"{shown(text)}: there is no such time of day")
    return ((hour * 60 + minute) * 60 + second) * 1000 + int(f"{part['fraction']:0<3}"[:3])


def _ahead_ms(text: str, part: dict[str, str]) -> int:
    hours, minutes = int(part["ahead_h"]), int(part["ahead_m"])
    if hours > 23 or minutes > 59:  # noqa: PLR2004  # RFC 3339, section 5.6
        raise Bad(Reason.WRONG_TYPE, f"{shown(text)}: there is no such offset from UTC")
    ahead = (hours * 60 + minutes) * 60_000
    return -ahead if part["sign"] == "-" else ahead
