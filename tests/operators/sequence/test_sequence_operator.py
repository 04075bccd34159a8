"""Sequences against plain Python, and what must not change their result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequence_oracle import Oracle, Row

from operators.contract import Instant
from operators.expressions import Scope, bind
from operators.sequence import STEP, Sequence, StepSpec, sequence_operator
from operators.state import dump, restore
from tocsin.model.rows import EVIDENCE, ID, POSITION, TIME
from tocsin.model.types import BOOLEAN, INT64, STRING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WITHIN = 10
OWN = {"n": INT64, "mark": STRING}
END = 10**9


@dataclass(frozen=True)
class Form:
    """A sequence: per step its condition as text and in Python; the one that must be missing; whence steps come."""

    steps: Mapping[str, tuple[str | None, Any]]
    absent: str | None = None
    streams: Mapping[str, str] = field(default_factory=dict)

    def stream(self, step: str) -> int:
        """The number of the stream of a step."""
        streams = [self.streams.get(name, "") for name in self.steps]
        return streams.index(self.streams.get(step, ""))

    def operator(self, by: tuple[str, ...] = ("key",)) -> Sequence:
        steps: list[StepSpec] = []
        for name, (text, _) in self.steps.items():
            there = [step for step in steps if step.name != self.absent]
            before = {column: type_ for step in there for column, type_ in step.named.items()}
            condition = None if text is None else bind(text, Scope({**OWN, **before}), expect=BOOLEAN)
            steps.append(StepSpec(name, OWN, condition, self.streams.get(name, "")))
        absent = None if self.absent is None else list(self.steps).index(self.absent)
        return sequence_operator(dict.fromkeys(by, STRING), steps, WITHIN, absent=absent)

    def expected(self, rows: Iterable[Row], until: int = END) -> list[tuple[Any, ...]]:
        tests = {name: test for name, (_, test) in self.steps.items()}
        told = []
        for key in ("a", "b"):
            oracle = Oracle([row for row in rows if row["key"] == key], tests, WITHIN, self.absent)
            for time, chain in oracle.matches(until):
                ids = tuple(chain[name][ID] for name in oracle.present)
                told.append((time, key, ids[-1], tuple(chain[name]["n"] for name in oracle.present), ids[-3:]))
        return sorted(told)


def always(row: Row, chain: Mapping[str, Row]) -> bool:  # noqa: ARG001  # as the others
    return True


def positive(row: Row, chain: Mapping[str, Row]) -> bool:  # noqa: ARG001  # as the others
    return row["n"] is not None and row["n"] > 0


def more(row: Row, chain: Mapping[str, Row]) -> bool:
    n, first = row["n"], chain["one"]["n"]
    return n is not None and first is not None and n > first


ANY = (None, always)
POSITIVE = ("n > 0", positive)
MORE = ("n > one.n", more)

FORMS = {
    "two": Form({"one": ANY, "two": ANY}),
    "two, with conditions": Form({"one": POSITIVE, "two": POSITIVE}),
    "three": Form({"one": ANY, "two": POSITIVE, "three": ANY}),
    "five": Form({"one": ANY, "two": ANY, "three": ANY, "four": ANY, "five": ANY}),
    "two that are compared": Form({"one": ANY, "two": MORE}),
    "three of which two are compared": Form({"one": ANY, "two": MORE, "three": MORE}),
    "without the last": Form({"one": ANY, "two": POSITIVE}, "two"),
    "without the last of three": Form({"one": ANY, "two": MORE, "three": ANY}, "three"),
    "without the first": Form({"one": POSITIVE, "two": ANY}, "one"),
    "without the first of three": Form({"one": ANY, "two": ANY, "three": POSITIVE}, "one"),
    "without the one between": Form({"one": ANY, "two": POSITIVE, "three": ANY}, "two"),
    "without one between that is compared": Form({"one": ANY, "two": MORE, "three": ANY}, "two"),
    "three of two streams": Form({"one": ANY, "two": ANY, "three": POSITIVE}, None, {"two": "other"}),
    "two streams without the one between": Form({"one": ANY, "two": POSITIVE, "three": ANY}, "two", {"two": "other"}),
    "without one of four": Form({"one": ANY, "two": ANY, "three": POSITIVE, "four": ANY}, "three"),
}

every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())

STEPS = ("one", "two", "three", "four", "five")
drawn = st.lists(
    st.tuples(st.integers(0, 25), st.integers(0, 2), st.sampled_from("aaab"), st.integers(0, 4), st.integers(-1, 2)),
    max_size=24,
)


def events(form: Form, drawn_: list[tuple[int, int, str, int, int]]) -> list[Row]:
    """Rows of drawn (time, id, key, step, n): some are several steps at once, as events of a stream read twice are."""
    names, rows = list(form.steps), {}
    for time, number, key, step, n in drawn_:
        name = names[step % len(names)]
        rows[time, number, key, name] = {
            TIME: time, ID: f"e{time}.{number}", "key": key, "step": name,
            "stream": form.stream(name), "n": n if n >= 0 else None,
        }  # fmt: skip
    return list(rows.values())


def batch(form: Form, rows: Iterable[Row]) -> pl.DataFrame:
    """Give rows as the head of the stage does: the columns of a step have its name, those of the others are null."""
    columns: dict[str, Any] = {TIME: pl.Int64, ID: pl.String, POSITION: pl.Int64, "key": pl.String, STEP: pl.Int64}
    columns |= {f"{name}.{column}": type_.physical for name in form.steps for column, type_ in OWN.items()}
    told = [
        {**row, POSITION: row["stream"], STEP: list(form.steps).index(row["step"]), f"{row['step']}.n": row["n"]}
        for row in rows
    ]
    return pl.DataFrame(told, schema=columns).sort(TIME, ID, STEP)


def run(
    form: Form, rows: list[Row], cuts: Iterable[int] = (), until: int | None = None, *, due_only: bool = False
) -> pl.DataFrame:
    """Give all matches. `due_only`: between the rows the operator is called only when something is due."""
    operator, since, found = form.operator(), -1, []
    state, due = operator.initial(), None
    end = END if until is None else until
    for watermark in sorted({*(cut for cut in cuts if cut < end), end}):
        part = batch(form, [row for row in rows if since < row[TIME] <= watermark])
        if due_only and part.is_empty() and watermark != end and (due is None or due > watermark):
            continue
        instant = Instant(watermark, until if watermark == end else None)
        step = operator.step(part, restore(dump(state)), instant)
        assert step.rows.schema == operator.output.physical
        assert step.rows.get_column(TIME).is_sorted()
        state, since, due = step.state, watermark, step.next_due
        found.append(step.rows)
    return pl.concat(found)


def told(form: Form, found: pl.DataFrame) -> list[tuple[Any, ...]]:
    names = [name for name in form.steps if name != form.absent]
    ns = pl.concat_list(f"{name}.n" for name in names).alias("ns")
    ids = pl.col(EVIDENCE).list.eval(pl.element().struct.field("id")).alias("ids")
    rows = found.select(TIME, "key", ID, ns, ids).rows()
    return sorted((time, key, id_, tuple(values), tuple(events_)) for time, key, id_, values, events_ in rows)


@every_form
class TestAgainstTheOracle:
    """The matches, in total."""

    @settings(max_examples=25, deadline=None)
    @given(drawn=drawn, cuts=st.lists(st.integers(0, 60), max_size=3))
    def test_equal_plain_python_however_the_stream_is_cut(
        self, form: Form, drawn: list[tuple[int, int, str, int, int]], cuts: list[int]
    ) -> None:
        rows = events(form, drawn)
        assert told(form, run(form, rows, cuts)) == form.expected(rows)


class TestWakingUp:
    """A host calls when rows come or something is due."""

    FORM = FORMS["without the last"]

    @settings(max_examples=25, deadline=None)
    @given(drawn=drawn)
    def test_what_did_not_come_is_told_by_a_host_that_calls_only_then(
        self, drawn: list[tuple[int, int, str, int, int]]
    ) -> None:
        rows = events(self.FORM, drawn)
        assert run(self.FORM, rows, range(0, 60, 2), due_only=True).equals(run(self.FORM, rows, range(0, 60, 7)))

    @settings(max_examples=25, deadline=None)
    @given(drawn=drawn, until=st.integers(0, 50), cuts=st.lists(st.integers(0, 50), max_size=3))
    def test_of_a_bounded_run_are_those_up_to_its_end(
        self, drawn: list[tuple[int, int, str, int, int]], until: int, cuts: list[int]
    ) -> None:
        rows = [row for row in events(self.FORM, drawn) if row[TIME] <= until]
        assert told(self.FORM, run(self.FORM, rows, cuts, until)) == self.FORM.expected(rows, until)

    def test_nothing_is_due_when_everything_was_answered(self) -> None:
        operator = self.FORM.operator()
        first, last = row("one", 1), row("two", 3, n=1)
        step = operator.step(batch(self.FORM, [first]), operator.initial(), Instant(2))
        assert step.next_due == 1 + WITHIN
        assert operator.step(batch(self.FORM, [last]), step.state, Instant(3)).next_due is None

    def test_no_other_sequence_is_ever_due(self) -> None:
        form = FORMS["without the one between"]
        assert (
            form.operator().step(batch(form, [row("one", 1)]), form.operator().initial(), Instant(2)).next_due is None
        )


def row(step: str, time: int, number: int = 0, n: int | None = None) -> Row:
    return {TIME: time, ID: f"e{time}.{number}", "key": "a", "step": step, "stream": int(step == "two"), "n": n}


class TestOneThenTheOther:
    """A then B within T."""

    FORM = FORMS["two"]

    def matched(self, *rows: Row, name: str = "two") -> list[tuple[int, list[str]]]:
        found = run(FORMS[name], list(rows), range(WITHIN + 2))
        assert found.equals(run(FORMS[name], list(rows)))
        ids = found.get_column(EVIDENCE).list.eval(pl.element().struct.field("id"))
        return list(zip(found.get_column(TIME), ids.to_list(), strict=True))

    def test_the_latest_earlier_step_counts_and_each_last_step_gives_one_match(self) -> None:
        found = self.matched(row("one", 1), row("one", 3), row("two", 4), row("two", 6))
        assert found == [(4, ["e3.0", "e4.0"]), (6, ["e3.0", "e6.0"])]

    def test_the_last_step_may_come_exactly_at_the_end_of_the_time(self) -> None:
        assert self.matched(row("one", 1), row("two", 1 + WITHIN)) == [(1 + WITHIN, ["e1.0", f"e{1 + WITHIN}.0"])]
        assert self.matched(row("one", 1), row("two", 2 + WITHIN)) == []

    def test_at_one_time_ids_say_who_was_first(self) -> None:
        assert self.matched(row("one", 5, 1), row("two", 5, 2)) == [(5, ["e5.1", "e5.2"])]
        assert self.matched(row("one", 5, 2), row("two", 5, 1)) == []

    def test_an_event_that_can_be_both_does_not_follow_itself(self) -> None:
        assert self.matched(row("one", 5), row("two", 5)) == []

    def test_events_of_two_streams_with_one_id_are_two(self) -> None:
        form = Form(self.FORM.steps, None, {"two": "other"})
        assert [ids for _, _, _, _, ids in told(form, run(form, [row("one", 5), row("two", 5)]))] == [("e5.0", "e5.0")]

    def test_the_time_is_counted_from_the_first_step(self) -> None:
        steps = row("one", 0), row("two", 8, n=1), row("three", 11)
        assert self.matched(*steps, name="three") == []

    def test_evidence_is_one_event_per_step_the_last_three(self) -> None:
        steps = [row(name, at) for at, name in enumerate(STEPS)]
        assert self.matched(*steps, name="five") == [(4, ["e2.0", "e3.0", "e4.0"])]

    def test_a_condition_judges_the_latest_earlier_step_and_tries_no_other(self) -> None:
        steps = row("one", 1, n=0), row("one", 2, n=2), row("two", 3, n=1)
        assert self.matched(*steps, name="two that are compared") == []


class TestOneWithoutTheOther:
    """A without B."""

    def times(self, name: str, *rows: Row, until: int | None = None) -> list[int]:
        found = run(FORMS[name], list(rows), range(40), until)
        assert found.equals(run(FORMS[name], list(rows), (), until))
        return found.get_column(TIME).to_list()

    def test_what_did_not_come_in_time_is_told_when_the_time_is_up(self) -> None:
        assert self.times("without the last", row("one", 2), row("two", 13, n=1)) == [12]

    def test_what_comes_exactly_then_has_come(self) -> None:
        assert self.times("without the last", row("one", 2), row("two", 12, n=1)) == []

    def test_one_answer_is_enough_for_all_that_wait(self) -> None:
        assert self.times("without the last", row("one", 2), row("one", 5), row("two", 7, n=1), row("one", 8)) == [18]

    def test_a_time_that_is_up_after_the_end_of_a_bounded_run_is_not_told(self) -> None:
        assert self.times("without the last", row("one", 2), row("one", 5), until=12) == [12]

    def test_a_match_without_what_comes_before_has_the_time_of_its_last_step(self) -> None:
        before, alone = row("one", 2, n=1), row("two", 13)
        assert self.times("without the first", before, row("two", 12), alone) == [13]

    def test_what_comes_between_breaks_the_chain(self) -> None:
        name = "without the one between"
        assert self.times(name, row("one", 2), row("three", 4), row("two", 5, n=1), row("three", 6)) == [4]
        assert self.times(name, row("one", 2), row("two", 5, n=1), row("one", 6), row("three", 7)) == [7]

    def test_an_event_that_can_be_both_is_not_missing_before_or_after_itself(self) -> None:
        both = row("one", 2, n=1), row("two", 2, n=1)
        assert self.times("without the last", *both) == [12]
        assert self.times("without the first", *both) == [2]
        assert self.times("without the one between", row("one", 1), *both, row("three", 3)) == [3]

    @pytest.mark.parametrize("cut", range(8))
    def test_what_breaks_a_chain_breaks_it_wherever_the_stream_is_cut(self, cut: int) -> None:
        form = FORMS["without the one between"]
        steps = ["one", "two", "three", "one", "three", "two", "three"]
        rows = [row(step, at, n=1) for at, step in enumerate(steps, 1)]
        assert run(form, rows, [cut]).get_column(TIME).to_list() == [5]

    def test_its_columns_are_not_there(self) -> None:
        assert list(FORMS["without the one between"].operator().output.columns) == [
            "key", "one.n", "one.mark", "three.n", "three.mark",
        ]  # fmt: skip


class TestState:
    """What is kept."""

    @every_form
    def test_keys_that_come_and_go_leave_it(self, form: Form) -> None:
        operator, state = form.operator(), form.operator().initial()
        for now in range(0, 600, 20):
            rows = [row(name, now, number, n=1) | {"key": f"k{now}"} for number, name in enumerate(form.steps)]
            state = operator.step(batch(form, rows), state, Instant(now)).state
        assert sum(frame.height for name, frame in state.items() if name != "lengths") <= 2 * len(form.steps) + 1

    def test_the_hash_of_another_version_changes_nothing(self) -> None:
        form = FORMS["three"]
        operator = form.operator()
        before = operator.step(batch(form, [row("one", 1), row("two", 2, n=1)]), operator.initial(), Instant(2)).state
        other = before["clock"].with_columns(pl.lit("another").alias("hash"))
        last = batch(form, [row("three", 3)])
        found = operator.step(last, {**before, "clock": other}, Instant(3)).rows
        assert found.equals(operator.step(last, before, Instant(3)).rows)
        assert found.height == 1
