"""`forecast`: the value some time ahead, on the line through the last `history`.

Idea. A crowd that fills a hall does so steadily over minutes: the least-squares line through the values of the last
`history`, drawn `ahead` into the future, tells when it will be full before it is. All sums are integers (x in steps
of its resolution, t in ms), taken as differences of running sums, so a line does not depend on how the stream was
cut.

Where it is weak. A line knows no saturation and no season: keep `ahead` shorter than `history`. One wild value in a
short history tilts it. The interval assumes independent errors of one size; neighbouring values of sliding windows
share events, so the truth lies outside more often than stated. It is drawn with a normal quantile, which is narrow
below some 15 values.

Options
    ahead: how far to look, required.
    history: length of the past that the line is laid through, required. Columns are null until a row is `history` old
        (and not older than twice that), and while there are fewer than three values in it. Over windows and
        occupancies it begins when their rows are full: a line through a count that is still filling climbs.
    width: half width of low..high in standard errors of a prediction, default 2 (95 % of normal errors).

`value` is the forecast, `low` and `high` its interval; `score` is how far the present value lies from the line, in
standard deviations of the values about it (0 if all lie on it); `ahead` repeats the option, `rise` is the slope in
units per hour.

>>> import polars as pl
>>> from operators.contract import Instant
>>> from operators.detectors import detector_operator
>>> from tocsin.model.rows import Schema
>>> from tocsin.model.types import INT64, STRING
>>> schema = Schema({"hall": STRING, "people": INT64})
>>> options = {"ahead": "15m", "history": "5m"}
>>> soon = detector_operator("forecast", "soon", ("hall",), "people", options, schema)
>>> people = [100, 111, 119, 131, 140, 151, 160]
>>> minutes = [minute * 60_000 for minute in range(7)]
>>> rows = pl.DataFrame({"hall": ["h"] * 7, "people": people, "__time": minutes, "__id": ["h"] * 7})
>>> soon.step(rows, soon.initial(), Instant(minutes[-1])).rows["soon.value"].round(1).to_list()
[None, None, None, None, None, 302.1, 313.6]

Reference. N. Draper, H. Smith: Applied Regression Analysis, 3rd edition, Wiley 1998, chapter 3 (prediction intervals).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from operators.contract import Step
from operators.detectors.contract import SCORED, DetectorKind, Option, OptionKind, Setting
from operators.expressions.division import over, ratio
from operators.windows import runs
from operators.windows.moments import centred
from operators.windows.scaling import integer, steps
from tocsin.model.rows import TIME
from tocsin.model.types import DURATION, FLOAT64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.contract import Instant, State
    from tocsin.model.rows import Schema

_ALL, _X, _SINCE, _BEFORE = "#all", "#x", "#since", "#before"
_SUMS = ("n", "t", "x", "tt", "tx", "xx")
_OVER_T, _OVER_X, _TOGETHER, _MEAN, _TO_GO, _N = "#over t", "#over x", "#together", "#mean", "#to go", "#n"
_SLOPE, _ABOUT, _ERROR, _LEVERAGE = "#slope", "#about", "#error", "#leverage"
_HOUR = 3_600_000.0
_LEAST = 3
"""Values that leave one to judge the line by."""
_ROUNDING = 1e-12
"""Below this share of the whole variation, what is left about the line is rounding: the values lie on it."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The operator. State: the values of the last two histories of each key, in time order."""

    name: str
    setting: Setting
    output: Schema

    def initial(self) -> State:
        """Give the state before any row."""
        return {}

    def step(self, rows: pl.DataFrame, state: State, instant: Instant) -> Step:
        """Add the columns."""
        past = runs.load(state, "run")
        given = self.output.empty()
        if rows.height:
            fresh = self._prepared(rows)
            given = self._given(rows, fresh, past)
            past.append(fresh.filter(pl.col(_X).is_not_null()))
        since = instant.watermark - 2 * self.setting.whole("history")
        kept = [run.filter(pl.col(TIME) > since) for run in past]
        return Step(given, runs.store(runs.compact(kept, lambda run: run), "run"), None)

    @property
    def _keys(self) -> tuple[str, ...]:
        return self.setting.by or (_ALL,)

    def _prepared(self, rows: pl.DataFrame) -> pl.DataFrame:
        key = self.setting.by or (pl.lit(0, dtype=pl.Int8).alias(_ALL),)
        return rows.select(*key, TIME, integer(pl.col(self.setting.column), self.setting.type).alias(_X))

    def _given(self, rows: pl.DataFrame, fresh: pl.DataFrame, past: list[pl.DataFrame]) -> pl.DataFrame:
        numbered = fresh.with_row_index("#row")
        keys = numbered.select(self._keys).unique()
        before = [run.join(keys, on=self._keys, how="semi") for run in past]
        none = pl.lit(None, dtype=pl.get_index_type()).alias("#row")
        whole = pl.concat([*(run.select(none, *fresh.columns) for run in before), numbered])
        totals = self._totals(whole)
        lines = self._differences(totals).sort("#row")
        columns = [name for name in self.output.columns if name not in rows.columns]
        return self.output.conform(rows.hstack(self._judged(lines).select(columns)))

    def _totals(self, whole: pl.DataFrame) -> pl.DataFrame:
        """Give the running sums of each key; a null value adds nothing."""
        x = pl.col(_X)
        t = pl.when(x.is_not_null()).then(pl.col(TIME).cast(pl.Int128))
        one = x.is_not_null().cast(pl.Int128)
        terms: Mapping[str, pl.Expr] = {"n": one, "t": t, "x": x, "tt": t * t, "tx": t * x, "xx": x * x}
        added = whole.with_columns(term.fill_null(0).alias(name) for name, term in terms.items())
        return added.with_columns(pl.col(_SUMS).cum_sum().over(self._keys))

    def _differences(self, totals: pl.DataFrame) -> pl.DataFrame:
        """Give the sums over (t - history, t] of each new row, and whether a row stands before that."""
        history = self.setting.whole("history")
        new = totals.filter(pl.col("#row").is_not_null()).with_columns((pl.col(TIME) - history).alias(_SINCE))
        known = totals.filter(pl.col(_X).is_not_null())
        base = known.select(*self._keys, pl.col(TIME).alias(_BEFORE), pl.col(_SUMS).name.suffix(".before"))
        found = new.sort(_SINCE, maintain_order=True).join_asof(
            base.sort(_BEFORE, maintain_order=True),
            left_on=_SINCE,
            right_on=_BEFORE,
            by=list(self._keys),
            tolerance=history - 1,
            coalesce=False,
            check_sortedness=False,
        )
        return found.with_columns(pl.col(name) - pl.col(f"{name}.before") for name in _SUMS)

    def _judged(self, sums: pl.DataFrame) -> pl.DataFrame:
        """Add the detector's columns to the sums of each row.

        In stages: an expression that holds another one several times, and that one a third, grows beyond measure.
        """
        n, t, x = pl.col("n"), pl.col("t"), pl.col("x")
        lines = sums.with_columns(
            centred(n, t, t, pl.col("tt")).alias(_OVER_T),
            centred(n, x, x, pl.col("xx")).alias(_OVER_X),
            centred(n, t, x, pl.col("tx")).alias(_TOGETHER),
            ratio((pl.col(TIME).cast(pl.Int128) * n - t).cast(pl.Float64), n.cast(pl.Float64)).alias(_TO_GO),
            ratio(x.cast(pl.Float64), n.cast(pl.Float64)).alias(_MEAN),
            n.cast(pl.Float64).alias(_N),
        )
        lines = lines.with_columns(ratio(pl.col(_TOGETHER), pl.col(_OVER_T)).alias(_SLOPE))
        lines = lines.with_columns((pl.col(_OVER_X) - pl.col(_SLOPE) * pl.col(_SLOPE) * pl.col(_OVER_T)).alias(_ABOUT))
        left = pl.when(pl.col(_ABOUT) > _ROUNDING * pl.col(_OVER_X)).then(
            ratio(pl.col(_ABOUT), pl.col(_N) - 2.0).sqrt()
        )
        lines = lines.with_columns(left.otherwise(pl.lit(0.0)).alias(_ERROR), self._leverage.alias(_LEVERAGE))
        return lines.with_columns(value.alias(f"{self.name}.{suffix}") for suffix, value in self._columns().items())

    @property
    def _leverage(self) -> pl.Expr:
        """How much less is known `ahead` of the row than at the middle of the history."""
        away = pl.col(_TO_GO) + float(self.setting.whole("ahead"))
        return ratio(away * away * pl.col(_N), pl.col(_OVER_T))

    def _columns(self) -> Mapping[str, pl.Expr]:
        slope, error, mean = pl.col(_SLOPE), pl.col(_ERROR), pl.col(_MEAN)
        half = self.setting.number("width") * error * (1.0 + ratio(1.0 + pl.col(_LEVERAGE), pl.col(_N))).sqrt()
        value = mean + slope * (pl.col(_TO_GO) + float(self.setting.whole("ahead")))
        rest = pl.col(_X).cast(pl.Float64) - mean - slope * pl.col(_TO_GO)
        columns = {"value": value, "low": value - half, "high": value + half, "rise": slope * _HOUR}
        usable = (pl.col("n") >= _LEAST) & (pl.col(_OVER_T) > 0) & pl.col(_BEFORE).is_not_null()
        per_unit = steps(self.setting.type)
        shown = {suffix: pl.when(usable).then(over(column, per_unit)) for suffix, column in columns.items()}
        score = pl.when(usable).then(pl.when(error > 0).then(ratio(rest, error)).otherwise(pl.lit(0.0)))
        return {**shown, "score": score, "ahead": pl.when(usable).then(pl.lit(self.setting.whole("ahead")))}


def _build(setting: Setting, output: Schema) -> Forecast:
    return Forecast(setting.name, setting, output)


FORECAST = DetectorKind(
    name="forecast",
    summary="the value some time ahead, on the least-squares line through the last history",
    options=(
        Option("ahead", OptionKind.DURATION, "how far to look", required=True),
        Option("history", OptionKind.DURATION, "the past that the line is laid through", required=True),
        Option("width", OptionKind.NUMBER, "half width of low..high in standard errors of a prediction", default=2.0),
    ),
    columns={**SCORED, "ahead": DURATION, "rise": FLOAT64},
    build=_build,
)
