"""`where` of a sink: once one transition of an alert passed, all its later ones do."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from transition_rows import frame, log, names, transition

from sinks.where import Where
from tocsin.model.alerts import CLOSED_AT_BIRTH

RED = Where(pl.col("level") == "red")
LEVELS = ("blue", "red", "clear", "red*")


def step(alert_id: str, sequence: int, level: str) -> dict[str, object]:
    return transition(alert_id, sequence, level.rstrip("*"), early=level.endswith("*"))


def possible(steps: list[dict[str, object]]) -> list[dict[str, object]]:
    """Leave out what cannot be: transitions of an alert after it was cleared."""
    cleared: set[object] = set()
    kept = []
    for row in steps:
        if row["alert_id"] not in cleared:
            kept.append(row)
        if row["kind"] == "cleared":
            cleared.add(row["alert_id"])
    return kept


def expected(steps: list[dict[str, object]]) -> list[object]:
    """Say in plain Python which steps pass."""
    passed: set[object] = set()
    kept = []
    for row in steps:
        holds = row["level"] == "red"
        if holds or (row["alert_id"] in passed and not row["early"]):
            kept.append(row["sequence"])
            if not row["early"]:
                passed.add(row["alert_id"])
    return kept


class TestWhatPasses:
    """A receiver that saw an alert sees its end."""

    def test_a_clearing_follows_what_passed_before(self) -> None:
        rows, _ = RED.through(log("a1", "a2-"), Where.nothing_passed())
        assert names(rows) == ["a1", "a2-"]

    def test_what_never_passed_is_not_cleared(self) -> None:
        rows, passed = RED.through(frame(step("a", 1, "blue"), step("a", 2, "clear")), Where.nothing_passed())
        assert rows.is_empty()
        assert passed.is_empty()

    def test_an_early_copy_passes_by_itself_and_leaves_no_trace(self) -> None:
        rows, passed = RED.through(log("a1*", "b1*"), Where.nothing_passed())
        assert names(rows) == ["a1*", "b1*"]
        assert passed.is_empty()

    def test_null_does_not_pass(self) -> None:
        nothing = Where(pl.lit(None, dtype=pl.Boolean))
        assert nothing.through(log("a1"), Where.nothing_passed()).rows.is_empty()

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(LEVELS)), max_size=12),
        st.lists(st.integers(0, 12), max_size=3),
    )
    @settings(max_examples=30, deadline=None)
    def test_it_does_not_depend_on_how_the_log_is_cut(self, drawn: list[tuple[str, str]], cuts: list[int]) -> None:
        steps = possible([step(alert_id, number, level) for number, (alert_id, level) in enumerate(drawn)])
        passed, found = Where.nothing_passed(), []
        bounds = [0, *sorted(min(cut, len(steps)) for cut in cuts), len(steps)]
        for begin, end in pairwise(bounds):
            rows, passed = RED.through(frame(*steps[begin:end]), passed)
            found += rows["sequence"].to_list()
        assert found == expected(steps)


class TestMemory:
    """What is remembered is bounded by clearing."""

    def test_a_cleared_alert_is_forgotten(self) -> None:
        _, passed = RED.through(log("a1", "b1"), Where.nothing_passed())
        assert passed["alert_id"].to_list() == ["a", "b"]
        _, passed = RED.through(log("a2-"), passed)
        assert passed["alert_id"].to_list() == ["b"]

    def test_an_alert_that_is_closed_at_birth_is_never_remembered(self) -> None:
        rows, passed = RED.through(frame(transition("a", 1, reason=CLOSED_AT_BIRTH)), Where.nothing_passed())
        assert names(rows) == ["a1"]
        assert passed.is_empty()

    def test_without_news_it_is_the_same_object(self) -> None:
        """So that a commit does not write it again."""
        passed = RED.through(log("a1"), Where.nothing_passed()).passed
        assert RED.through(frame(step("b", 1, "blue")), passed).passed is passed
