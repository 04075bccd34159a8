"""One case per kind of operator, and per variant that takes another way through its code: how to build and feed it.

All cases read the same universal rows, made from drawn (tick, key, n): `n` decides what a row says. A tick is as long
as suits the case; at all ends of windows, timers and histories some row or watermark falls exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from operators.alerting.immediate import ImmediateMachine
from operators.alerting.machine import AlertMachine
from operators.alerting.rule import LevelSpec, MachineSpec
from operators.contract import Instant
from operators.dedup import Dedup
from operators.detectors import detector_operator
from operators.detectors.filling import Filling
from operators.expressions import Lookup, Scope, TableShape, bind, bind_aggregate
from operators.lookups import ALWAYS, GONE
from operators.movement import movement_operator
from operators.occupancy import occupancy_operator, presence_operator
from operators.rowwise import Column, Condition, Each, LookUps, Rowwise
from operators.sequence import STEP, StepSpec, sequence_operator
from operators.stage import PROBE
from operators.trailing import trailing_operator
from operators.windows.build import windows_operator
from operators.windows.for_all import ForAll
from tocsin.model.alerts import Level
from tocsin.model.rows import (
    EVIDENCE,
    FEATURE_SYSTEM,
    ID,
    POSITION,
    TIME,
    WINDOW_COLUMNS,
    WINDOW_END,
    WINDOW_START,
    Schema,
)
from tocsin.model.types import BOOLEAN, FLOAT64, INT64, POINT, POLYGON, STRING, decimal
from tocsin.model.windows import Calendar, Cumulating, Hopping, Same, Session, Trailing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operators.contract import Operator, State
    from tocsin.model.windows import Window

HOUR = 3_600_000
N_MOST = 63
SQUARE = "POLYGON ((0 0, 8 0, 8 8, 0 8, 0 0))"
EVENT = Schema(
    {
        "key": STRING,
        "unit": STRING,
        "kind": STRING,
        "amount": decimal(2),
        "heat": FLOAT64,
        "flag": BOOLEAN,
        "spot": POINT,
        "fence": POLYGON,
        "yellow": BOOLEAN,
        "red": BOOLEAN,
        "calm": BOOLEAN,
        "trusted": BOOLEAN,
    },
    (TIME, ID, POSITION),
)
FEATURE = Schema(EVENT.columns, FEATURE_SYSTEM)
WINDOWED = Schema({**EVENT.columns, **WINDOW_COLUMNS}, FEATURE_SYSTEM)


def universal(drawn: pl.DataFrame, unit: int, origin: int) -> pl.DataFrame:
    """Give the rows of drawn (tick, key, n), in order, with all columns that any case reads."""
    n = pl.col("n")
    rows = drawn.sort("tick", maintain_order=True).with_row_index("at")
    return rows.select(
        (pl.col("tick") * unit + origin).cast(pl.Int64).alias(TIME),
        pl.format("e{}", pl.col("at").cast(pl.String).str.zfill(7)).alias(ID),
        pl.col("at").cast(pl.Int64).alias(POSITION),
        pl.struct(
            pl.format("e{}", pl.col("at").cast(pl.String).str.zfill(7)).alias("id"),
            pl.col("at").cast(pl.Int64).alias("position"),
        )
        .implode()
        .over("at")
        .alias(EVIDENCE),
        pl.format("k{}", "key").alias("key"),
        _unless(n % 5 == 4, pl.format("u{}", n % 4)).alias("unit"),
        pl.when(pl.col("key") % 2 == 0).then(pl.lit("x")).otherwise(pl.lit("y")).alias("kind"),
        _unless(n % 11 == 10, n * 100 - 700).cast(pl.Int64).alias("amount"),
        _unless(n % 7 == 6, n / 8).alias("heat"),
        _unless(n % 13 == 12, n % 3 == 0).alias("flag"),
        _unless(
            n % 6 == 5, pl.struct((n % 12 - 1.0).alias("lat"), (n % 10 + 0.5).alias("lon")).cast(POINT.physical)
        ).alias("spot"),
        _unless(n % 9 == 8, pl.lit(SQUARE)).alias("fence"),
        _unless(n % 8 == 7, n % 4 == 1).alias("yellow"),
        (n % 16 == 1).alias("red"),
        (n % 5 == 2).alias("calm"),
        (n % 17 == 3).alias("trusted"),
        (n % 3 == 0).alias(PROBE),
        (pl.col("tick") // 2 * (2 * unit) + origin).cast(pl.Int64).alias(WINDOW_START),
    )


def _unless(condition: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(~condition).then(value)


def _events(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(list(EVENT.physical))


def _probed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(*EVENT.physical, PROBE)


def _features(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(list(FEATURE.physical))


def _windowed(rows: pl.DataFrame) -> pl.DataFrame:
    """Give rows of windows: those of one time have one end, and two starts."""
    return rows.with_columns((pl.col(TIME) + 1).alias(WINDOW_END)).select(list(WINDOWED.physical))


def _readings(rows: pl.DataFrame) -> pl.DataFrame:
    """Give one feature row per time and key, as windows give them."""
    return _features(rows).unique([TIME, "key"], keep="first", maintain_order=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An operator and its rows.

    `feed`: universal rows to those it reads. `by`: its key. `unit`, `origin`: of a tick, in ms. `memory`: ticks after
    which a row has no effect any more. `rest`: rows that state may hold after that. `initial`: the first state, if the
    host changes it. `expects`: it gives rows although none came.
    """

    build: Callable[[], Operator]
    feed: Callable[[pl.DataFrame], pl.DataFrame] = _events
    by: tuple[str, ...] = ("key",)
    unit: int = 1
    origin: int = 0
    memory: int = 40
    rest: int = 3
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    initial: Callable[[State], State] = lambda state: state
    expects: bool = False

    def rows(self, drawn: pl.DataFrame) -> pl.DataFrame:
        """Give the rows that the operator reads."""
        return self.feed(universal(drawn, self.unit, self.origin))

    def time(self, tick: float) -> int:
        """Give the time of a tick."""
        return self.origin + int(tick * self.unit)


