"""Occupancy against plain Python, which looks at every person at every tick."""

from __future__ import annotations

import io
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.contract import Instant
from operators.lookups import ALWAYS
from operators.occupancy import occupancy_operator, presence_operator
from tocsin.model.keys import split
from tocsin.model.rows import ID, TIME, Schema
from tocsin.model.types import STRING

if TYPE_CHECKING:
    from operators.contract import State

Row = dict[str, Any]
Version = tuple[int, str, str | None]
"""When it counts from, the unit, and its parent; None: deleted."""

EVERY = 10
SCHEMA = Schema({"who": STRING, "unit": STRING}, (TIME, ID))
PARENTS: list[Version] = [
    (ALWAYS, "h1", "fair"),
    (ALWAYS, "h2", "fair"),
    (ALWAYS, "fair", "city"),
    (ALWAYS, "s", "city"),
]
COLUMNS = ("people", "inflow", "outflow", "dwell")

rows_ = st.lists(
    st.tuples(st.integers(0, 120), st.sampled_from("abc"), st.sampled_from(["h1", "h2", "s", None])), max_size=15
)
forgets = st.sampled_from([4, 10, 15, 30, 200])
changes_ = st.lists(
    st.tuples(st.integers(0, 120), st.sampled_from(["h1", "h2", "fair"]), st.sampled_from(["fair", "s", "city", None])),
    max_size=4,
)


def table(versions: list[Version]) -> pl.DataFrame:
    rows = [(unit, time, parent is None, parent) for time, unit, parent in versions]
    schema = {"unit": pl.String, TIME: pl.Int64, "__gone": pl.Boolean, "parent": pl.String}
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .unique(["unit", TIME], keep="last", maintain_order=True)
        .sort(TIME)
    )


def batch(rows: list[tuple[int, str, str | None]]) -> pl.DataFrame:
    full = [(time, f"e{n:02}", who, unit) for n, (time, who, unit) in enumerate(rows)]
    return pl.DataFrame(full, schema=SCHEMA.physical, orient="row").sort(TIME, ID)


def carried(state: State) -> State:
    again = {}
    for name, frame in state.items():
        stream = io.BytesIO()
        frame.write_ipc(stream)
        again[name] = pl.read_ipc(io.BytesIO(stream.getvalue()))
    return again


def run(
    rows: list[Any],
    forget: int,
    until: int,
    cuts: list[int],
    versions: list[Version] | None = None,
    *,
    buckets: int = 1,
) -> list[Row]:
    parents = ("units", "unit", "parent") if versions is not None else None
    first = presence_operator("presence", "who", "unit", EVERY, forget, SCHEMA, parents)
    second = occupancy_operator("occupancy", EVERY, first.output)
    states = [first.initial() for _ in range(buckets)]
    state = second.initial()
    since, found = -1, []
    for watermark in [*sorted({cut for cut in cuts if cut < until}), until]:
        instant = Instant(watermark, until if watermark == until else None, {"units": table(versions or [])})
        slice_ = split(batch(rows).filter((pl.col(TIME) > since) & (pl.col(TIME) <= watermark)), ["who"], buckets)
        changes = []
        for bucket in range(buckets):
            step = first.step(slice_.get(bucket, batch([])), carried(states[bucket]), instant)
            states[bucket] = step.state
            changes.append(step.rows)
        step = second.step(pl.concat(changes).sort(TIME, ID), carried(state), instant)
        assert step.rows.schema == second.output.physical
        state, since = step.state, watermark
        found += step.rows.to_dicts()
    return found


def told(found: list[Row]) -> dict[tuple[int, str], tuple[Any, ...]]:
    assert [(r[TIME], r[ID]) for r in found] == sorted((r[TIME], r[ID]) for r in found)
    assert all(r[TIME] == r["window_end"] - 1 == r["window_start"] + EVERY - 1 for r in found)
    return {(row["window_end"], row["unit"]): tuple(row[name] for name in COLUMNS) for row in found}


def chain(unit: str, time: int, versions: list[Version] | None) -> list[str]:
    found = [unit]
    while versions is not None:
        latest = [parent for at, of, parent in sorted(versions, key=lambda v: v[0]) if of == found[-1] and at <= time]
        if not latest or latest[-1] is None or latest[-1] in found:
            break
        found.append(latest[-1])
    return found


