"""The world that cases are drawn in: streams, tables, awkward values, units of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from .case import Change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .case import Event

SPAN = 40
"""How many units of time a run lasts."""

KEYS = ["a", "b", "é", "", None]
OTHERS = ["x", "y", "x\ty", None]
CELLS = ["c1", "c2", "c3", "unknown", None]
SPOTS = ["39.90 116.40", "39.91 116.41", "-31.2 -121.5", "0 180", None]
VALUES: Mapping[str, list[object]] = {
    "key": KEYS,
    "other": OTHERS,
    "pieces": [0, 1, 2, 3, -3, 1 << 40, -(1 << 62), None],
    "amount": [0, 1, 2.5, 0.01, -1, 99999999.99, None],
    "level": [0.0, -0.0, 0.5, 1.25, -2.25, 1e-9, 123456.789, None],
    "ok": [True, False, None],
    "who": ["w1", "w2", "w3", None],
    "cell": CELLS,
    "spot": SPOTS,
}
USUAL: Mapping[str, list[object]] = {name: values[:3] for name, values in VALUES.items()}
FIELDS = {
    "id": "string",
    "at": "timestamp",
    "key": "string",
    "other": "string",
    "pieces": "int64",
    "amount": "decimal(2)",
    "level": {"type": "float64", "resolution": "0.001"},
    "ok": "boolean",
    "who": "person(phone)",
    "cell": "cells",
    "spot": "point",
}
LABEL_FIELDS = {"name": "string", "seen": "timestamp", "key": "string", "bad": "boolean", "worth": "int64"}
LABEL_VALUES: Mapping[str, list[object]] = {"key": KEYS, "bad": [True, False, None], "worth": [0, 1, 5, -7, None]}

AREA = "POLYGON ((116.3 39.8, 116.405 39.8, 116.405 39.95, 116.3 39.95, 116.3 39.8))"
TABLES: Mapping[str, Mapping[str, object]] = {
    "cells": {
        "key": "cell",
        "topic": "cells",
        "fields": {"cell": "string", "unit": "units", "spot": "point", "own": "int64", "fence": "polygon"},
    },
    "units": {
        "key": "unit",
        "fields": {"unit": "string", "parent": "units", "room": "int64"},
        "rows": [
            {"unit": "u1", "parent": "top", "room": "2"},
            {"unit": "u2", "parent": "top", "room": "3"},
            {"unit": "top", "room": "4"},
        ],
    },
    "limits": {
        "key": ["key", "slot"],
        "topic": "limits",
        "fields": {"key": "string", "slot": "string", "most": "int64"},
    },
    "trusted": {"key": "key", "topic": "trusted", "fields": {"key": "string"}},
}


@dataclass(frozen=True, slots=True)
class Clock:
    """The unit of time of a case: windows and times are small multiples of it."""

    unit: str
    number: int
    ms: int

    def text(self, times: int) -> str:
        """Write a duration."""
        return f"{times * self.number}{self.unit}"

    @property
    def start(self) -> int:
        """Where a case begins: so that it goes over a full hour, or over a change of clocks in Berlin."""
        middle = datetime(2026, 3, 29, 1, tzinfo=UTC)
        return round(middle.timestamp() * 1000) - SPAN * self.ms // 2


CLOCKS = [Clock("s", 1, 1000), Clock("m", 10, 600_000), Clock("h", 6, 21_600_000)]


@st.composite
def moments(draw: st.DrawFn, clock: Clock) -> int:
    """Draw an event time: mostly a whole number of units, so that ties and window borders are common."""
    whole = clock.start + draw(st.integers(0, SPAN)) * clock.ms
    return whole + draw(st.sampled_from([0, 0, 0, 0, 1, -1, clock.ms // 2]))


@st.composite
def events(draw: st.DrawFn, clock: Clock, values: Mapping[str, list[object]], most: int) -> list[Event]:
    """Draw records of a stream, copies of some among them: exact ones, and ones that differ.

    Id and time stand under the names of both streams.
    """
    drawn: list[Event] = []
    for number in range(draw(st.integers(0, most))):
        source = draw(st.sampled_from([USUAL, USUAL, VALUES])) if values is VALUES else values
        event = {name: draw(st.sampled_from(source[name])) for name in values}
        name, at = f"{number % 23}é" if number % 5 else str(number), draw(moments(clock))
        drawn.append({"id": name, "at": at, "name": name, "seen": at, **event})
    for number in draw(st.lists(st.integers(0, most), max_size=4)):
        if number < len(drawn):
            other = {"amount": 7, "other": "y"} if values is VALUES else {"worth": 9}
            drawn.append({**drawn[number], **(other if draw(st.booleans()) else {})})
    return drawn


@st.composite
def changes(draw: st.DrawFn, clock: Clock) -> dict[str, list[Change]]:
    """Draw the changes of all tables; deleted rows and rows that hold from the beginning among them."""
    cells = [
        {"cell": cell, "unit": draw(st.sampled_from(["u1", "u2", "nowhere"])), "own": str(number), "fence": AREA}
        | ({"spot": "39.90 116.40"} if number else {})
        for number, cell in enumerate(["c1", "c2", "c3", "c2", "c1"])
    ]
    limits = [{"key": key, "slot": slot, "most": str(draw(st.integers(0, 4)))} for key in "ab" for slot in "xyx"]
    trusted = [{"key": key} for key in "abab"]
    rows = {"cells": cells, "limits": limits, "trusted": trusted}
    return {
        name: [_change(draw, clock, row) for row in of[: draw(st.integers(0, len(of)))]] for name, of in rows.items()
    }


def _change(draw: st.DrawFn, clock: Clock, row: Mapping[str, str]) -> Change:
    since = draw(st.one_of(st.none(), moments(clock)))
    return Change(row, since, since is not None and draw(st.integers(0, 3)) == 0)
