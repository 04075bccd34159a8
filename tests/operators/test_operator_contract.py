"""What every operator keeps (operators/contract.py), however its host calls it. Cases: `contract_cases`."""

from __future__ import annotations

import importlib
import inspect
import os
import pickle
import pkgutil
import random
import time
from typing import TYPE_CHECKING

import polars as pl
import pytest
from contract_cases import CASES, N_MOST, Case

import operators
from operators.contract import Instant
from operators.state import dump, restore
from tocsin.model.rows import ID, TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from operators.contract import Operator, State, Step

SPAN = 60
"""Ticks in which drawn rows lie."""

NO_OPERATORS = {
    "Operator": "the protocol itself",
    "Stage": "a chain of operators; test_stage and the adversarial host",
    "Reorder": "the head of a stage; test_reorder",
}

SEEDS = int(os.environ.get("TOCSIN_SEEDS", "2"))
"""How many streams each case has to survive. All have ties, gaps, nulls and keys that begin late."""

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
every_seed = pytest.mark.parametrize("seed", range(SEEDS))


class Driver:
    """A host that gives rows up to one watermark after the other, and looks at all that comes back."""

    def __init__(self, case: Case, rows: pl.DataFrame, *, restarts: bool = False) -> None:
        """Begin before the first row. `restarts`: between all steps the operator and its state become bytes."""
        self.case, self.rows, self.restarts = case, rows, restarts
        self.operator = case.build()
        self.state: State = case.initial(self.operator.initial())
        self.due: int | None = None
        self.before = self.given_until = -(1 << 60)

    def go(self, watermark: int, until: int | None = None, *, only_if_due: bool = False) -> pl.DataFrame:
        """Give what comes when the watermark gets there; `only_if_due`: the operator may not even be asked."""
        part = self.rows.filter((pl.col(TIME) > self.given_until) & (pl.col(TIME) <= watermark))
        before, self.before = self.before, watermark
        if only_if_due and part.is_empty() and (self.due is None or self.due > watermark):
            return self.operator.output.empty()
        self.given_until = watermark
        instant = Instant(watermark, until, {name: _as_of(table, watermark) for name, table in self._tables()})
        if self.restarts:
            self.operator, self.state = pickle.loads(pickle.dumps(self.operator)), restore(dump(self.state))  # noqa: S301  # our own bytes
        step = self.operator.step(part, self.state, instant)
        self._check(step, before, instant)
        self.state, self.due = step.state, step.next_due
        return step.rows

    def _tables(self) -> Iterable[tuple[str, pl.DataFrame]]:
        return self.case.tables.items()

    def _check(self, step: Step, before: int, instant: Instant) -> None:
        check_form(self.case, self.operator, step.rows)
        if instant.closing:
            return
        assert step.rows.filter(pl.col(TIME) <= before).is_empty(), "a row that could have come before"
        assert step.rows.filter(pl.col(TIME) > instant.watermark).is_empty(), "a row before its time"
        assert step.next_due is None or step.next_due > instant.watermark, "it asks for the watermark that it got"


def _as_of(table: pl.DataFrame, watermark: int) -> pl.DataFrame:
    return table.filter(pl.col(TIME) <= watermark)


def check_form(case: Case, operator: Operator, rows: pl.DataFrame) -> None:
    """Rows have the declared columns, and leave sorted by time; those of one key and time by id."""
    assert rows.schema == pl.Schema(operator.output.physical)
    assert rows.get_column(TIME).null_count() == 0
    assert rows.get_column(ID).null_count() == 0
    assert rows.get_column(TIME).is_sorted()
    by = [name for name in case.by if name in rows.columns]
    own = rows.with_row_index("#at").sort(*by, TIME, "#at", nulls_last=True)
    follows = pl.all_horizontal(*(pl.col(name).eq_missing(pl.col(name).shift()) for name in (*by, TIME)))
    assert own.filter(follows & (pl.col(ID) < pl.col(ID).shift())).is_empty()


def content(rows: pl.DataFrame) -> list[str]:
    """Give rows as texts without the order of keys within a time, which means nothing."""
    return sorted(map(repr, rows.rows()))