AGGREGATES = {
    "rows": "count()",
    "total": "sum(amount)",
    "warmth": "sum(heat) filter (where not flag)",
    "least": "min(amount)",
    "last_unit": "last(unit)",
    "units": "count(distinct unit)",
    "ratio": "sum(amount) / count()",
}


def _columns(suffix: str = "", names: Sequence[str] = tuple(AGGREGATES)) -> Mapping[str, object]:
    scope = Scope(EVENT.columns)
    return {f"{name}{suffix}": bind_aggregate(AGGREGATES[name], scope) for name in names}


def _window(
    *windows: Window, by: tuple[str, ...] = ("key",), schema: Schema = EVENT, for_all: ForAll | None = None
) -> Operator:
    pairs = [(window, _columns(f"_{number}")) for number, window in enumerate(windows)]
    return windows_operator("w", by, pairs, schema, for_all=for_all)


def _trailing(*windows: Trailing, by: tuple[str, ...] = ("key",), probe: bool = False) -> Operator:
    pairs = [(window, _columns(f"_{number}")) for number, window in enumerate(windows)]
    return trailing_operator("t", by, pairs, EVENT, probe=probe)


# --- windows -------------------------------------------------------------------------------------------------------

_SPRING = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp()) * 1000
"""Two days before the clocks of Berlin change."""

_KEYS = pl.DataFrame(
    {"key": ["k0", "k1", "k2", "k0", "k1"], TIME: [ALWAYS, ALWAYS, 9, 12, 30], GONE: [False, False, False, True, True]}
).sort(TIME)
_EXPECTED = ForAll("keys", ("key",))
_START = {"start": pl.DataFrame({"time": [3]})}

