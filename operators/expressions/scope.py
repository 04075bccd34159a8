"""What names mean where an expression stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.model.types import Type


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table as expressions see it: its key fields in order, and the types of all its fields."""

    key: tuple[str, ...]
    fields: Mapping[str, Type]


@dataclass(frozen=True, slots=True)
class Constant:
    """A parameter: a number, text or Boolean, its type (with unit) and how its author wrote it."""

    value: float | int | str | bool
    type: Type
    text: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Columns, tables and parameters that an expression may name; `zone` for `during` and parts of time."""

    columns: Mapping[str, Type]
    tables: Mapping[str, TableShape] = field(default_factory=dict)
    parameters: Mapping[str, Constant] = field(default_factory=dict)
    zone: str = "UTC"
