"""The machine against a slow one that walks every millisecond, and against itself with the stream cut elsewhere."""

from __future__ import annotations

import pickle
import random
from typing import TYPE_CHECKING

import polars as pl
from alert_reference import brief, frame, make_spec, run, slow
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.alerting.canonical import canonical
from operators.alerting.machine import AlertMachine
from operators.contract import Instant
from operators.state import dump, restore
from tocsin.model.keys import split

if TYPE_CHECKING:
    from alert_reference import Row

    from operators.alerting.rule import MachineSpec
    from operators.contract import State

END = 100
SEED = st.integers(0, 2**32)


@st.composite
def specs(draw: st.DrawFn) -> MachineSpec:
    dice = random.Random(draw(SEED))  # noqa: S311  # no secret
    levels = dice.randint(1, 4)
    return make_spec(
        levels,
        resets={level for level in range(levels) if dice.random() < 0.5},
        for_ms=dice.choice([0, 0, 3, 8, 20]),
        keep_ms=dice.choice([None, None, 2, 5, 15, 30]),
        expires_ms=dice.choice([4, 20, 60, 300, 300]),
        update_every_ms=dice.choice([0, 1, 4, 10, 300]),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Rows with ties, silence, repeated values and nulls; conditions stay the same for some rows, as in life.

    Dice rather than draws: hypothesis prefers short and plain, where nothing ever goes on.
    """
    dice = random.Random(draw(SEED))  # noqa: S311  # no secret
    rows: list[Row] = []
    time, when, reset = 0, _truths(dice), _truths(dice)
    for _ in range(dice.randint(1, 9)):
        # often only one level changes
        level = dice.randrange(4)
        when, reset = (old[:level] + new[level:] for old, new in ((when, _truths(dice)), (reset, _truths(dice))))
        same = {"when": when, "reset": reset, "unless": dice.choices([False, None, True], [8, 1, 1])[0]}
        pace, telling, card = dice.choice([0, 1, 2, 5]), dice.random() < 0.5, dice.choice(["A", "A", "A", "B", None])
        time += dice.choice([0, 1, 3, 17])
        for _ in range(dice.choice([1, 2, 4, 8])):
            number = len(rows)
            told = {"x": number, "event": f"e{number:02}"} if telling else {"x": 0, "event": "same"}
            rows.append({"time": time, "id": f"e{number:02}", "card": card} | told | same)
            time += pace
    return rows


def _truths(dice: random.Random) -> tuple[bool | None, ...]:
    return tuple(dice.choices([True, False, None], [5, 3, 2], k=4))


@st.composite
def cuts(draw: st.DrawFn) -> list[int]:
    dice = random.Random(draw(SEED))  # noqa: S311  # no secret
    return sorted(dice.choices(range(END), k=dice.randint(1, 15)))


def through_bytes(state: State) -> State:
    return restore(dump(state))


class TestAgainstTheSlowMachine:
    """Both say the same."""

    @settings(max_examples=80, deadline=None)
    @given(specs(), histories())
    def test_one_step_says_what_the_slow_machine_says(self, spec: MachineSpec, rows: list[Row]) -> None:
        assert brief(run(AlertMachine(spec), rows, [900])) == slow(spec, rows, 900)

    @settings(max_examples=40, deadline=None)
    @given(specs(), histories(), cuts(), st.integers(0, 40))
    def test_after_until_rows_count_and_ticks_do_not(
        self, spec: MachineSpec, rows: list[Row], watermarks: list[int], until: int
    ) -> None:
        cut = [w for w in watermarks if w <= until]
        assert brief(run(AlertMachine(spec), rows, cut, until=until)) == slow(spec, rows, until)


class TestCuts:
    """What hosts are free to do changes nothing."""

    @settings(max_examples=80, deadline=None)
    @given(specs(), histories(), cuts())
    def test_watermarks_and_restarts_between_them_change_nothing(
        self, spec: MachineSpec, rows: list[Row], watermarks: list[int]
    ) -> None:
        machine = pickle.loads(pickle.dumps(AlertMachine(spec)))  # noqa: S301  # our own bytes
        whole = run(machine, rows, [900])
        cut = run(machine, rows, [*watermarks, 900], between=through_bytes)
        assert canonical(cut).equals(canonical(whole))

    @settings(max_examples=25, deadline=None)
    @given(specs(), histories(), st.integers(2, 5))
    def test_buckets_change_nothing(self, spec: MachineSpec, rows: list[Row], buckets: int) -> None:
        machine = AlertMachine(spec)
        parts = split(frame(rows), ["card"], buckets).values()
        outs = [machine.step(part, machine.initial(), Instant(900)).rows for part in parts]
        assert canonical(pl.concat(outs)).equals(canonical(run(machine, rows, [900])))

    @settings(max_examples=25, deadline=None)
    @given(specs(), histories())
    def test_a_host_that_only_calls_when_something_is_due_misses_nothing(
        self, spec: MachineSpec, rows: list[Row]
    ) -> None:
        machine = AlertMachine(spec)
        _, state, due = machine.step(frame(rows), machine.initial(), Instant(rows[-1]["time"]))
        woken = []
        while due is not None and due <= 900:
            assert machine.step(frame([]), state, Instant(due - 1)).rows.is_empty()
            out, state, due = machine.step(frame([]), state, Instant(due))
            woken.append(out)
        late = machine.step(frame([]), state, Instant(900))
        assert late.rows.is_empty()

    @settings(max_examples=25, deadline=None)
    @given(specs(), histories())
    def test_rows_come_sorted_and_none_after_the_watermark(self, spec: MachineSpec, rows: list[Row]) -> None:
        out = run(AlertMachine(spec), rows, [40])
        assert out.select("__time", "__id").equals(out.select("__time", "__id").sort("__time", "__id"))
        assert out["__id"].is_unique().all()
        assert out.filter(pl.col("__time") > 40).is_empty()

    @settings(max_examples=25, deadline=None)
    @given(specs(), histories())
    def test_state_ends_with_expires(self, spec: MachineSpec, rows: list[Row]) -> None:
        machine = AlertMachine(spec)
        _, state, due = machine.step(frame(rows), machine.initial(), Instant(900))
        assert state["episodes"].is_empty()
        assert due is None
