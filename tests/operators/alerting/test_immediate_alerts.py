"""Immediate rules: the truth at the watermark, and early copies of it (semantics 19)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.alerting import immediate
from operators.alerting.canonical import canonical
from operators.alerting.immediate import Cells, ImmediateMachine
from operators.alerting.rule import LevelSpec, MachineSpec
from operators.contract import Instant
from operators.state import dump, restore
from tocsin.model.alerts import Level
from tocsin.model.types import INT64, STRING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

KEEP = 10
SPEC = MachineSpec(
    topology="t",
    rule="caller",
    version="v",
    entity={"caller": STRING},
    levels=(LevelSpec(level=Level.ORANGE, when="w0"), LevelSpec(level=Level.RED, when="w1")),
    columns={"x": INT64},
    unless="trusted",
    keep_ms=KEEP,
    immediate=True,
)
Event = dict[str, Any]


def event(time: int, name: str, *, caller: str = "A", orange: bool | None = True, red: bool | None = False) -> Event:
    return {"__time": time, "__id": name, "__position": 7, "caller": caller, "x": time, "w0": orange, "w1": red}


def batch(events: Iterable[Event]) -> pl.DataFrame:
    schema = {"__time": pl.Int64, "__id": pl.String, "__position": pl.Int64, "caller": pl.String, "x": pl.Int64}
    truths = dict.fromkeys(("w0", "w1", "trusted"), pl.Boolean)
    return pl.DataFrame(list(events), schema=schema | truths)


def truth(events: list[Event], watermarks: Iterable[int]) -> pl.DataFrame:
    machine, given, low = ImmediateMachine(SPEC), [], -1
    rows, state = batch(events).sort("__time", "__id"), machine.initial()
    for watermark in watermarks:
        part = rows.filter((pl.col("__time") > low) & (pl.col("__time") <= watermark))
        out, state, due = machine.step(part, restore(dump(state)), Instant(watermark))
        assert due is None
        given.append(out)
        low = watermark
    return pl.concat(given)


def cell_id(caller: str, level: str, cell: int) -> str:
    entity = json.dumps({"caller": caller}, separators=(",", ":"))
    text = json.dumps(["t", "caller", entity, level, cell], separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def said(out: pl.DataFrame) -> list[tuple[int, str, str]]:
    return [(t["time"], t["level"], t["evidence"][0]["id"]) for t in out.iter_rows(named=True)]


class TestTheTruth:
    """At the watermark: the first event of each cell."""

    def test_the_first_event_of_a_cell_raises_and_the_others_do_not(self) -> None:
        events = [event(12, "b"), event(12, "a"), event(19, "c"), event(20, "d")]
        assert said(truth(events, [100])) == [(12, "orange", "a"), (20, "orange", "d")]

    def test_cells_lie_on_a_grid_from_the_epoch(self) -> None:
        assert said(truth([event(9, "a"), event(10, "b"), event(19, "c")], [100])) == [
            (9, "orange", "a"),
            (10, "orange", "b"),
        ]

    def test_the_id_is_that_of_fingerprint_level_and_cell(self) -> None:
        out = truth([event(12, "a"), event(13, "b", red=True)], [100])
        assert out["alert_id"].to_list() == [cell_id("A", "orange", 1), cell_id("A", "red", 1)]

    def test_it_is_closed_at_birth(self) -> None:
        out = truth([event(12, "a")], [12, 1000])
        assert out.select("kind", "sequence", "early").rows() == [("raised", 1, False)]

    def test_the_highest_level_of_an_event_is_its_level(self) -> None:
        assert said(truth([event(12, "a", red=True)], [100])) == [(12, "red", "a")]

    def test_null_and_trusted_raise_nothing(self) -> None:
        events = [event(12, "a", orange=None, red=None), event(13, "b") | {"trusted": True}]
        assert said(truth(events, [100])) == []

    def test_an_event_is_its_own_evidence(self) -> None:
        assert truth([event(12, "a")], [100])["evidence"].to_list() == [[{"id": "a", "position": 7}]]

    def test_a_cell_is_forgotten_when_the_watermark_has_passed_it(self) -> None:
        machine = ImmediateMachine(SPEC)
        state = machine.step(batch([event(12, "a")]), machine.initial(), Instant(18)).state
        assert state["cells"].height == 1
        assert machine.step(batch([]), state, Instant(19)).state["cells"].is_empty()


events = st.lists(
    st.builds(
        event,
        st.integers(0, 60),
        st.text("abc", min_size=1, max_size=3),
        caller=st.sampled_from("AB"),
        orange=st.sampled_from([True, False, None]),
        red=st.sampled_from([True, False, None]),
    ),
    unique_by=lambda one: (one["__time"], one["__id"]),
)


def oracle(given_events: list[Event]) -> list[tuple[str, str]]:
    """Give (alert id, event id), event by event."""
    first: dict[str, str] = {}
    for one in sorted(given_events, key=lambda one: (one["__time"], one["__id"])):
        level = "red" if one["w1"] else "orange" if one["w0"] else ""
        if level:
            first.setdefault(cell_id(one["caller"], level, one["__time"] // KEEP), one["__id"])
    return sorted(first.items())


class TestAgainstAnOracle:
    """Wherever the stream is cut."""

    @settings(max_examples=40, deadline=None)
    @given(events, st.lists(st.integers(0, 60), max_size=5).map(sorted))
    def test_the_truth_is_each_cells_first_event(self, given_events: list[Event], cuts: list[int]) -> None:
        out = truth(given_events, [*cuts, 100])
        assert sorted((t["alert_id"], t["evidence"][0]["id"]) for t in out.iter_rows(named=True)) == oracle(
            given_events
        )
        assert canonical(out).equals(canonical(truth(given_events, [100])))


class TestEarlyCopies:
    """At once, in the order of arrival."""

    def test_a_copy_has_the_id_of_the_truth_and_says_that_it_is_early(self) -> None:
        copies = ImmediateMachine(SPEC).early_copies(batch([event(12, "b")]), {})
        assert copies.select("alert_id", "sequence", "early").rows() == [(cell_id("A", "orange", 1), 1, True)]

    def test_a_cell_is_copied_once(self) -> None:
        machine, seen = ImmediateMachine(SPEC), Cells()
        machine.early_copies(batch([event(12, "b")]), seen)
        copies = machine.early_copies(batch([event(11, "a"), event(25, "c"), event(24, "d")]), seen)
        assert said(copies) == [(24, "orange", "d")]
        assert len(seen) == 2

    def test_a_later_level_of_the_cell_is_copied_too(self) -> None:
        machine, seen = ImmediateMachine(SPEC), Cells()
        machine.early_copies(batch([event(12, "b")]), seen)
        copies = machine.early_copies(batch([event(13, "c", red=True)]), seen)
        assert said(copies) == [(13, "red", "c")]

    def test_the_memory_is_bounded_and_the_oldest_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(immediate, "SEEN_MOST", 3)
        seen = Cells()
        for number in range(5):
            ImmediateMachine(SPEC).early_copies(batch([event(1, "a", caller=str(number))]), seen)
        assert [caller for caller, *_ in seen] == ["2", "3", "4"]

    @settings(max_examples=25, deadline=None)
    @given(events)
    def test_without_disorder_every_copy_is_the_truth_and_none_is_missing(self, given_events: list[Event]) -> None:
        ordered = batch(given_events).sort("__time", "__id")
        seen = Cells()
        copies = [ImmediateMachine(SPEC).early_copies(part, seen) for part in ordered.iter_slices(3)]
        confirmed = truth(given_events, [100])
        early = pl.concat(copies) if copies else confirmed.clear()
        assert early.drop("early").sort("__time", "__id").equals(confirmed.drop("early"))
