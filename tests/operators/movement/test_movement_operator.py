"""Movement against plain Python, and what must not change its result."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.contract import Instant
from operators.movement import Movement, movement_operator
from tocsin.model.rows import ID, POSITION, TIME, Schema
from tocsin.model.types import POINT, POLYGON, STRING

Row = dict[str, Any]
SCHEMA = Schema({"card": STRING, "place": POINT, "fence": POLYGON}, (TIME, ID, POSITION))
SQUARE = "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (4 4, 6 4, 6 6, 4 6, 4 4))"
FORGET = 20
COLUMNS = ("distance", "elapsed", "speed", "inside", "entered", "left")

places = st.none() | st.builds(
    lambda lat, lon: {"lat": lat, "lon": lon},
    st.integers(-1, 11).map(float),
    st.integers(-1, 11).map(lambda n: n + 0.5),
)
rows_ = st.lists(
    st.fixed_dictionaries(
        {
            TIME: st.integers(0, 60),
            "card": st.sampled_from("AB"),
            "place": places,
            "fence": st.sampled_from([None, SQUARE, SQUARE]),
        }
    ),
    max_size=20,
).map(lambda rows: [row | {ID: f"e{n:02}", POSITION: n} for n, row in enumerate(rows)])


def batch(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA.physical).sort(TIME, ID)


def run(operator: Movement, rows: list[Row], cuts: list[int] | None = None) -> list[Row]:
    state, since, found = operator.initial(), -1, []
    for watermark in sorted({*(cuts or []), 10**12}):
        step = operator.step(batch([r for r in rows if since < r[TIME] <= watermark]), state, Instant(watermark))
        assert step.rows.schema == operator.output.physical
        state, since = step.state, watermark
        found += step.rows.to_dicts()
    return found


def metres(one: Row, other: Row) -> float:
    """The spherical law of cosines, in the form that holds near and far (Vincenty on a sphere)."""
    a, b = math.radians(one["lat"]), math.radians(other["lat"])
    turn = math.radians(other["lon"] - one["lon"])
    up = math.hypot(
        math.cos(b) * math.sin(turn), math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(turn)
    )
    return 6_371_008.8 * math.atan2(up, math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(turn))


def in_square(place: Row) -> bool:
    def within(low: float, high: float) -> bool:
        return low <= place["lat"] < high and low <= place["lon"] < high

    return within(0, 10) and not within(4, 6)


def expected(rows: list[Row]) -> list[Row]:
    last: dict[str, Row] = {}
    found = []
    for row in sorted(rows, key=lambda row: (row[TIME], row[ID])):
        told: Row = dict.fromkeys(COLUMNS) | {ID: row[ID], "evidence": [row[ID]]}
        if row["place"]:
            told["inside"] = in_square(row["place"]) if row["fence"] else None
            before = last.get(row["card"])
            if before and row[TIME] - before[TIME] > FORGET:
                before = None
            was = bool(before and before["inside"])
            if told["inside"] is not None:
                told["entered"], told["left"] = told["inside"] and not was, was and not told["inside"]
            if before:
                told["distance"] = metres(before["place"], row["place"])
                told["elapsed"] = row[TIME] - before[TIME]
                told["speed"] = told["distance"] / max(told["elapsed"], 1) * 1000
                told["evidence"] = [before[ID], row[ID]]
            last[row["card"]] = row | {"inside": told["inside"]}
        found.append(told)
    return found


def event(time: int, lat: float, lon: float, fence: str | None = None) -> Row:
    return {TIME: time, ID: f"e{time}", POSITION: time, "card": "A", "place": {"lat": lat, "lon": lon}, "fence": fence}


def feature(forget: int = FORGET) -> Movement:
    return movement_operator("move", ["card"], "place", forget, SCHEMA, "fence")


class TestMovement:
    """Movement."""

    @settings(max_examples=60, deadline=None)
    @given(rows_, st.lists(st.integers(0, 60), max_size=6))
    def test_every_row_equals_plain_python_however_the_stream_is_cut(self, rows: list[Row], cuts: list[int]) -> None:
        found = run(feature(), rows, cuts)
        wanted = expected(rows)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert [item["id"] for item in one["__evidence"]] == other["evidence"]
            for name in COLUMNS:
                same = one[name] == other[name]
                if isinstance(other[name], float):
                    same = math.isclose(one[name], other[name], rel_tol=1e-6, abs_tol=0.1)
                assert same, (other[ID], name, one[name], other[name])

    def test_measures_beijing_to_shanghai(self) -> None:
        found = run(feature(10**9), [event(0, 39.90, 116.40), event(3_600_000, 31.23, 121.47)])
        assert math.isclose(found[1]["distance"], 1_067_000, rel_tol=0.001)
        assert math.isclose(found[1]["speed"] * 3.6, 1067, rel_tol=0.001)

    def test_two_places_at_once_have_a_speed_that_is_great_and_finite(self) -> None:
        rows = [event(0, 0, 0), event(0, 1, 0) | {ID: "e1"}]
        assert 1e7 < run(feature(), rows)[1]["speed"] < 1e9

    def test_staying_has_no_speed_however_short_the_time(self) -> None:
        assert run(feature(), [event(0, 5, 5), event(0, 5, 5) | {ID: "e1"}])[1]["speed"] == 0

    def test_a_last_place_counts_until_it_is_forgotten(self) -> None:
        found = run(feature(), [event(0, 0, 0), event(20, 1, 0), event(41, 2, 0)], cuts=[*range(60)])
        assert [row["elapsed"] for row in found] == [None, 20, None]

    def test_a_last_place_is_kept_to_the_last_moment_at_which_it_counts(self) -> None:
        found = run(feature(), [event(0, 0, 0), event(FORGET, 1, 0)], cuts=[0, FORGET - 1])
        assert [row["elapsed"] for row in found] == [None, FORGET]

    def test_a_fence_is_entered_and_left(self) -> None:
        rows = [event(0, 1, -1, SQUARE), event(1, 1, 1, SQUARE), event(2, 5, 5, SQUARE), event(3, 7, 7, SQUARE)]
        found = run(feature(), rows)
        assert [(row["inside"], row["entered"], row["left"]) for row in found] == [
            (False, False, False),
            (True, True, False),
            (False, False, True),
            (True, True, False),
        ]

    def test_without_a_fence_there_are_no_columns_of_one(self) -> None:
        operator = movement_operator("move", ["card"], "place", FORGET, SCHEMA)
        assert set(operator.output.columns) - set(SCHEMA.columns) == {"distance", "elapsed", "speed"}

    def test_forgotten_keys_leave_the_state(self) -> None:
        operator, state = feature(), feature().initial()
        for now in range(0, 1000, 10):
            rows = batch([event(now, 1, 1) | {"card": f"c{now}"}])
            state = operator.step(rows, state, Instant(now)).state
        assert state["latest"].height <= 4
