"""The kinds of single values: names, durations, numbers, levels, expressions, and so on."""

from __future__ import annotations

import re
import zoneinfo
from typing import TYPE_CHECKING

from tocsin.errors import nearest
from tocsin.language.durations import length_of
from tocsin.language.report import Wrong
from tocsin.language.shapes import Choice, Reading, Scalar, Schema, matching
from tocsin.language.text import Duration, Expression, Text
from tocsin.model.alerts import LEVELS

if TYPE_CHECKING:
    from tocsin.language.nodes import Node

NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_-]*"
COLUMN_PATTERN = r"(?!__)[A-Za-z_][A-Za-z0-9_]*"
DURATION_PATTERN = r"[0-9]+(\.[0-9]+)? ?(ms|s|m|min|h|d|w)( ?[0-9]+(\.[0-9]+)? ?(ms|s|m|min|h|d|w))*"
CLOCK_PATTERN = r"([01][0-9]|2[0-3]):[0-5][0-9]"
MOMENT_PATTERN = rf"(\d{{4}}-\d\d-\d\d[ T])?{CLOCK_PATTERN}(:[0-5][0-9](\.\d{{1,3}})?)?"
GREATEST_INTEGER = 2**63 - 1


def _some(text: Text) -> Text:
    if not text.strip():
        raise Wrong("an empty text")
    return text


def _expression(text: Text) -> Expression:
    if not text.strip():
        raise Wrong("an empty expression")
    return Expression(text, text.mark)


def _duration(text: Text) -> Duration:
    return Duration(length_of(text), text)


def _duration_or_none(text: Text) -> Duration:
    return Duration(length_of(text, least=0), text)


def _integer(text: Text) -> int:
    if not re.fullmatch(r"\d{1,3}(_?\d{3})*|\d{1,19}", text, re.ASCII) or int(text) > GREATEST_INTEGER:
        raise Wrong(f"{str(text)!r} is not a whole number")
    return int(text)


def _step(text: Text) -> float:
    if not re.fullmatch(r"\d{0,15}\.?\d{1,12}(e-?\d{1,2})?", text, re.ASCII) or not float(text) > 0:
        raise Wrong(f"{str(text)!r} is not a number above 0")
    return float(text)


def _boolean(text: Text) -> bool:
    if text not in {"true", "false"}:
        raise Wrong(f"{str(text)!r} is neither true nor false")
    return text == "true"


TEXT = Scalar("a text", "bad-text", _some)
ANY_TEXT = Scalar("a text", "bad-text", lambda text: text)
EXPRESSION = Scalar("an expression such as amount > 0", "bad-expression", _expression)
DURATION = Scalar("a duration such as 10m, 36h or 1d 12h", "bad-duration", _duration, DURATION_PATTERN)
DURATION_OR_ZERO = Scalar("a duration such as 5s, or 0s", "bad-duration", _duration_or_none, DURATION_PATTERN)
INTEGER = Scalar("a whole number such as 10", "bad-number", _integer)
STEP = Scalar("a number above 0 such as 0.001", "bad-number", _step)
BOOLEAN = Scalar("true or false", "bad-boolean", _boolean)
NAME = Scalar(
    "a name: a letter, then letters, digits, _ or -", "bad-name", matching(NAME_PATTERN, "name"), NAME_PATTERN
)
COLUMN = Scalar(
    "a column: a letter or one _, then letters, digits or _",
    "bad-name",
    matching(COLUMN_PATTERN, "column name"),
    COLUMN_PATTERN,
)
COLUMN_EXPRESSION = Scalar(
    "a column, or {name: expression} for what is more than a column",
    "bad-name",
    matching(COLUMN_PATTERN, "column name", Expression),
    COLUMN_PATTERN,
)
MOMENT = Scalar(
    "a time such as 10:00, 10:04:30 or 2026-03-01 10:00", "bad-time", matching(MOMENT_PATTERN, "time"), MOMENT_PATTERN
)
LANGUAGE_CODE = Scalar(
    "a language such as en or zh", "bad-language", matching(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", "language")
)
LEVEL = Choice("level", LEVELS, "bad-level")


def _is_zone(name: str) -> bool:
    """Whether the database has the zone; listing all of them would take longer than reading a topology."""
    if name.startswith(("right/", "posix/")):  # copies that some systems keep, with leap seconds
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


class Zone:
    """An IANA time zone."""

    words = "an IANA time zone such as Asia/Shanghai"

    def read(self, node: Node, reading: Reading) -> Text:
        """Give the zone's name, as it is in the time zone database."""
        text: Text = TEXT.read(node, reading)
        if not _is_zone(text):
            near = nearest(text, zoneinfo.available_timezones())
            raise reading.report.refuse(text.mark, "bad-zone", f"{str(text)!r} is no time zone", self.words, near)
        return text

    def schema(self, definitions: dict[str, Schema]) -> Schema:  # noqa: ARG002  # as Shape
        """Allow any text: the list of zones is long and changes."""
        return {"type": "string"}


ZONE = Zone()