def expected(
    rows: list[Any], forget: int, until: int, versions: list[Version] | None = None
) -> dict[tuple[int, str], tuple[Any, ...]]:
    """Walk through all ticks; remember for everybody the areas they are in, and since when."""
    people: dict[str, dict[str, int]] = defaultdict(dict)
    found = {}
    ordered = sorted(rows, key=lambda row: row[0])
    last = -(-(until + 1) // EVERY) * EVERY
    for tick in range(0, last + 1, EVERY):
        before = {who: dict(areas) for who, areas in people.items()}
        for who in {row[1] for row in rows}:
            seen = [row for row in ordered if row[1] == who and row[0] < tick]
            if not seen:
                continue
            time, _, unit = seen[-1]
            if tick > time + forget:
                # What is due after the end of a bounded run does not happen, unless the tick itself is why.
                if tick - 1 <= until or time >= tick - EVERY:
                    people[who] = {}
            elif time >= tick - EVERY:
                areas = chain(unit, tick - 1, versions) if unit else []
                people[who] = {area: people[who].get(area, time) for area in areas}
        for area in {area for areas in (*before.values(), *people.values()) for area in areas}:
            now = {who for who, areas in people.items() if area in areas}
            then = {who for who, areas in before.items() if area in areas}
            dwell = sum(tick - people[who][area] for who in now) // len(now) if now else None
            found[tick, area] = (len(now), len(now - then), len(then - now), dwell)
    return found


class TestOccupancy:
    """Occupancy."""

    @settings(max_examples=60, deadline=None)
    @given(rows_, forgets, st.lists(st.integers(0, 240), max_size=8), st.integers(0, 240), st.sampled_from([1, 3]))
    def test_equals_plain_python_however_the_stream_is_cut(
        self, rows: list[Any], forget: int, cuts: list[int], until: int, buckets: int
    ) -> None:
        until = max([until, *(row[0] for row in rows)])
        assert told(run(rows, forget, until, cuts, buckets=buckets)) == expected(rows, forget, until)

    @settings(max_examples=60, deadline=None)
    @given(rows_, forgets, st.lists(st.integers(0, 240), max_size=8), changes_)
    def test_rolled_up_equals_plain_python_though_the_hierarchy_changes(
        self, rows: list[Any], forget: int, cuts: list[int], changes: list[Version]
    ) -> None:
        versions = PARENTS + list({(time, unit): (time, unit, parent) for time, unit, parent in changes}.values())
        assert told(run(rows, forget, 240, cuts, versions)) == expected(rows, forget, 240, versions)

    def test_a_person_counts_in_the_area_of_the_last_event_before_the_tick(self) -> None:
        found = told(run([(1, "a", "h1"), (8, "a", "h2"), (10, "a", "s")], 100, 20, []))
        assert found == {
            (10, "h2"): (1, 1, 0, 2),
            (20, "s"): (1, 1, 0, 10),
            (20, "h2"): (0, 0, 1, None),
            (30, "s"): (1, 0, 0, 20),
        }

    def test_a_person_is_forgotten_and_the_area_has_one_row_of_zero_people(self) -> None:
        found = told(run([(5, "a", "h1")], 15, 100, []))
        assert found == {(10, "h1"): (1, 1, 0, 5), (20, "h1"): (1, 0, 0, 15), (30, "h1"): (0, 0, 1, None)}

    def test_who_comes_back_between_two_ticks_has_not_moved(self) -> None:
        found = told(run([(5, "a", "h1"), (12, "a", "h2"), (14, "a", "h1")], 100, 19, []))
        assert found[20, "h1"] == (1, 0, 0, 15)

    def test_who_goes_from_part_to_part_neither_leaves_nor_enters_the_whole(self) -> None:
        found = told(run([(5, "a", "h1"), (15, "a", "h2")], 100, 19, [], PARENTS))
        assert (found[20, "h1"], found[20, "h2"]) == ((0, 0, 1, None), (1, 1, 0, 5))
        assert (found[20, "fair"], found[20, "city"]) == ((1, 0, 0, 15), (1, 0, 0, 15))

    def test_an_event_without_an_area_puts_a_person_nowhere(self) -> None:
        assert told(run([(5, "a", "h1"), (15, "a", None)], 100, 30, []))[20, "h1"] == (0, 0, 1, None)

    def test_when_the_hierarchy_changes_a_person_moves_over_with_the_next_event(self) -> None:
        versions = [*PARENTS, (12, "h1", "s")]
        found = told(run([(5, "a", "h1"), (25, "a", "h1")], 100, 29, [], versions))
        assert (found[20, "fair"][0], found[30, "fair"][0], found[30, "s"][0], found[30, "city"]) == (
            1,
            0,
            1,
            (1, 0, 0, 25),
        )

    def test_the_tick_in_progress_at_the_end_gives_its_row(self) -> None:
        assert told(run([(11, "a", "h1")], 100, 11, [])) == {(20, "h1"): (1, 1, 0, 9)}

    def test_a_cycle_in_the_hierarchy_ends_where_it_closes(self) -> None:
        found = told(run([(5, "a", "h1")], 100, 9, [], [(ALWAYS, "h1", "h2"), (ALWAYS, "h2", "h1")]))
        assert {key: row[0] for key, row in found.items()} == {(10, "h1"): 1, (10, "h2"): 1}

    @settings(max_examples=20, deadline=None)
    @given(rows_, forgets)
    def test_waking_up_at_next_due_and_never_else_gives_the_same_rows(self, rows: list[Any], forget: int) -> None:
        first = presence_operator("presence", "who", "unit", EVERY, forget, SCHEMA)
        second = occupancy_operator("occupancy", EVERY, first.output)
        state, other, due, other_due, since = first.initial(), second.initial(), None, None, -1
        found = []
        for now in range(340):
            slice_ = batch(rows).filter((pl.col(TIME) > since) & (pl.col(TIME) <= now))
            changes = first.output.empty()
            if slice_.height or now == due:
                step = first.step(slice_, state, Instant(now))
                # At a tick before which people were seen where they were already, it has nothing to tell.
                state, due, since, changes = step.state, step.next_due, now, step.rows
            if changes.height or now == other_due:
                step = second.step(changes, other, Instant(now))
                assert step.rows.height
                other, other_due = step.state, step.next_due
                found += step.rows.to_dicts()
        wanted = {key: row for key, row in expected(rows, forget, 400).items() if key[0] <= 340}
        assert told(found) == wanted

    def test_forgotten_people_leave_the_state(self) -> None:
        operator = presence_operator("presence", "who", "unit", EVERY, 20, SCHEMA)
        state = operator.initial()
        for now in range(0, 1000, 10):
            state = operator.step(batch([(now, f"p{now}", "h1")]), state, Instant(now + 9)).state
        assert max(frame.height for frame in state.values()) <= 6