WINDOWS = {
    "tumbling": Case(build=partial(_window, Hopping(10, 10))),
    "tumbling without by": Case(build=partial(_window, Hopping(10, 10), by=()), by=()),
    "hopping": Case(build=partial(_window, Hopping(30, 10))),
    "hopping with a rest": Case(build=partial(_window, Hopping(25, 10))),
    "hopping over gaps": Case(build=partial(_window, Hopping(4, 10))),
    "hopping without by": Case(build=partial(_window, Hopping(30, 10), by=()), by=()),
    "several hops": Case(build=partial(_window, Hopping(10, 10), Hopping(40, 10), Hopping(25, 10)), memory=50),
    "cumulating": Case(build=partial(_window, Cumulating(30, 10))),
    "calendar day": Case(
        build=partial(_window, Calendar(150, "Europe/Berlin")), unit=HOUR // 2, origin=_SPRING, memory=100
    ),
    "session": Case(build=partial(_window, Session(5))),
    "session without by": Case(build=partial(_window, Session(5), by=()), by=()),
    "same": Case(build=partial(_window, Same(), by=("kind",), schema=WINDOWED), feed=_windowed, by=("kind",)),
    "for_all": Case(
        build=partial(_window, Hopping(10, 10), for_all=_EXPECTED), tables={"keys": _KEYS}, rest=_KEYS.height
    ),
    "for_all with a start": Case(
        build=partial(_window, Hopping(20, 10), for_all=_EXPECTED),
        tables={"keys": _KEYS},
        initial=lambda state: {**state, **_START},
        rest=_KEYS.height + 1,
        expects=True,
    ),
    "for_all calendar day": Case(
        build=partial(_window, Calendar(0, "Europe/Berlin"), for_all=_EXPECTED),
        tables={"keys": _KEYS},
        unit=HOUR,
        origin=_SPRING,
        memory=60,
        rest=_KEYS.height,
    ),
}

TRAILING = {
    "trailing": Case(build=partial(_trailing, Trailing(10))),
    "trailing without by": Case(build=partial(_trailing, Trailing(10), by=()), by=()),
    "trailing, several widths": Case(build=partial(_trailing, Trailing(5), Trailing(10), Trailing(25))),
    "trailing, delayed": Case(build=partial(_trailing, Trailing(10, 7), Trailing(4))),
    "trailing, probe": Case(build=partial(_trailing, Trailing(10), Trailing(10, 5), probe=True), feed=_probed),
}

# --- places --------------------------------------------------------------------------------------------------------

_PARENTS = pl.DataFrame(
    {
        "unit": ["u0", "u1", "hall", "u2", "u1"],
        TIME: [ALWAYS, ALWAYS, ALWAYS, 15, 33],
        GONE: [False, False, False, False, True],
        "parent": ["hall", "hall", "city", "hall", None],
    }
).sort(TIME)


def _presence(*, rolled_up: bool = False) -> Operator:
    parents = ("places", "unit", "parent") if rolled_up else None
    return presence_operator("p", "key", "unit", 10, 15, EVENT, parents)


def _moves(rows: pl.DataFrame) -> pl.DataFrame:
    """Give what the first half of occupancy tells the second one."""
    half = _presence()
    return half.step(_events(rows), half.initial(), Instant(10**9)).rows


PLACES = {
    "movement": Case(build=partial(movement_operator, "m", ("key",), "spot", 20, EVENT)),
    "movement with a fence": Case(build=partial(movement_operator, "m", ("key",), "spot", 20, EVENT, "fence")),
    "movement of features": Case(
        build=partial(movement_operator, "m", ("key",), "spot", 20, FEATURE, "fence"), feed=_features
    ),
    "presence": Case(build=_presence, by=("unit",)),
    "presence with roll_up": Case(build=partial(_presence, rolled_up=True), by=("unit",), tables={"places": _PARENTS}),
    "occupancy": Case(build=lambda: occupancy_operator("o", 10, _presence().output), feed=_moves, by=("unit",)),
}

# --- sequences -----------------------------------------------------------------------------------------------------

_OWN = {"amount": EVENT.columns["amount"], "unit": STRING}


