"""`peers`: a key against the fleet of its class at the same time.

Idea. What moves all members of a class alike (weather, holiday, hour) is no anomaly of one of them. The rows of one
time and class are compared: value is their median, score the distance from it in robust standard deviations (1.4826
MAD). No history is needed, so a new member is judged from its first row that is full.

Where it is weak. A class must be homogeneous: members of different size need a column per unit of size (use per
capacity) to be watched instead. More than half of a class going wrong together moves the median itself. In a class of
five the MAD is a rough estimate; scores near the bound come and go. Members without a row at that time are not in it
(semantics 18); one without a value is neither in it nor judged.

Options
    class: the column whose equal values make a class; without it all rows of one time are one class.
    least: members with a value that a class must have for a judgement, default 5: below, a median of the absolute
        deviations is made by one or two members.
    width: half width of low..high in robust standard deviations, default 3.5, as Iglewicz and Hoaglin recommend.
    floor: least spread in units of the column, default 0; beside it, 1 % of the median always holds.

>>> import polars as pl
>>> from operators.contract import Instant
>>> from operators.detectors import detector_operator
>>> from tocsin.model.rows import Schema
>>> from tocsin.model.types import FLOAT64, STRING
>>> schema = Schema({"turbine": STRING, "power": FLOAT64})
>>> fleet = detector_operator("peers", "fleet", ("turbine",), "power", {}, schema)
>>> power = [2.0, 2.1, 1.9, 2.0, 2.2, 0.7]
>>> rows = pl.DataFrame({"turbine": list("abcdef"), "power": power, "__time": [0] * 6, "__id": list("abcdef")})
>>> fleet.step(rows, fleet.initial(), Instant(0)).rows["fleet.score"].round(2).to_list()
[0.0, 0.67, -0.67, 0.0, 1.35, -8.77]

Reference. B. Iglewicz, D. Hoaglin: How to Detect and Handle Outliers. ASQC Quality Press, 1993.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.detectors.contract import SCORED, DetectorKind, Option, OptionKind, Setting
from operators.detectors.robust import SEEN, judgement, spreads
from tocsin.model.rows import TIME
from tocsin.model.types import INT64

if TYPE_CHECKING:
    from operators.contract import Instant, State
    from tocsin.model.rows import Schema

_VALUE = "#value"


@dataclass(frozen=True, slots=True)
class Peers:
    """The operator; it keeps nothing, for rows of one time come in one step."""

    name: str
    setting: Setting
    output: Schema

    def initial(self) -> State:
        """Nothing is kept."""
        return {}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:  # noqa: ARG002  # needs no clock
        """Add the columns."""
        if rows.is_empty():
            return Step(self.output.empty(), state, None)
        groups = [TIME, self.setting.text("class")] if "class" in self.setting.options else [TIME]
        valued = rows.with_columns(self.setting.value.alias(_VALUE))
        fleet = spreads(valued.drop_nulls([_VALUE, *groups]), groups, _VALUE, self.setting.number("floor"))
        enough = fleet.filter(pl.col(SEEN) >= self.setting.whole("least"))
        beside = valued.join(enough, on=groups, how="left", maintain_order="left")
        judged = judgement(self.name, pl.col(_VALUE), self.setting.number("width"), "members")
        # Else a rule could compare a row that is still filling with low and high.
        shown = (pl.when(pl.col(_VALUE).is_not_null()).then(column) for column in judged)
        return Step(self.output.conform(beside.with_columns(shown)), state, None)


def _build(setting: Setting, output: Schema) -> Peers:
    if "class" in setting.options and setting.text("class") not in setting.schema.columns:
        raise ValueError(f"class names no column of the feature: {setting.text('class')!r}")
    return Peers(setting.name, setting, output)


PEERS = DetectorKind(
    name="peers",
    summary="against the fleet: rows of the same time and class, robust distance from their median",
    options=(
        Option("class", OptionKind.COLUMN, "the column whose equal values make a class; without it, all rows"),
        Option("least", OptionKind.COUNT, "members that a class must have to be judged", default=5),
        Option("width", OptionKind.NUMBER, "half width of low..high in robust standard deviations", default=3.5),
        Option("floor", OptionKind.NUMBER, "least spread, in units of the column", default=0.0),
    ),
    columns={**SCORED, "members": INT64},
    build=_build,
    peers=True,
)
