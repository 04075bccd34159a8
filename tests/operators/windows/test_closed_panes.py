"""What windows that slide keep of panes that have ended: each key and pane once, in order, in few frames."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from window_oracle import SCHEMA, columns, frame, run

from operators.contract import Instant
from operators.windows import closed, ending
from operators.windows.build import windows_operator
from operators.windows.closed import ClosedPanes
from operators.windows.ending import PANE
from operators.windows.items import HAS
from operators.windows.runs import FAN
from tocsin.model.rows import ID, POSITION, TIME
from tocsin.model.windows import Cumulating, Hopping

if TYPE_CHECKING:
    from operators.contract import State
    from tocsin.model.windows import Window


def run_of(panes: list[int]) -> pl.DataFrame:
    return pl.DataFrame({PANE: panes, "n": panes}, schema={PANE: pl.Int64, "n": pl.Int64})


class TestClosedPanes:
    """Slices by pane, whatever the runs; useless panes go."""

    @given(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=60), st.data())
    def test_between_gives_the_panes_of_a_range(self, steps: list[list[int]], data: st.DataObject) -> None:
        held, every = ClosedPanes(), Counter[int]()
        for number, panes in enumerate(steps):
            later = sorted(4 * number + pane for pane in panes)
            held.add(run_of(later))
            every.update(later)
        assert held.newest == max(every, default=None)
        oldest, least, before = (data.draw(st.integers(-1, 4 * len(steps) + 1)) for _ in range(3))
        wanted = Counter({pane: times for pane, times in every.items() if least <= pane < before})
        assert Counter(self.panes(held.between(least, before))) == wanted
        assert self.panes(held.between(None, before)) == sorted(Counter(every).elements())[: self.below(every, before)]
        held.drop(oldest)
        kept = [pane for pane in self.panes(held.runs) if pane >= oldest]
        assert kept == [pane for pane in sorted(every.elements()) if pane >= oldest]
        assert all(run.height for run in held.runs)

    @staticmethod
    def panes(runs: list[pl.DataFrame]) -> list[int]:
        return [pane for run in runs for pane in run.get_column(PANE)]

    @staticmethod
    def below(every: Counter[int], before: int) -> int:
        return sum(times for pane, times in every.items() if pane < before)

    def test_panes_of_few_rows_share_frames(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(closed, "SMALL", 64)
        held = ClosedPanes()
        for pane in range(2_000):
            held.add(run_of([pane]))
            held.drop(pane - 1_000)
        assert len(held.runs) <= FAN + 1_000 // 64 + 2
        assert sum(run.height for run in held.runs) <= 1_000 + 64 + FAN

    def test_a_run_is_left_alone_until_a_quarter_of_it_is_useless(self) -> None:
        held = ClosedPanes([run_of(list(range(100))), run_of([100])])
        first, second = held.runs
        held.drop(25)
        assert held.runs[0] is first
        held.drop(26)
        assert held.runs[0].height == 74
        assert held.runs[1] is second
        held.drop(101)
        assert held.newest is None


class TestState:
    """The state of windows that slide."""

    @staticmethod
    def states(window: Window, steps: int, distance: int) -> list[State]:
        operator = windows_operator("w", ("key",), [(window, columns([0, 2]))], SCHEMA)
        state, found = operator.initial(), []
        for step in range(steps):
            nothing = {"amount": 1, "heat": None, "place": None, "flag": None}
            rows = [
                {TIME: step * distance, ID: f"{step}-{key}", POSITION: 0, "key": key, **nothing}
                for key in ("a", "b", "c")
                for _ in range(2)
            ]
            state = operator.step(frame(rows), state, Instant(step * distance)).state
            found.append(state)
        return found

    @pytest.mark.parametrize("window", [Hopping(300, 10), Hopping(300, 100), Cumulating(300, 10)])
    def test_holds_each_key_and_pane_once_in_order_and_without_evidence(self, window: Window) -> None:
        for state in self.states(window, 120, 7):
            runs = [state[name] for name in sorted(state) if name.startswith("closed:")]
            if not runs:
                continue
            every = pl.concat([run.select("key", PANE) for run in runs])
            assert every.get_column(PANE).is_sorted()
            assert not every.is_duplicated().any()
            assert every.height <= 3 * 30 / (1 - 0.25)
            assert all(HAS not in run.columns for run in runs)
            open_ = [state[name].get_column(PANE).min() for name in state if name.startswith("run:")]
            assert all(pane > every.get_column(PANE).max() for pane in open_)  # type: ignore[operator]  # Int64

    def test_a_hop_writes_only_what_has_come_and_what_is_carried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(closed, "SMALL", 1)
        *_, before, after = self.states(Hopping(300, 10), 100, 10)
        old = {id(run) for run in before.values()}
        fresh = [name.split(":")[0] for name, run in after.items() if id(run) not in old and name.startswith("closed")]
        assert len(fresh) == 1
        assert sum(name.startswith("closed") for name in after) >= 29

    @pytest.mark.parametrize("window", [Hopping(300, 10), Hopping(25, 10), Cumulating(30, 10)])
    def test_many_ends_of_a_step_give_the_same_one_by_one(
        self, window: Window, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operator = windows_operator("w", ("key",), [(window, columns([0, 2]))], SCHEMA)
        rest = {"heat": None, "place": None, "flag": None}
        rows = [
            {TIME: time, ID: f"e{time}", POSITION: time, "key": "abc"[time % 3], "amount": time, **rest}
            for time in range(0, 900, 7)
        ]
        together = run(operator, frame(rows), [20, 420, 5_000])
        monkeypatch.setattr(ending, "_WORTH_ONE_BY_ONE", 0)
        assert run(operator, frame(rows), [20, 420, 5_000]).equals(together)

    def test_nothing_is_due_when_the_last_window_has_ended(self) -> None:
        operator = windows_operator("w", ("key",), [(Hopping(30, 10), columns([0]))], SCHEMA)
        row = {TIME: 5, ID: "e", POSITION: 0, "key": "a", "amount": 1, "heat": None, "place": None, "flag": None}
        step = operator.step(frame([row]), operator.initial(), Instant(5))
        dues = []
        while step.next_due is not None:
            dues.append(step.next_due)
            step = operator.step(frame([]), step.state, Instant(step.next_due))
            assert step.rows.height == 1
        assert dues == [9, 19, 29]
