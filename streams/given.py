"""`given` lines of a rule's test as records: repetitions, lists that go round, `{n}` in texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.language.model import GivenWord

_NUMBERED = re.compile(r"\{\s*n\s*(?:(?P<operator>[%+*/-])\s*(?P<operand>\d+)\s*)?\}")
_LIKE_NUMBERED = re.compile(r"\{\s*n\b[^}]*\}")


@dataclass(frozen=True, slots=True)
class Given:
    """Reads given lines; times of day are on `day` in `zone`."""

    zone: str
    day: date

    def moment(self, text: str) -> int:
        """Give a time (`10:00`, `10:04:30`, `2026-03-01 10:00`), checked by the language, in ms since the epoch."""
        written = text.strip().replace(" ", "T")
        day, _, clock = written.rpartition("T")
        hour, rest = clock.split(":", 1)
        moment = datetime.fromisoformat(f"{day or self.day.isoformat()}T{hour.zfill(2)}:{rest}").replace(
            tzinfo=ZoneInfo(self.zone)
        )
        return round(moment.timestamp() * 1000)

    def records(self, line: GivenWord, time_field: str) -> Iterator[dict[str, str]]:
        """Give the records of a line, values as text; `time_field` gets the time (RFC 3339).

        Raises:
            SourceError: the line gives no event, or a text in it cannot be computed.

        """
        times = self._times(line)
        if not times:
            raise SourceError("gives nothing: `until` is not after `at` (times of another day need their date)")
        for number, moment in enumerate(times):
            record = {str(name): _value(value, number) for name, value in line.values.items()}
            if moment is not None:
                record[time_field] = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
            yield record

    def _times(self, line: GivenWord) -> list[int | None]:
        if line.at is None:
            return [None]
        start = self.moment(line.at)
        if line.every is None:
            return [start]
        if line.times is not None:
            return [start + number * line.every.ms for number in range(line.times)]
        return list(range(start, self.moment(line.until or line.at), line.every.ms))


def _value(value: str | tuple[str, ...], number: int) -> str:
    """Give the value of the event with that number: a list goes round, `{n}` and `{n % 7}` are computed."""
    text = value if isinstance(value, str) else value[number % len(value)]
    filled = _NUMBERED.sub(lambda found: str(_computed(number, found["operator"], int(found["operand"] or 0))), text)
    if unknown := _LIKE_NUMBERED.search(filled):
        raise SourceError(f"{unknown[0]} is not known; expected {{n}}, or one of + - * / % between n and a number")
    return filled


def _computed(number: int, operator: str | None, operand: int) -> int:
    if operator in {"%", "/"} and operand == 0:
        raise SourceError(f"{{n {operator} 0}} has no value")
    match operator:
        case "%":
            return number % operand
        case "+":
            return number + operand
        case "-":
            return number - operand
        case "*":
            return number * operand
        case "/":
            return number // operand
        case _:
            return number
