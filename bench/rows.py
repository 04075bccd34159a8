"""A row of the table: what was measured, what was asked, and against what of the same run it is compared."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_RUN = "NOT RUN"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    `target`: the bound that the value must keep, None if the row is there for comparison only. `most`: whether the
    target is an upper bound. `ratio`: the value over that of `base`, measured in the same run. `cpu`: seconds of
    processor time, user and system, beside the wall clock. `note`: why it was not run, or how it was measured.
    """

    name: str
    value: float | None
    unit: str
    target: float | None = None
    most: bool = False
    ratio: float | None = None
    base: str = ""
    cpu: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Say whether the target is kept."""
        if self.value is None:
            return NOT_RUN
        if self.target is None:
            return ""
        kept: Callable[[float, float], bool] = operator.le if self.most else operator.ge
        return "ok" if kept(self.value, self.target) else "missed"

    def cells(self) -> tuple[str, ...]:
        """Give the row as the table shows it."""
        bound = "" if self.target is None else f"{'<=' if self.most else '>='} {self.target:,.6g}"
        value = "" if self.value is None else f"{self.value:,.4g}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x {self.base}"
        cpu = "" if self.cpu is None else f"{self.cpu:.1f} s"
        return (self.name, value, self.unit, bound, ratio, cpu, self.verdict, self.note)


HEAD = ("row", "value", "unit", "target", "ratio", "CPU", "", "note")


def table(rows: list[Row]) -> str:
    """Give the rows as aligned text."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
