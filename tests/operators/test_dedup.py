"""`dedup:`: copies of an event whose times differ."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.contract import Instant
from operators.dedup import Dedup
from operators.reorder import Reorder
from operators.stage import Input, Stage
from tocsin.model.rows import HASH, ID, POSITION, SOURCE_SYSTEM, TIME, Schema
from tocsin.model.types import STRING

SCHEMA = Schema({"key": STRING}, SOURCE_SYSTEM)
HORIZON = 10
Event = tuple[str, str, int]
"""Key, id, time."""
EVENTS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]), st.integers(0, 70)), max_size=60)


def batch(events: list[Event]) -> pl.DataFrame:
    columns = {"key": [e[0] for e in events], ID: [e[1] for e in events], TIME: [e[2] for e in events]}
    numbers = range(len(events))
    rows = pl.DataFrame({**columns, HASH: numbers, POSITION: numbers}, schema_overrides={"key": pl.String})
    return SCHEMA.conform(rows)


def stage(horizon: int = HORIZON) -> Stage:
    item = Input("s", Reorder(("key",), SCHEMA, source=True), dedup=Dedup("dedup s", ("key",), horizon, SCHEMA))
    return Stage("f", ("key",), (item,), (), SCHEMA)


def once(events: list[Event], cuts: list[int], horizon: int = HORIZON) -> tuple[list[Event], int]:
    """Give the events that a stage lets through, and how many duplicates it counts."""
    made = stage(horizon)
    state, given_, copies = made.initial(), list[Event](), 0
    arrived = {"s": [batch(events)]}
    for watermark in [*sorted(set(cuts)), 1000]:
        step = made.step(arrived, state, Instant(watermark))
        state, arrived = step.state, {}
        given_ += step.rows.select("key", ID, TIME).rows()
        copies += step.counts["duplicates"]
    return given_, copies


def plainly(events: list[Event]) -> list[Event]:
    """The rule, event by event."""
    last: dict[tuple[str, str], int] = {}
    kept = []
    for key, name, time in sorted(set(events), key=lambda event: event[2]):
        if (key, name) not in last or time >= last[key, name] + HORIZON:
            last[key, name] = time
            kept.append((key, name, time))
    return kept


class TestCopies:
    """Which rows are copies of an event."""

    def test_one_within_the_horizon_is_dropped_and_counted(self) -> None:
        assert once([("a", "1", 5), ("a", "1", 14)], []) == ([("a", "1", 5)], 1)

    def test_one_exactly_a_horizon_later_is_an_event_of_its_own(self) -> None:
        assert once([("a", "1", 5), ("a", "1", 15)], []) == ([("a", "1", 5), ("a", "1", 15)], 0)

    def test_the_horizon_is_counted_from_the_last_one_that_was_kept(self) -> None:
        events = [("a", "1", time) for time in range(0, 30, 4)]
        assert once(events, [])[0] == [("a", "1", 0), ("a", "1", 12), ("a", "1", 24)]

    def test_another_key_or_another_id_is_another_event(self) -> None:
        events = [("a", "1", 5), ("b", "1", 6), ("a", "2", 7)]
        assert once(events, []) == (events, 0)

    def test_of_those_that_arrive_together_the_earliest_stays_whatever_their_order(self) -> None:
        assert once([("a", "1", 9), ("a", "1", 7), ("a", "1", 8)], [])[0] == [("a", "1", 7)]

    @settings(max_examples=60)
    @given(EVENTS, st.lists(st.integers(0, 80), max_size=8))
    def test_are_what_a_loop_over_the_events_drops_however_the_stream_is_cut(
        self, events: list[Event], cuts: list[int]
    ) -> None:
        kept, copies = once(events, cuts)
        assert sorted(kept) == sorted(plainly(events))
        assert copies == len(events) - len(kept)


class TestState:
    """What is remembered of events."""

    def test_ids_are_forgotten_once_the_horizon_has_passed(self) -> None:
        made = stage()
        state = made.initial()
        for round_ in range(40):
            events = [("a", f"{round_}-{number}", round_ * HORIZON) for number in range(50)]
            state = made.step({"s": [batch(events)]}, state, Instant(round_ * HORIZON)).state
        assert state["dedup s"]["latest"].height <= 3 * 50
