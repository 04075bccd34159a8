"""`at_most`: how much a sink gets, and that nothing is held back in silence."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transition_rows import BASE, MemorySink, frame, names, transition

from sinks.at_most import NOTICE, AtMost, Memory
from sinks.delivery import Delivery, Progress
from sinks.where import Where
from tocsin.model.alerts import CLOSED_AT_BIRTH
from tocsin.model.rates import Rate, rate_of

if TYPE_CHECKING:
    from collections.abc import Sequence

TWO_A_MINUTE = AtMost("room", Rate(2, 60_000, "2 per minute"))
ALERTS = "abcdefg"
Event = tuple[str, str, int]
"""Alert, level (clear ends it, once is closed at birth), seconds after BASE."""


def rows(events: Sequence[Event]) -> pl.DataFrame:
    """Give transitions; an alert that comes again after its end is another one."""
    made, numbers, lives = [], dict.fromkeys(ALERTS, 0), dict.fromkeys(ALERTS, 0)
    for alert, level, second in events:
        numbers[alert] += 1
        once = level == "once"
        changes = {"time": BASE + second * 1000, "reason": CLOSED_AT_BIRTH if once else ""}
        shown = "red" if once else level
        made.append(transition(f"{alert}{lives[alert]}", numbers[alert], shown, rule=f"rule-{alert}", **changes))
        if once or level == "clear":
            numbers[alert], lives[alert] = 0, lives[alert] + 1
    return frame(*made)


def through(limit: AtMost, batches: Sequence[pl.DataFrame], where: Where | None = None) -> pl.DataFrame:
    """Give what passes of the log, cut into these batches."""
    memory, passed, given_rows = Memory(), Where.nothing_passed(), []
    for batch in batches:
        reached = batch.select(pl.col("time").max()).item()
        log = limit.beside(batch, memory)
        if where is not None:
            log, passed = where.through(log, passed)
        rows, memory = limit.through(log, reached, memory)
        given_rows.append(rows)
    return pl.concat(given_rows)


def oracle(log: pl.DataFrame, limit: AtMost) -> list[tuple[str, int]]:
    """Give alert and sequence of all that passes, notices left out: by looking at each transition."""
    open_, admitted, times, kept, now = set[str](), set[str](), list[int](), [], -1
    for row in log.to_dicts():
        alert, now = row["alert_id"], max(now, row["time"])
        ends = row["kind"] == "cleared" or row["reason"] == CLOSED_AT_BIRTH
        passes = alert in admitted
        if alert not in admitted and not (alert in open_ and ends):
            passes = sum(1 for time in times if time > now - limit.rate.per) < limit.rate.most
            if passes:
                times.append(now)
                admitted.add(alert)
        open_.add(alert)
        if ends:
            open_.discard(alert)
            admitted.discard(alert)
        if passes:
            kept.append((alert, row["sequence"]))
    return kept


EVENTS = st.lists(
    st.tuples(st.sampled_from(ALERTS), st.sampled_from(["yellow", "red", "red", "clear", "once"]), st.integers(0, 300)),
    max_size=30,
)


class TestWhatPasses:
    """So many alerts in any such length of event time, with all that comes of them."""

    @settings(max_examples=60, deadline=None)
    @given(events=EVENTS, cuts=st.lists(st.integers(0, 30), max_size=4), most=st.integers(1, 3))
    def test_it_is_what_a_look_at_every_transition_gives_however_the_log_is_cut(
        self, events: list[Event], cuts: list[int], most: int
    ) -> None:
        limit, log = AtMost("room", Rate(most, 60_000, f"{most} per minute")), rows(events)
        edges = sorted({0, log.height, *(cut for cut in cuts if cut <= log.height)})
        parts = [log.slice(a, b - a) for a, b in pairwise(edges)] or [log]
        got = through(limit, parts)
        truth = got.filter(pl.col("rule") != NOTICE)
        assert truth.select("alert_id", "sequence").rows() == oracle(log, limit)
        assert got.equals(through(limit, [log]))

    @settings(max_examples=60, deadline=None)
    @given(events=EVENTS, cuts=st.lists(st.integers(0, 30), max_size=4), most=st.integers(1, 2))
    @example([("a", "red", 0), ("b", "red", 1), ("g", "red", 100), ("c", "red", 50), ("a", "red", 200)], [3], 1)
    def test_it_does_not_depend_on_cuts_where_the_sink_gets_but_a_part_of_the_log(
        self, events: list[Event], cuts: list[int], most: int
    ) -> None:
        limit, log = AtMost("room", Rate(most, 60_000, f"{most} per minute")), rows(events)
        edges = sorted({0, log.height, *(cut for cut in cuts if cut <= log.height)})
        parts = [log.slice(a, b - a) for a, b in pairwise(edges)] or [log]
        where = Where(pl.col("rule").is_in(["rule-a", "rule-b", "rule-c"]))
        assert through(limit, parts, where).equals(through(limit, [log], where))

    def test_an_alert_that_passed_is_told_to_its_end(self) -> None:
        log = rows([("a", "red", 0), ("b", "red", 1), ("c", "red", 2), ("a", "yellow", 3), ("a", "clear", 4)])
        passed = through(TWO_A_MINUTE, [log]).filter(pl.col("rule") != NOTICE)
        assert passed["alert_id"].to_list() == ["a0", "b0", "a0", "a0"]

    def test_one_that_was_held_back_comes_through_later_but_its_end_alone_does_not(self) -> None:
        held = [("a", "red", 0), ("b", "red", 1), ("c", "red", 2), ("d", "red", 3)]
        log = rows([*held, ("d", "clear", 90), ("c", "yellow", 91), ("c", "clear", 92)])
        passed = through(TWO_A_MINUTE, [log]).filter(pl.col("rule") != NOTICE)
        assert passed.select("alert_id", "sequence").rows() == [("a0", 1), ("b0", 1), ("c0", 2), ("c0", 3)]


class TestNotices:
    """The receiver is told that alerts are held back, how bad they are, and in the end how many they were."""

    def notices(self, events: Sequence[Event], cut: int = 0) -> pl.DataFrame:
        """Give the notices among what passes."""
        log = rows(events)
        return through(TWO_A_MINUTE, [log.head(cut), log.slice(cut)]).filter(rule=NOTICE)

    FLOOD = (("a", "red", 0), ("b", "red", 1), ("c", "yellow", 2), ("d", "once", 3), ("e", "yellow", 4))

    def test_holding_back_is_an_alert_of_its_own(self) -> None:
        found = self.notices([*self.FLOOD, ("f", "red", 70)])
        assert found.select("kind", "level", "sequence").rows() == [
            ("raised", "yellow", 1),
            ("level_changed", "red", 2),
            ("cleared", "clear", 3),
        ]
        assert found["alert_id"].n_unique() == 1
        assert found["entity"].unique().to_list() == ['{"sink":"room"}']
        assert ((found["time"] - BASE) / 1000).to_list() == [2, 3, 60]

    def test_the_last_says_how_many_of_which_rules(self) -> None:
        found = self.notices([*self.FLOOD, ("f", "red", 70)])
        assert found["says"].to_list() == [
            "more than 2 per minute: alerts are held back",
            "more than 2 per minute: alerts are held back",
            "3 alerts were held back, more than 2 per minute: 1 of rule-c, 1 of rule-d, 1 of rule-e; the highest red",
        ]
        assert found["values"].last() == '{"at_most":"2 per minute","held":{"rule-c":1,"rule-d":1,"rule-e":1}}'

    def test_it_stands_before_the_alert_for_which_there_is_room_again(self) -> None:
        passed = through(TWO_A_MINUTE, [rows([*self.FLOOD, ("f", "red", 70)])])
        assert passed["rule"].to_list()[-2:] == [NOTICE, "rule-f"]

    def test_it_ends_with_any_transition_that_the_sink_does_not_get_too(self) -> None:
        log = rows([*self.FLOOD, ("f", "blue", 70)])
        got = through(TWO_A_MINUTE, [log], Where(pl.col("level") != "blue"))
        assert got.filter(rule=NOTICE)["kind"].last() == "cleared"

    def test_they_come_whatever_the_sink_wants_otherwise(self) -> None:
        log = rows([(alert, level, n) for n, alert in enumerate("abc") for level in ("red", "clear")])
        found = through(TWO_A_MINUTE, [log], Where(pl.col("kind") == "cleared"))
        assert names(found.head(2)) == ["a02-", "b02-"]
        assert found[2:].select("rule", "kind", "level").rows() == [(NOTICE, "raised", "blue")]

    def test_one_that_is_open_at_the_end_stays_so_and_a_run_that_goes_on_ends_it(self) -> None:
        assert self.notices(self.FLOOD)["kind"].to_list() == ["raised", "level_changed"]
        assert self.notices([*self.FLOOD, ("f", "red", 70)], len(self.FLOOD))["kind"].last() == "cleared"

    def test_what_was_held_back_is_counted(self) -> None:
        log = rows([*self.FLOOD, ("c", "red", 5)])
        memory = Memory()
        assert TWO_A_MINUTE.through(TWO_A_MINUTE.beside(log, memory), None, memory).memory.flood.total == 3

    def test_a_batch_in_which_the_sink_gets_nothing_leaves_the_memory_of_alerts_as_it_was(self) -> None:
        log = rows([*self.FLOOD])
        memory = TWO_A_MINUTE.through(TWO_A_MINUTE.beside(log, Memory()), None, Memory()).memory
        nothing = TWO_A_MINUTE.beside(log.clear(), memory)
        assert TWO_A_MINUTE.through(nothing, None, memory).memory.met is memory.met

    def test_one_that_is_held_back_and_rises_is_told(self) -> None:
        found = self.notices([("a", "red", 0), ("b", "red", 1), ("c", "yellow", 2), ("c", "red", 3)])
        assert found.select("kind", "level").rows() == [("raised", "yellow"), ("level_changed", "red")]

    def test_one_that_is_held_back_again_in_a_second_flood_is_told(self) -> None:
        first = [("a", "red", 0), ("b", "red", 1), ("c", "yellow", 2)]
        found = self.notices([*first, ("d", "red", 70), ("e", "red", 71), ("c", "red", 72), ("d", "clear", 140)])
        assert found.select("kind", "level").rows()[2:] == [("raised", "red"), ("cleared", "clear")]
        assert found["alert_id"].n_unique() == 2
        assert found["says"].last() == "1 alert was held back, more than 2 per minute: 1 of rule-c; the highest red"


class TestDelivering:
    """A limited sink after a crash, and with early copies."""

    @settings(max_examples=25, deadline=None)
    @given(events=EVENTS.filter(bool), kept=st.integers(0, 30))
    def test_what_is_offered_again_is_decided_as_it_was(self, events: list[Event], kept: int) -> None:
        log = rows(events)
        kept = min(kept, log.height)
        whole = self.deliver(log, Progress())[0]
        first, progress = self.deliver(log.head(kept), Progress())
        second, _ = self.deliver(log.slice(kept), progress)
        assert first + second == whole

    def deliver(self, log: pl.DataFrame, progress: Progress) -> tuple[list[str], Progress]:
        """Give the names of what a sink got, and its progress."""
        sink = MemorySink()
        delivery = Delivery("room", sink, at_most=TWO_A_MINUTE, progress=progress)
        delivery.start()
        for number, row in enumerate(log.iter_slices(1), progress.position + 1):
            delivery.offer(row, number, 5.0)
        assert delivery.close()
        return sink.rows, delivery.progress

    def test_early_copies_do_not_come(self) -> None:
        sink = MemorySink()
        delivery = Delivery("room", sink, at_most=TWO_A_MINUTE)
        delivery.start()
        delivery.offer_early(frame(transition("a", 1, early=True)))
        delivery.offer(rows([("a", "red", 0)]), 1)
        assert delivery.close()
        assert sink.rows == ["a01"]
        assert names(rows([("a", "red", 0)])) == ["a01"]


class TestRates:
    """As the language writes them."""

    @pytest.mark.parametrize(
        ("text", "most", "per"),
        [
            ("10 per hour", 10, 3_600_000),
            ("1 per 15m", 1, 900_000),
            ("100 per 1h", 100, 3_600_000),
            ("3 per 30 s", 3, 30_000),
            ("7 per day", 7, 86_400_000),
            ("2 per 5min", 2, 300_000),
        ],
    )
    def test_so_many_per_so_long(self, text: str, most: int, per: int) -> None:
        assert rate_of(text) == Rate(most, per, text)