def stream(case: Case, seed: int = 0, size: int = 60) -> pl.DataFrame:
    """Give the rows of a drawn stream: four keys, a burst in the middle, silence before its end."""
    drawing = random.Random(seed)  # noqa: S311  # no secret
    most = (SPAN, SPAN // 2, SPAN * 3 // 4)
    ticks = [drawing.randrange(most[at % 3]) for at in range(size - 2)] + [SPAN, SPAN]
    keys = [drawing.choice([0, 0, 1, 1 + tick % 2, 3 if tick > SPAN // 2 else 2]) for tick in ticks]
    ns = [drawing.randrange(N_MOST + 1) for _ in ticks]
    return case.rows(pl.DataFrame({"tick": ticks, "key": keys, "n": ns}))


def watermarks(case: Case, seed: int, most: float = 2 * SPAN, size: int = 7) -> list[int]:
    """Give ascending watermarks: at ticks, between them, and one ms before them, where windows end."""
    drawing = random.Random(-1 - seed)  # noqa: S311  # no secret
    ticks = [drawing.randrange(int(most) + 1) for _ in range(size)]
    parts = [drawing.choice([-1, -1, 0, 0.5]) for _ in ticks]
    found = {
        case.time(tick) - 1 if part < 0 else case.time(tick + part) for tick, part in zip(ticks, parts, strict=True)
    }
    return sorted(mark for mark in found if mark < case.time(most))


def silence(case: Case) -> int:
    """Give a watermark at which no drawn row has any effect left."""
    return case.time(2 * SPAN + case.memory)


@every_case
class TestTheResult:
    """The rows that come back, in total."""

    @every_seed
    def test_depends_neither_on_where_watermarks_cut_the_stream_nor_on_restarts_there(
        self, case: Case, seed: int
    ) -> None:
        rows = stream(case, seed)
        cut = Driver(case, rows, restarts=True)
        parts = [cut.go(mark) for mark in (*watermarks(case, seed), silence(case))]
        assert content(pl.concat(parts)) == content(Driver(case, rows).go(silence(case)))

    @every_seed
    def test_of_a_bounded_run_does_not_depend_on_where_it_was_cut(self, case: Case, seed: int) -> None:
        rows, end = stream(case, seed), case.time(7 + 19 * seed)
        cut = Driver(case, rows)
        parts = [cut.go(mark) for mark in watermarks(case, seed, most=7 + 19 * seed, size=4)]
        whole = Driver(case, rows).go(end, end)
        assert content(pl.concat([*parts, cut.go(end, end)])) == content(whole)


@every_case
class TestNextDue:
    """When a host must call although no row comes."""

    @every_seed
    def test_all_rows_come_in_time_when_the_host_calls_only_then(self, case: Case, seed: int) -> None:
        rows = stream(case, seed)
        often, only_then = Driver(case, rows), Driver(case, rows)
        first, *later = (*watermarks(case, seed, size=9), silence(case))
        assert only_then.go(first).equals(often.go(first))
        for mark in later:
            assert content(only_then.go(mark, only_if_due=True)) == content(often.go(mark))

    def test_nothing_comes_of_nothing(self, case: Case) -> None:
        driver = Driver(case, stream(case).clear())
        given = [driver.go(case.time(tick)) for tick in (0, SPAN / 3, SPAN)]
        due = driver.due
        given.append(driver.go(case.time(2 * SPAN), case.time(2 * SPAN)))
        if not case.expects:
            assert due is None
            assert pl.concat(given).is_empty()


@every_case
class TestState:
    """What is kept between two steps."""

    def test_is_bounded_when_the_same_keys_go_on_and_others_come_and_go(self, case: Case) -> None:
        driver = Driver(case, case.rows(_endless(case)))
        sizes = []
        for slice_ in range(SLICES):
            driver.go(case.time(_slice(case, slice_ + 1)) - 1)
            sizes.append((_height(driver.state), sum(part.estimated_size() for part in driver.state.values())))
        (rows, length), (rows_later, length_later) = _greatest(sizes[: SLICES // 2]), _greatest(sizes[SLICES // 2 :])
        assert rows_later <= 1.2 * rows + 2
        assert length_later <= 1.2 * length + 300

    def test_is_that_of_a_newborn_when_everything_has_expired(self, case: Case) -> None:
        """After a long silence one row comes: state holds no more than if nothing had ever been before."""
        last = 4 * SPAN + 3 * case.memory
        row = case.rows(pl.DataFrame({"tick": [last], "key": [9], "n": [0]}))
        old, newborn = Driver(case, pl.concat([stream(case), row])), Driver(case, row)
        for mark in (case.time(SPAN / 2), case.time(SPAN), silence(case), case.time(last)):
            old.go(mark)
        newborn.go(case.time(last))
        assert _height(old.state) <= _height(newborn.state) + case.rest

    def test_and_rows_are_never_changed_in_place(self, case: Case) -> None:
        operator, rows, before = case.build(), stream(case), -(1 << 60)
        state = case.initial(operator.initial())
        for tick in (*range(3, SPAN, 8), SPAN + case.memory):
            part = rows.filter((pl.col(TIME) > before) & (pl.col(TIME) <= case.time(tick)))
            copy, was = restore(dump({"rows": part}))["rows"], dump(state)
            after = operator.step(part, state, Instant(case.time(tick), None, case.tables)).state
            assert dump(state) == was
            assert part.equals(copy)
            state, before = after, case.time(tick)


SLICES = 36
PER_SLICE = 12


def _slice(case: Case, number: int) -> int:
    """Give the tick at which a slice begins: four to a memory."""
    return number * max(case.memory // 4, 1)


def _endless(case: Case) -> pl.DataFrame:
    """Give as many rows in every slice: of the same three keys, and of three that are new every third slice."""
    drawing = random.Random(7)  # noqa: S311  # no secret
    width = _slice(case, 1)
    places = [(at, number) for at in range(SLICES) for number in range(PER_SLICE)]
    rows = {
        "tick": [_slice(case, at) + number * width // PER_SLICE for at, number in places],
        "key": [number % 3 + 3 * (at // 3 + 1) * (number % 2) for at, number in places],
        "n": [drawing.randrange(N_MOST + 1) for _ in places],
    }
    return pl.DataFrame(rows)


def _greatest(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return max(rows for rows, _ in sizes), max(length for _, length in sizes)


def _height(state: State) -> int:
    return sum(part.height for part in state.values())


@every_case
class TestManyKeys:
    """What a morning's first slice may be."""

    KEYS = 50_000
    SECONDS_MOST = 20.0
    """Of processor time; ten times what the slowest takes. A loop over keys times keys does not end in it."""

    def test_fifty_thousand_in_one_slice_are_no_matter(self, case: Case) -> None:
        n = pl.Series("key", range(self.KEYS))
        # Few rows raise something: an alert for every key would be a test of writing alerts.
        said = pl.when(pl.col("key") % 10 == 0).then(pl.col("key") // 10 % (N_MOST + 1)).otherwise(4)
        drawn = n.to_frame().with_columns((n * 20 // self.KEYS).alias("tick"), said.alias("n"))
        rows = case.rows(drawn)
        begun = time.process_time()
        assert not Driver(case, rows).go(silence(case)).is_empty()
        assert time.process_time() - begun < self.SECONDS_MOST


class TestTheRegistry:
    """The cases themselves."""

    def test_every_operator_has_a_case(self) -> None:
        tested = {type(case.build()).__name__ for case in CASES.values()}
        assert {name for name, kind in _stepping().items()} - set(NO_OPERATORS) == tested

    @every_case
    def test_every_case_gives_rows_enough_to_be_a_test(self, case: Case) -> None:
        assert Driver(case, stream(case)).go(silence(case)).height > 1


def _stepping() -> dict[str, type]:
    """Give all classes below `operators` that have a method `step`."""
    modules = [
        importlib.import_module(module.name) for module in pkgutil.walk_packages(operators.__path__, "operators.")
    ]
    kinds = (kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass))
    own = (kind for kind in kinds if kind.__module__.startswith("operators."))
    return {kind.__name__: kind for kind in own if callable(getattr(kind, "step", None))}
