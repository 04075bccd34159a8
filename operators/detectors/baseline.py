"""`baseline`: a key against its own usual value at this time of the day or week.

Idea. The history of a key is cut into cells of its season (hour of the week: Monday 00-01, …). value is the median of
the cell, score the distance from it in robust standard deviations (1.4826 MAD). Medians do not follow single
outliers, and what was flagged (|score| above `ignore`) is not learnt at all. A baseline is made anew when a key has
its first row in a cell of the grid `refresh` (from the epoch) out of what was known before that cell: so it does not
depend on batches, and its cost is that of a median per key and refresh, not per row.

Learning a new level. What is flagged stays in the history under suspicion. If, when a baseline is made, most values
of a cell in the last `accept` are suspects, they are the new level: they are taken, and what is older in that cell is
forgotten.

Where it is weak. A cell needs `least` values, so `hour of week` learns nothing useful from less than some four weeks,
and holidays look like anomalies. Slow drift is learnt and never flagged: that is what `drift` is for. A value that
never moved gives no spread but the floor: set `floor` for counts, that are mostly 0.

Options
    season: `hour of day`, `hour of week`, `day of week` (in the zone of the topology, by the row's time) or `none`
        (default): which rows are alike.
    history: how far back values count, required. All columns are null until a key has been seen for so long; over
        windows and occupancies, seen with rows that are full.
    refresh: width of the grid on which baselines are made anew; default an eighth of the history, at most 1d.
    ignore: flagged above this |score|, and half width of low..high; default 3.5, as Iglewicz and Hoaglin recommend.
    accept: the time whose suspects may become the new level; default half of the history.
    least: values that a cell must have, default 3.
    floor: least spread in units of the column, default 0; beside it, 1 % of the median always holds.

`seen` is the number of values that the baseline was made of.

>>> import polars as pl
>>> from operators.contract import Instant
>>> from operators.detectors import detector_operator
>>> from tocsin.model.rows import Schema
>>> from tocsin.model.types import FLOAT64, STRING
>>> schema = Schema({"meter": STRING, "used": FLOAT64})
>>> usual = detector_operator("baseline", "usual", ("meter",), "used", {"history": "8h", "refresh": "1h"}, schema)
>>> hours = [hour * 3_600_000 for hour in range(11)]
>>> used = [5.0, 5.2, 4.9, 5.1, 5.0, 4.8, 5.3, 5.0, 5.1, 9.0, 5.2]
>>> rows = pl.DataFrame({"meter": ["m"] * 11, "used": used, "__time": hours, "__id": ["m"] * 11})
>>> usual.step(rows, usual.initial(), Instant(hours[-1])).rows["usual.score"].round(2).to_list()[8:]
[0.67, 26.64, 1.35]

Reference. B. Iglewicz, D. Hoaglin: How to Detect and Handle Outliers. ASQC Quality Press, 1993.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.detectors.contract import SCORED, DetectorKind, Option, OptionKind, Setting
from operators.detectors.history import BLOCK, CELL, FLAGGED, VALUE, History
from operators.detectors.robust import MEDIAN, SEEN, SPREAD, judgement
from tocsin.model.rows import TIME
from tocsin.model.types import INT64

if TYPE_CHECKING:
    from operators.contract import Instant, State
    from tocsin.model.rows import Schema

_DAY = 86_400_000
_ALL = "#all"

SEASONS = ("none", "hour of day", "hour of week", "day of week")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The operator. State: the values of one history, and the baseline and age of each key."""

    name: str
    setting: Setting
    output: Schema

    def initial(self) -> State:
        """Give the state before any row."""
        return {}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:  # noqa: ARG002  # needs no clock
        """Add the columns."""
        if rows.is_empty():
            return Step(self.output.empty(), state, None)
        history = History(self._keys, self.setting)
        state = dict(state)
        rows = self._prepared(rows)
        early = history.early(state, rows)
        given = []
        if early:
            history.begin(state, rows.head(early))
            given.append(self._judged(rows.head(early), None))
            history.learn(state, given[0])
        for (block,), part in rows.slice(early).group_by(BLOCK, maintain_order=True):
            history.refresh(state, part, int(block))
            judged = self._judged(part, history.baselines(state))
            history.learn(state, judged)
            given.append(judged)
        return Step(self.output.conform(pl.concat(given)), state, None)

    @property
    def _keys(self) -> tuple[str, ...]:
        return self.setting.by or (_ALL,)

    def _prepared(self, rows: pl.DataFrame) -> pl.DataFrame:
        refresh = self.setting.whole("refresh")
        extra = [] if self.setting.by else [pl.lit(0, dtype=pl.Int8).alias(_ALL)]
        return rows.with_columns(
            *extra,
            (pl.col(TIME) // refresh * refresh).alias(BLOCK),
            self.setting.value.alias(VALUE),
            season_cell(self.setting.text("season"), self.setting.zone).alias(CELL),
        )

    def _judged(self, rows: pl.DataFrame, baselines: pl.DataFrame | None) -> pl.DataFrame:
        """Add the columns and whether the value is suspect."""
        if baselines is None:
            nothing = {MEDIAN: pl.Float64, SPREAD: pl.Float64, SEEN: pl.Int64}
            baselines = (
                rows.select(*self._keys, CELL)
                .clear()
                .with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in nothing.items())
            )
        joined = rows.join(baselines, on=[*self._keys, CELL], how="left", maintain_order="left")
        ignore = self.setting.number("ignore")
        named = joined.with_columns(judgement(self.name, pl.col(VALUE), ignore, "seen"))
        flagged = (pl.col(f"{self.name}.score").abs() > ignore).fill_null(value=False)
        return named.with_columns(flagged.alias(FLAGGED))


def season_cell(season: str, zone: str) -> pl.Expr:
    """Give the number of the row's cell: 0..23, 0..167, 0..6, or always 0; by the local time of `__time`."""
    local = pl.from_epoch(pl.col(TIME), "ms").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    hour, day = local.dt.hour().cast(pl.Int16), local.dt.weekday().cast(pl.Int16) - 1
    cells = {"hour of day": hour, "hour of week": day * 24 + hour, "day of week": day}
    return cells.get(season, pl.lit(0, dtype=pl.Int16))


def _build(setting: Setting, output: Schema) -> Baseline:
    history = setting.whole("history")
    own = {"refresh": max(1, min(history // 8, _DAY)), "accept": max(1, history // 2)}
    filled = Setting(
        setting.name, setting.by, setting.column, own | dict(setting.options), setting.schema, setting.zone
    )
    if filled.whole("refresh") > history or filled.whole("accept") > history:
        raise ValueError("refresh and accept cannot be longer than the history")
    return Baseline(setting.name, filled, output)


BASELINE = DetectorKind(
    name="baseline",
    summary="against the key's own median at this time of day or week; does not learn from what it flags",
    options=(
        Option("season", OptionKind.CHOICE, "which rows are alike", default="none", choices=SEASONS),
        Option("history", OptionKind.DURATION, "how far back values count", required=True),
        Option(
            "refresh", OptionKind.DURATION, "grid on which baselines are made; an eighth of the history, at most 1d"
        ),
        Option("ignore", OptionKind.NUMBER, "flagged above this |score|; half width of low..high", default=3.5),
        Option("accept", OptionKind.DURATION, "time whose suspects may become the new level; half of the history"),
        Option("least", OptionKind.COUNT, "values that a cell must have", default=3),
        Option("floor", OptionKind.NUMBER, "least spread, in units of the column", default=0.0),
    ),
    columns={**SCORED, "seen": INT64},
    build=_build,
)
