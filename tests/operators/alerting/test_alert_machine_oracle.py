"""The machine against a slow one that walks every millisecond, and against itself with the stream cut elsewhere."""

from __future__ import annotations

import pickle
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

END = 70
SPAN = st.integers(1, 30)
TRUTH = st.sampled_from([True, True, False, None])


@st.composite
def specs(draw: st.DrawFn) -> MachineSpec:
    levels = draw(st.integers(1, 4))
    return make_spec(
        levels,
        resets=draw(st.sets(st.integers(0, levels - 1))),
        for_ms=draw(st.just(0) | SPAN),
        keep_ms=draw(st.none() | SPAN),
        expires_ms=draw(SPAN),
        update_every_ms=draw(st.integers(0, 12)),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Rows with ties, silence, repeated values and nulls; runs of equal conditions are likely, as in life."""
    rows, time = [], 0
    for number in range(draw(st.integers(1, 30))):
        time += draw(st.sampled_from([0, 0, 1, 1, 1, 2, 5, 17]))
        if rows and draw(st.booleans()):
            conditions = {word: rows[-1][word] for word in ("when", "reset", "unless")}
        else:
            four = st.tuples(TRUTH, TRUTH, TRUTH, TRUTH)
            unless = draw(st.sampled_from([False, False, False, None, True]))
            conditions = {"when": draw(four), "reset": draw(four), "unless": unless}
        card = draw(st.sampled_from(["A", "A", "A", "B", None]))
        row = {"time": time, "id": f"e{number:02}", "card": card, "x": draw(st.integers(0, 1))}
        rows.append(row | conditions)
    return rows


cuts = st.lists(st.integers(0, END), max_size=6).map(sorted)


def through_bytes(state: State) -> State:
    return restore(dump(state))


class TestAgainstTheSlowMachine:
    """Both say the same."""

    @settings(max_examples=120, deadline=None)
    @given(specs(), histories())
    def test_one_step_says_what_the_slow_machine_says(self, spec: MachineSpec, rows: list[Row]) -> None:
        assert brief(run(AlertMachine(spec), rows, [200])) == slow(spec, rows, 200)

    @settings(max_examples=60, deadline=None)
    @given(specs(), histories(), cuts, st.integers(0, 40))
    def test_after_until_rows_count_and_ticks_do_not(
        self, spec: MachineSpec, rows: list[Row], watermarks: list[int], until: int
    ) -> None:
        cut = [w for w in watermarks if w <= until]
        assert brief(run(AlertMachine(spec), rows, cut, until=until)) == slow(spec, rows, until)


class TestCuts:
    """What hosts are free to do changes nothing."""

    @settings(max_examples=60, deadline=None)
    @given(specs(), histories(), cuts)
    def test_watermarks_and_restarts_between_them_change_nothing(
        self, spec: MachineSpec, rows: list[Row], watermarks: list[int]
    ) -> None:
        machine = pickle.loads(pickle.dumps(AlertMachine(spec)))  # noqa: S301  # our own bytes
        whole = run(machine, rows, [200])
        cut = run(machine, rows, [*watermarks, 200], between=through_bytes)
        assert canonical(cut).equals(canonical(whole))

    @settings(max_examples=25, deadline=None)
    @given(specs(), histories(), st.integers(2, 5))
    def test_buckets_change_nothing(self, spec: MachineSpec, rows: list[Row], buckets: int) -> None:
        machine = AlertMachine(spec)
        parts = split(frame(rows), ["card"], buckets).values()
        outs = [machine.step(part, machine.initial(), Instant(200)).rows for part in parts]
        assert canonical(pl.concat(outs)).equals(canonical(run(machine, rows, [200])))

    @settings(max_examples=25, deadline=None)
    @given(specs(), histories())
    def test_a_host_that_only_calls_when_something_is_due_misses_nothing(
        self, spec: MachineSpec, rows: list[Row]
    ) -> None:
        machine = AlertMachine(spec)
        _, state, due = machine.step(frame(rows), machine.initial(), Instant(rows[-1]["time"]))
        woken = []
        while due is not None and due <= 200:
            assert machine.step(frame([]), state, Instant(due - 1)).rows.is_empty()
            out, state, due = machine.step(frame([]), state, Instant(due))
            woken.append(out)
        late = machine.step(frame([]), state, Instant(200))
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
        _, state, due = machine.step(frame(rows), machine.initial(), Instant(200))
        assert state["episodes"].is_empty()
        assert due is None