def _steps(rows: pl.DataFrame, names: Sequence[str] = ("a", "b", "c")) -> pl.DataFrame:
    """Give rows that are one step, and some that are all steps at once, as the heads of a stage with an input each."""
    turns = (pl.col("at") % len(names) == step for step in range(len(names)))
    many = rows.with_row_index("at").with_columns(
        pl.concat_list(pl.when(turn | pl.col(PROBE)).then(step) for step, turn in enumerate(turns)).alias(STEP)
    )
    marked = many.explode(STEP).drop_nulls(STEP).with_columns(pl.col(STEP).cast(pl.Int64))
    own = (
        pl.when(pl.col(STEP) == step).then(pl.col(column)).alias(f"{name}.{column}")
        for step, name in enumerate(names)
        for column in _OWN
    )
    return marked.select(TIME, pl.format("{}.{}", ID, STEP).alias(ID), POSITION, "key", STEP, *own)


def _sequence(*conditions: str | None, absent: int | None = None, by: tuple[str, ...] = ("key",)) -> Operator:
    steps: list[StepSpec] = []
    for name, condition in zip("abc", conditions, strict=False):
        before = {column: type_ for step in steps for column, type_ in step.named.items()}
        bound = None if condition is None else bind(condition, Scope({**_OWN, **before}))
        steps.append(StepSpec(name, _OWN, bound))
    return sequence_operator(dict.fromkeys(by, STRING), steps, 12, absent=absent)


_TWO = partial(_steps, names="ab")
SEQUENCES = {
    "sequence": Case(build=partial(_sequence, None, "amount > 0"), feed=_TWO),
    "sequence without by": Case(build=partial(_sequence, None, "amount > 0", by=()), feed=_TWO, by=()),
    "sequence of three": Case(build=partial(_sequence, None, "amount > 0", None), feed=_steps),
    "sequence that compares": Case(build=partial(_sequence, None, None, "amount >= a.amount"), feed=_steps),
    "sequence without the first": Case(build=partial(_sequence, "amount > 0", None, absent=0), feed=_TWO),
    "sequence without the one between": Case(build=partial(_sequence, None, "amount > 0", None, absent=1), feed=_steps),
    "sequence without the last": Case(build=partial(_sequence, None, "amount > 0", absent=1), feed=_TWO),
    "sequence without the last of three": Case(
        build=partial(_sequence, None, None, "amount < 0", absent=2), feed=_steps
    ),
}

# --- detectors -----------------------------------------------------------------------------------------------------


def _detector(kind: str, **options: str) -> Operator:
    options = {"class" if name == "class_" else name: text for name, text in options.items()}
    return detector_operator(kind, "d", ("key",), "amount", options, FEATURE)


_SEASONAL = {"season": "hour of day", "history": "72h", "refresh": "12h", "accept": "24h", "least": "2"}


def _filling(by: tuple[str, ...] = ("key",)) -> Operator:
    output = FEATURE.plus({"__d": FEATURE.columns["amount"]})
    return Filling("d>full", by, "amount", "__d", 8, 25, output)


DETECTED = {
    "filling": Case(build=_filling, feed=_features),
    "filling without by": Case(build=partial(_filling, by=()), feed=_features, by=()),
    "baseline": Case(
        build=partial(_detector, "baseline", history="12h", refresh="3h", accept="5h", least="2"),
        feed=_readings,
        unit=HOUR,
        memory=30,
        rest=10,
    ),
    "baseline with a season": Case(
        build=partial(_detector, "baseline", **_SEASONAL), feed=_readings, unit=6 * HOUR, memory=40, rest=10
    ),
    "peers": Case(build=partial(_detector, "peers", class_="kind", least="2"), feed=_readings, unit=HOUR),
    "forecast": Case(
        build=partial(_detector, "forecast", ahead="2h", history="8h"), feed=_readings, unit=HOUR, memory=20, rest=10
    ),
}

# --- rules ---------------------------------------------------------------------------------------------------------

_YELLOW, _RED = LevelSpec(level=Level.YELLOW, when="yellow"), LevelSpec(level=Level.RED, when="red")
_RESET = (LevelSpec(level=Level.YELLOW, when="yellow", reset="calm"), _RED)


def _rule(levels: tuple[LevelSpec, ...] = (_YELLOW, _RED), **more: object) -> MachineSpec:
    return MachineSpec(
        topology="t",
        rule="r",
        version="v",
        levels=levels,
        columns={"amount": EVENT.columns["amount"]},
        **{"entity": {"key": STRING}, "expires_ms": 30, "update_every_ms": 4, **more},  # type: ignore[arg-type]
    )


