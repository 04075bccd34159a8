"""Trailing windows against an oracle in plain Python, and what must not change their result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailing_oracle import (
    CALLS,
    SCHEMA,
    Row,
    answer,
    assert_same,
    batch,
    carried,
    column,
    expected,
    run,
    told,
)

from operators.contract import Instant
from operators.trailing import keyring, trailing_operator
from tocsin.model.rows import ID, POSITION, TIME, Schema
from tocsin.model.types import STRING
from tocsin.model.windows import Trailing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.trailing import TrailingOperator

Windows = list[tuple[Trailing, list[str]]]

times = st.integers(0, 40)
rows_ = st.lists(
    st.fixed_dictionaries(
        {
            TIME: times,
            "card": st.sampled_from("ABC"),
            "amount": st.none() | st.integers(-500, 500),
            "level": st.none() | st.integers(-40, 40).map(lambda n: n / 8),
            "shop": st.none() | st.sampled_from(["x", "y", "é", ""]),
            "odd": st.none() | st.booleans(),
        }
    ),
    max_size=25,
).map(lambda rows: [row | {ID: f"e{n}", POSITION: n} for n, row in enumerate(rows)])
windows_ = st.lists(
    st.tuples(
        st.builds(Trailing, st.integers(1, 15), st.sampled_from([0, 0, 0, 1, 5, 20])),
        st.lists(st.sampled_from(sorted(CALLS)), min_size=1, max_size=6, unique=True),
    ),
    min_size=1,
    max_size=3,
)
cuts_ = st.lists(st.integers(-2, 80), max_size=8)


def feature(
    windows: Sequence[tuple[Trailing, Sequence[str]]], by: Sequence[str] = ("card",), *, probe: bool = False
) -> TrailingOperator:
    columns = [
        (window, {f"{name}_{n}": column(CALLS[name]) for name in names}) for n, (window, names) in enumerate(windows)
    ]
    return trailing_operator("pace", by, columns, SCHEMA, probe=probe)


def event(time: int, card: str = "A", id_: str = "", **more: Any) -> Row:  # noqa: ANN401
    row = dict.fromkeys(SCHEMA.columns) | {TIME: time, ID: id_ or f"{card}{time}", POSITION: time, "card": card}
    return row | more


def items(**positions: int) -> list[Row]:
    return [{"id": id_, "position": position} for id_, position in positions.items()]


def everything(operator: TrailingOperator, rows: Sequence[Row], until: int, cuts: Sequence[int] = ()) -> list[Row]:
    return told(pl.concat(run(operator, batch(rows), cuts, until)))


class TestTheWindow:
    """The window."""

    def test_holds_rows_of_the_key_after_t_minus_width_up_to_t(self) -> None:
        rows = [event(0), event(10), event(19), event(20), event(20, "B")]
        found = everything(feature([(Trailing(10), ["rows"])]), rows, 20)
        assert [(row[ID], row["rows_0"]) for row in found] == [
            ("A0", 1),
            ("A10", 1),
            ("A19", 2),
            ("A20", 2),
            ("B20", 1),
        ]

    def test_holds_all_rows_of_the_same_time_for_each_of_them(self) -> None:
        rows = [event(5, id_="a", amount=100), event(5, id_="b", amount=200)]
        found = everything(feature([(Trailing(10), ["rows", "total"])]), rows, 5)
        assert [(row["rows_0"], row["total_0"]) for row in found] == [(2, 300), (2, 300)]

    def test_that_is_delayed_does_not_see_the_row_itself(self) -> None:
        found = everything(feature([(Trailing(10, 5), ["rows"])]), [event(0), event(5), event(14), event(15)], 15)
        assert [row["rows_0"] for row in found] == [0, 1, 2, 1]

    def test_keeps_the_columns_of_the_event(self) -> None:
        found = everything(feature([(Trailing(10), ["rows"])]), [event(0, shop="x", amount=7)], 0)
        assert (found[0]["shop"], found[0]["amount"]) == ("x", 7)

    def test_of_a_feature_without_by_holds_all_rows(self) -> None:
        found = everything(feature([(Trailing(10), ["rows"])], by=()), [event(0), event(1, "B")], 30)
        assert [(row[ID], row[TIME], row["rows_0"]) for row in found] == [("A0", 0, 1), ("B1", 1, 2), ("\0[]", 11, 0)]


class TestAnEmptyRow:
    """An empty row."""

    def test_comes_once_at_last_time_plus_width_with_count_zero_and_sum_null(self) -> None:
        found = everything(feature([(Trailing(10), ["rows", "total"])]), [event(3, amount=1)], 100)
        assert [(row[TIME], row["card"], row["rows_0"], row["total_0"], row["amount"]) for row in found] == [
            (3, "A", 1, 1, 1),
            (13, "A", 0, None, None),
        ]

    def test_shows_what_wider_windows_still_hold(self) -> None:
        found = everything(feature([(Trailing(10), ["rows"]), (Trailing(30), ["rows"])]), [event(0)], 100)
        assert [(row[TIME], row["rows_0"], row["rows_1"]) for row in found] == [(0, 1, 1), (10, 0, 1), (30, 0, 0)]

    def test_is_one_row_though_two_windows_run_empty_at_once(self) -> None:
        found = everything(feature([(Trailing(10), ["rows"]), (Trailing(4, 6), ["rows"])]), [event(0)], 100)
        assert [row[TIME] for row in found] == [0, 10]

    def test_does_not_come_when_the_key_has_a_row_at_that_time(self) -> None:
        found = everything(feature([(Trailing(4, 6), ["rows"])]), [event(0), event(10)], 15)
        assert [(row[TIME], row[ID]) for row in found] == [(0, "A0"), (10, "A10")]

    def test_does_not_come_after_the_end_of_a_bounded_run(self) -> None:
        assert len(everything(feature([(Trailing(10), ["rows"])]), [event(0)], 9)) == 1

    def test_of_a_delayed_window_comes_though_the_key_has_newer_rows(self) -> None:
        found = everything(feature([(Trailing(5, 20), ["rows"])]), [event(0), event(22)], 26)
        assert [(row[TIME], row["rows_0"]) for row in found] == [(0, 0), (22, 1), (25, 0)]


class TestEvidence:
    """Evidence."""

    def test_names_the_last_rows_of_the_widest_window_with_the_row_itself(self) -> None:
        rows = [event(t) for t in (0, 1, 2, 3, 30)]
        found = everything(feature([(Trailing(10), ["rows"])]), rows, 30)
        assert found[3]["evidence"] == [("A1", 1), ("A2", 2), ("A3", 3)]
        assert found[-1]["evidence"] == [("A30", 30)]

    def test_of_a_delayed_feature_ends_with_the_row_itself(self) -> None:
        found = everything(feature([(Trailing(10, 5), ["rows"])]), [event(0), event(7)], 7)
        assert found[1]["evidence"] == [("A0", 0), ("A7", 7)]

    def test_of_rows_of_features_is_passed_on(self) -> None:
        schema = Schema({"card": STRING}, (TIME, ID, "__evidence"))
        operator = trailing_operator("f", ["card"], [(Trailing(10), {"rows": column(CALLS["rows"])})], schema)
        rows = pl.DataFrame(
            {
                TIME: [0, 1],
                ID: ["r0", "r1"],
                "card": ["A", "A"],
                "__evidence": [items(a=1, b=2), items(b=2, c=3, d=4)],
            },
            schema={TIME: pl.Int64, ID: pl.String, "card": pl.String, "__evidence": schema.physical["__evidence"]},
        )
        found = told(operator.step(rows, operator.initial(), Instant(1)).rows)
        assert [row["evidence"] for row in found] == [[("a", 1), ("b", 2)], [("b", 2), ("c", 3), ("d", 4)]]


class TestAgainstTheOracle:
    """Against the oracle."""

    @settings(max_examples=60, deadline=None)
    @given(rows_, windows_, cuts_, st.integers(0, 90))
    def test_every_row_and_every_empty_row_is_equal_however_the_stream_is_cut(
        self, rows: list[Row], windows: Windows, cuts: list[int], until: int
    ) -> None:
        until = max([until, *(row[TIME] for row in rows)])
        assert_same(everything(feature(windows), rows, until, cuts), expected(rows, windows, until))

    @settings(max_examples=25, deadline=None)
    @given(rows_, windows_)
    def test_waking_up_at_next_due_and_never_else_gives_the_same_rows(self, rows: list[Row], windows: Windows) -> None:
        operator, state, since, due = feature(windows), None, -1, None
        state, found = operator.initial(), []
        for now in range(101):
            slice_ = batch(row for row in rows if since < row[TIME] <= now)
            if not slice_.height and now != due:
                continue
            step = operator.step(slice_, state, Instant(now))
            assert step.rows.height, "it said that something would be due"
            found += told(step.rows)
            state, due, since = step.state, step.next_due, now
            assert due is None or due > now
        assert_same(found, expected(rows, windows, 100))

    @settings(max_examples=25, deadline=None)
    @given(rows_, windows_, cuts_)
    def test_keys_with_equal_hashes_are_told_apart(self, rows: list[Row], windows: Windows, cuts: list[int]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                keyring,
                "hashes",
                lambda keys: (
                    keys.select(pl.lit(5).repeat_by(1)).to_series().explode().new_from_index(0, keys.height).to_numpy()
                ),
            )
            assert_same(everything(feature(windows), rows, 60, cuts), expected(rows, windows, 60))

    def test_a_state_of_another_hash_goes_on(self) -> None:
        windows = [(Trailing(10), ["rows", "total"])]
        rows = [event(t, card, amount=t) for t in range(12) for card in "ABCD"]
        operator = feature(windows)
        with pytest.MonkeyPatch.context() as patch:
            real = keyring.hashes
            patch.setattr(keyring, "hashes", lambda keys: real(keys) ^ 0x5555555)
            first = operator.step(batch(row for row in rows if row[TIME] < 6), operator.initial(), Instant(5))
        state = dict(first.state)
        state["clock"] = state["clock"].with_columns(pl.lit("older").alias("hash"))
        second = operator.step(batch(row for row in rows if row[TIME] >= 6), carried(state), Instant(60))
        assert_same(told(pl.concat([first.rows, second.rows])), expected(rows, windows, 60))

    def test_times_and_keys_that_do_not_fit_one_line_are_stepped_in_halves(self) -> None:
        windows = [(Trailing(10), ["rows"])]
        rows = [event(t, card) for t in (0, 3, 9, 2_000_000_000, 2_000_000_004) for card in "ABC"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("operators.trailing.ranges.PLACES_MOST", 1_000_000_000)
            assert_same(everything(feature(windows), rows, 2**32), expected(rows, windows, 2**32))


class TestAtAnotherStream:
    """At another stream."""

    @settings(max_examples=40, deadline=None)
    @given(rows_, rows_, windows_, cuts_)
    def test_rows_that_ask_see_the_rows_that_answer(
        self, asking: list[Row], answering: list[Row], windows: Windows, cuts: list[int]
    ) -> None:
        asking = [row | {ID: f"q{row[ID]}"} for row in asking]
        both = pl.concat(
            [
                batch(asking).with_columns(pl.lit(value=True).alias("__probe")),
                batch(answering).with_columns(pl.lit(value=False).alias("__probe")),
            ]
        ).sort(TIME, ID)
        found = told(pl.concat(run(feature(windows, probe=True), both, cuts, 50)))
        answers = sorted(answering, key=lambda row: (row[TIME], row[ID]))
        wanted = [
            answer(row[TIME], row[ID], row["card"], row, answers, windows, probe=True)
            for row in sorted(asking, key=lambda row: (row[TIME], row[ID]))
        ]
        assert_same(found, wanted)

    def test_nothing_is_due_in_silence(self) -> None:
        operator = feature([(Trailing(10), ["rows"])], probe=True)
        rows = batch([event(0)]).with_columns(pl.lit(value=False).alias("__probe"))
        step = operator.step(rows, operator.initial(), Instant(0))
        assert (step.rows.height, step.next_due) == (0, None)


class TestWhatIsKept:
    """What is kept."""

    def test_is_forgotten_when_no_window_can_see_it(self) -> None:
        operator = feature([(Trailing(10), ["rows"])])
        state = operator.initial()
        for now in range(0, 4000, 40):
            rows = batch(event(now + n, f"card{now}{n}") for n in range(40))
            state = operator.step(rows, state, Instant(now + 39)).state
        assert {name: frame.height for name, frame in state.items() if name in {"rows", "keys", "timers"}} == {
            "rows": 10,
            "keys": 10,
            "timers": 10,
        }

    def test_is_nothing_after_the_last_empty_row(self) -> None:
        operator = feature([(Trailing(10), ["rows"])])
        state = operator.step(batch([event(0)]), operator.initial(), Instant(0)).state
        step = operator.step(batch([]), state, Instant(10))
        assert (step.next_due, [step.state[name].height for name in ("rows", "keys", "timers")]) == (None, [0, 0, 0])


class TestAFeatureWithoutOtherColumns:
    """A feature of rows that have a key and no other column."""

    def test_gives_its_rows_and_empty_rows(self) -> None:
        schema = Schema({"card": STRING}, (TIME, ID, POSITION))
        operator = trailing_operator("f", ["card"], [(Trailing(10), {"rows": column(CALLS["rows"])})], schema)
        rows = batch([event(0), event(1, "B")]).select(TIME, ID, POSITION, "card")
        found = told(operator.step(rows, operator.initial(), Instant(20)).rows)
        assert [(row[TIME], row["card"], row["rows"]) for row in found] == [
            (0, "A", 1),
            (1, "B", 1),
            (10, "A", 0),
            (11, "B", 0),
        ]
