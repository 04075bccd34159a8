"""What a detector is: an operator that adds columns to the rows of its feature, and declares its options as data.

A detector named `usual` adds `usual.value`, `usual.score`, `usual.low`, `usual.high` and what its kind explains besides
(`columns` of the kind). All of them are null until the detector's history is filled: a half-filled one alarms. That
history begins once the rows themselves are full (`filling.py`): until then the watched column is null here. The rows,
their number and order, stay. A detector knows a key by the feature's `by` columns; its state is bounded by
its history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.division import over
from operators.windows.scaling import steps
from tocsin.errors import UnitError
from tocsin.model.rows import Schema
from tocsin.model.types import FLOAT64, Kind, Type
from tocsin.model.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from operators.contract import Operator

Value = int | float | str
"""Of an option: milliseconds of a duration (int), a number (float), a count (int), a word or a column's name (str)."""


class OptionKind(StrEnum):
    """How an option is written."""

    DURATION = "duration"
    NUMBER = "number"
    COUNT = "count"
    CHOICE = "choice"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a detector kind. `default` is typed; None with `doc` saying what then holds, if not `required`."""

    name: str
    kind: OptionKind
    doc: str
    default: Value | None = None
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a detector stands: its name, the key, the column it watches, its options, the rows it reads, the zone."""

    name: str
    by: tuple[str, ...]
    column: str
    options: Mapping[str, Value]
    schema: Schema
    zone: str = "UTC"

    @property
    def type(self) -> Type:
        """The type of the watched column."""
        return self.schema.columns[self.column]

    @property
    def value(self) -> pl.Expr:
        """The watched column as a Float64 in its unit; null if it is not finite."""
        number = pl.col(self.column).cast(pl.Float64)
        value = number if self.type.kind is Kind.FLOAT64 else over(number, steps(self.type))
        return pl.when(value.is_finite()).then(value)

    def number(self, option: str) -> float:
        """Give an option that is a number."""
        return float(self.options[option])

    def whole(self, option: str) -> int:
        """Give an option that is a count or a duration in ms."""
        return int(self.options[option])

    def text(self, option: str) -> str:
        """Give an option that is a word."""
        return str(self.options[option])


@dataclass(frozen=True, slots=True)
class DetectorKind:
    """One KIND of `detect`. `columns`: suffix -> type; None: that of the watched column, as a real number in its unit.

    `peers`: it compares rows of different keys, so it needs a stage keyed by the column of its `class` option.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    columns: Mapping[str, Type | None]
    build: Callable[[Setting, Schema], Operator]
    peers: bool = False

    def parsed(self, texts: Mapping[str, str]) -> dict[str, Value]:
        """Give all options, typed, with their defaults; ValueError with a sentence for what is wrong."""
        known = {option.name: option for option in self.options}
        if unknown := [name for name in texts if name not in known]:
            raise ValueError(f"{self.name} has no option {unknown[0]!r}; it has {', '.join(known)}")
        if missing := [option.name for option in self.options if option.required and option.name not in texts]:
            raise ValueError(f"{self.name} needs {', '.join(missing)}")
        defaults = {option.name: option.default for option in self.options if option.default is not None}
        return defaults | {name: parse_option(known[name], text) for name, text in texts.items()}

    def output(self, setting: Setting) -> Schema:
        """Give the schema of the feature's rows with the detector's columns."""
        watched = Type(Kind.FLOAT64, unit=setting.type.unit)
        kept = {name: type_ for name, type_ in setting.schema.columns.items() if not name.startswith("__")}
        added = {f"{setting.name}.{suffix}": type_ or watched for suffix, type_ in self.columns.items()}
        return Schema(kept | added, setting.schema.system)


def parse_option(option: Option, text: str) -> Value:
    """Give an option's value from its text; ValueError with a sentence if it is none."""
    if option.kind is OptionKind.DURATION:
        return _duration(option, text)
    if option.kind is OptionKind.CHOICE and text not in option.choices:
        raise ValueError(f"{option.name} is one of {', '.join(option.choices)}, not {text!r}")
    if option.kind in {OptionKind.CHOICE, OptionKind.COLUMN}:
        return text
    return _number(option, text)


def _duration(option: Option, text: str) -> int:
    try:
        ms = parse_duration(text)
    except UnitError as error:
        raise ValueError(f"{option.name}: {error}") from error
    if ms <= 0:
        raise ValueError(f"{option.name} must be longer than nothing")
    return ms


def _number(option: Option, text: str) -> int | float:
    try:
        number = int(text) if option.kind is OptionKind.COUNT else float(text)
    except ValueError:
        word = "a whole number" if option.kind is OptionKind.COUNT else "a number"
        raise ValueError(f"{option.name} is {word}, not {text!r}") from None
    if not (number >= 0 and math.isfinite(number)):
        raise ValueError(f"{option.name} cannot be {text}")
    return number


SCORED: Mapping[str, Type | None] = {"value": None, "score": FLOAT64, "low": None, "high": None}