def _machine(levels: tuple[LevelSpec, ...] = (_YELLOW, _RED), **more: object) -> Operator:
    return AlertMachine(_rule(levels, **more))


RULES = {
    "alert": Case(build=_machine, feed=_features),
    "alert with for": Case(build=partial(_machine, for_ms=4), feed=_features),
    "alert with keep": Case(build=partial(_machine, keep_ms=6), feed=_features),
    "alert with for and keep": Case(build=partial(_machine, for_ms=3, keep_ms=5), feed=_features),
    "alert with reset": Case(build=partial(_machine, _RESET), feed=_features),
    "alert with reset, for and keep": Case(build=partial(_machine, _RESET, for_ms=2, keep_ms=9), feed=_features),
    "alert with unless": Case(build=partial(_machine, unless="trusted"), feed=_features),
    "alert without entity": Case(build=partial(_machine, entity={}, keep_ms=6), feed=_features, by=()),
    "immediate": Case(build=lambda: ImmediateMachine(_rule(unless="trusted", keep_ms=7, immediate=True))),
}

# --- row by row ----------------------------------------------------------------------------------------------------

_LIMITS = pl.DataFrame(
    {
        "unit": ["u0", "u1", "u0", "u1", "u2"],
        TIME: [ALWAYS, ALWAYS, 12, 20, 30],
        GONE: [False, False, False, True, False],
        "most": [100, 200, 300, None, 50],
    }
).sort(TIME)
_SLOTS = pl.DataFrame(
    {
        "kind": ["x", "x", "y", "x"],
        "slot": ["a", "b", "a", "b"],
        TIME: [ALWAYS, ALWAYS, ALWAYS, 17],
        GONE: [False, False, False, True],
        "share": [1, 2, 3, None],
    }
).sort(TIME)


def _rowwise() -> Operator:
    shape = {"limits": TableShape(("unit",), {"unit": STRING, "most": INT64})}
    scope = Scope(EVENT.columns, shape)
    most, known = bind("limits(unit).most", scope), bind("unit in limits", scope)
    steps = (LookUps(most.lookups), Condition(bind("amount > 0", scope)), Column("most", most), Column("known", known))
    output = Schema({**EVENT.columns, "most": most.type, "known": BOOLEAN}, FEATURE_SYSTEM)
    return Rowwise("r", steps, output, {"limits": ("unit",)})


def _each() -> Operator:
    each = Each("slots", Lookup("slots", (pl.col("kind"),)))
    added = {"slots.kind": STRING, "slots.slot": STRING, "slots.share": INT64}
    output = Schema({**EVENT.columns, **added}, EVENT.system)
    return Rowwise("e", (each,), output, {"slots": ("kind", "slot")})


def _said_again(rows: pl.DataFrame) -> pl.DataFrame:
    """Give events of few ids, once per key, id and time, as the head of a stage leaves them."""
    again = _events(rows).with_columns(pl.format("e{}", pl.col(POSITION) % 3).alias(ID))
    return again.unique([TIME, "key", ID], keep="first", maintain_order=True).sort(TIME, ID, maintain_order=True)


ROW_BY_ROW = {
    "dedup": Case(build=lambda: Dedup("d", ("key",), 10, EVENT), feed=_said_again),
    "dedup without by": Case(
        build=lambda: Dedup("d", (), 10, EVENT),
        feed=lambda rows: _said_again(rows.with_columns(key=pl.lit("k"))),
        by=(),
    ),
    "rowwise": Case(build=_rowwise, tables={"limits": _LIMITS}),
    "each": Case(build=_each, tables={"slots": _SLOTS}),
}

CASES: Mapping[str, Case] = {**WINDOWS, **TRAILING, **PLACES, **SEQUENCES, **DETECTED, **RULES, **ROW_BY_ROW}
assert len(CASES) == sum(map(len, (WINDOWS, TRAILING, PLACES, SEQUENCES, DETECTED, RULES, ROW_BY_ROW)))  # no name twice
