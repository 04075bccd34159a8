"""Tests inside rules: what they give, what they expect, and what is said when it happens otherwise."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from textwrap import dedent, indent

import pytest

from streams.given import Given
from streams.rule_tests import Outcome, run_tests
from tocsin.compiler import compile_topology
from tocsin.errors import SourceError
from tocsin.language import load, loads
from tocsin.language.model import Duration, GivenWord, Text

HEAD = """\
topology: {name: t, zone: Asia/Shanghai}
streams:
  payments:
    id: id
    time: {field: at, lateness: 5s}
    fields: {id: int64, at: timestamp, card: person(card), terminal: string, amount: decimal(2)}
    checks: {positive: amount > 0, known: kinds(terminal).open, plausible: {should: amount < 10}}
tables:
  kinds:
    key: terminal
    fields: {terminal: string, open: boolean}
    rows: [{terminal: shut, open: false}, {terminal: t1, open: true}]
  listed: {key: card, topic: lists.card.v1, time: since, fields: {card: person(card), since: timestamp, label: string}}
features:
  pace:
    from: payments
    by: card
    windows: {trailing 10m: {n: count(), spent: sum(amount)}}
  minute:
    from: payments
    windows: {tumbling 1m: {n: count()}}
rules:
"""


def outcomes(rules: str) -> list[Outcome]:
    """What the tests of these rules give."""
    topology = loads(HEAD + indent(dedent(rules), "  "), name="t.yaml")
    return list(run_tests(topology, compile_topology(topology)))


def differences(test: str, rule: str = "from: pace, levels: {red: n >= 3}") -> tuple[str, ...]:
    """What one test of a rule on pace gives."""
    (outcome,) = outcomes(f"r: {{{rule}, tests: [{test}]}}\n")
    return outcome.differences


class TestExpectations:
    """What an outcome says."""

    def test_a_test_that_goes_as_expected_has_no_difference(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 3, amount: 5}]}"
        assert differences(f"{{given: {given}, expect: {{A: [10:02 red, 10:12 clear]}}}}") == ()

    def test_seconds_and_the_day_may_be_written(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 3, amount: 5}]}"
        expect = "{A: [10:02:00 red, 2026-03-02 10:12 clear]}"
        assert differences(f"{{given: {given}, expect: {expect}}}") == ()

    def test_a_time_of_another_day_needs_its_date(self) -> None:
        given = "{payments: [{card: A, at: 23:59, every: 1m, times: 3, amount: 5}]}"
        expect = "{A: [2026-03-03 00:01 red, 2026-03-03 00:11 clear]}"
        assert differences(f"{{given: {given}, expect: {expect}}}") == ()

    def test_a_difference_says_what_was_expected_and_what_happened(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 3, amount: 5}]}"
        assert differences(f"{{given: {given}, expect: {{A: 10:01 red}}}}") == (
            "A: expected 10:01:00 red; got 10:02:00 red, 10:12:00 clear",
        )

    def test_who_is_not_named_must_stay_quiet(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 3, amount: 5}]}"
        assert differences(f"{{given: {given}, expect: {{}}}}") == (
            "A: expected nothing; got 10:02:00 red, 10:12:00 clear",
        )

    def test_who_is_named_must_not(self) -> None:
        given = "{payments: [{card: A, at: 10:00, amount: 5}]}"
        assert differences(f"{{given: {given}, expect: {{A: 10:00 red}}}}") == (
            "A: expected 10:00:00 red; got nothing",
        )

    def test_that_only_numbers_change_is_not_expected(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 40, amount: 5}]}"
        assert differences(f"{{given: {given}, expect: {{A: [10:02 red, 10:49 clear]}}}}") == ()

    def test_a_window_row_is_named_by_its_end(self) -> None:
        given = "{payments: [{card: A, at: 10:00:07, amount: 5}]}"
        rule = "from: minute, levels: {red: n >= 1}, keep: 5m"
        assert differences(f"{{given: {given}, expect: {{all: [10:01 red, 10:06 clear]}}}}", rule) == ()

    def test_parts_of_an_entity_are_joined(self) -> None:
        given = "{payments: [{card: A, terminal: t1, at: 10:00, amount: 5}]}"
        rule = "from: payments, entity: [card, terminal], levels: {red: amount > 3}, keep: 1h"
        assert differences(f"{{given: {given}, expect: {{A/t1: 10:00 red}}}}", rule) == ()

    def test_each_test_is_numbered_and_has_its_place(self) -> None:
        given = "{payments: [{card: A, at: 10:00, amount: 5}]}"
        test = f"{{given: {given}, expect: {{}}}}"
        found = outcomes(f"r:\n  from: pace\n  levels: {{red: n >= 3}}\n  tests:\n    - {test}\n    - {test}\n")
        assert [(o.rule, o.number, o.place, o.good) for o in found] == [
            ("r", 1, "t.yaml:27:9", True),
            ("r", 2, "t.yaml:28:9", True),
        ]


class TestGivenRows:
    """What reaches the stages."""

    def test_a_record_that_fails_a_check_is_left_out(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 3, amount: [5, 5, 0]}]}"
        assert differences(f"{{given: {given}, expect: {{}}}}") == ()

    def test_a_check_may_read_a_table(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 3, terminal: [shut, t1, t2], amount: 5}]}"
        assert differences(f"{{given: {given}, expect: {{}}}}") == ()

    def test_a_check_that_only_counts_leaves_nothing_out(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 3, amount: 50}]}"
        assert differences(f"{{given: {given}, expect: {{A: [10:02 red, 10:12 clear]}}}}") == ()

    def test_a_row_of_a_table_holds_from_its_time_on(self) -> None:
        listed, payments = "[{card: A, at: 11:00}]", "[{card: A, at: 10:30, every: 1h, times: 2, amount: 5}]"
        given = f"{{listed: {listed}, payments: {payments}}}"
        rule = "from: payments, entity: card, levels: {red: card in listed}, keep: 1h"
        assert differences(f"{{given: {given}, expect: {{A: 11:30 red}}}}", rule) == ()

    def test_a_row_without_a_time_holds_always(self) -> None:
        given = "{listed: [{card: A}], payments: [{card: A, at: 10:30, amount: 5}]}"
        rule = "from: payments, entity: card, levels: {red: card in listed}, keep: 1h"
        assert differences(f"{{given: {given}, expect: {{A: 10:30 red}}}}", rule) == ()

    def test_a_bad_value_is_a_difference_with_its_place(self) -> None:
        given = "{payments: [{card: B, at: 09:00, amount: 5}, {card: A, at: 10:00, amount: much}]}"
        (difference,) = differences(f"{{given: {given}, expect: {{}}}}")
        assert difference.startswith("t.yaml:23:")
        assert ": given, row 1: amount is " in difference

    def test_a_number_that_cannot_be_computed_is_a_difference(self) -> None:
        given = "{payments: [{card: 'c{n % 0}', at: 10:00, amount: 5}]}"
        (difference,) = differences(f"{{given: {given}, expect: {{}}}}")
        assert difference.endswith("{n % 0} has no value")


class TestLines:
    """A `given` line as records."""

    GIVEN = Given("Asia/Shanghai", date(2026, 3, 2))

    def records(self, *, every: str = "", **words: object) -> list[dict[str, str]]:
        timing = {name: words.pop(name) for name in ("at", "times", "until") if name in words}
        step = Duration({"1s": 1000, "1m": 60_000}[every], Text(every)) if every else None
        values = {Text(name): value for name, value in words.items()}
        line = GivenWord(values=values, every=step, **timing)  # type: ignore[arg-type]  # words by name
        return list(self.GIVEN.records(line, "at"))

    def test_times_are_those_of_the_zone(self) -> None:
        assert self.records(at=Text("10:00")) == [{"at": "2026-03-02T02:00:00.000+00:00"}]

    def test_a_list_goes_round(self) -> None:
        found = self.records(at=Text("10:00"), every="1m", times=5, x=("a", "b"))
        assert [record["x"] for record in found] == ["a", "b", "a", "b", "a"]

    @pytest.mark.parametrize(
        ("text", "third"),
        [("c{n}", "c2"), ("{n % 2}", "0"), ("{n+10}", "12"), ("{n * 3}x", "6x"), ("{n / 2}", "1"), ("{ n - 5 }", "-3")],
    )
    def test_the_number_of_an_event_can_be_computed_with(self, text: str, third: str) -> None:
        assert self.records(at=Text("10:00"), every="1m", times=3, x=text)[2]["x"] == third

    def test_until_is_not_reached(self) -> None:
        found = self.records(at=Text("10:00"), every="1m", until=Text("10:02"))
        assert [record["at"][14:19] for record in found] == ["00:00", "01:00"]

    def test_other_arithmetic_is_refused(self) -> None:
        with pytest.raises(SourceError, match=r"\{n \* 2 \+ 1\} is not known"):
            self.records(at=Text("10:00"), x="{n * 2 + 1}")

    def test_an_end_before_the_beginning_is_refused(self) -> None:
        with pytest.raises(SourceError, match="need their date"):
            self.records(at=Text("23:00"), every="1m", until=Text("01:00"))

    def test_a_row_of_a_table_needs_no_time(self) -> None:
        assert self.records(x="a") == [{"x": "a"}]


class TestBuiltInStreams:
    """Counts of quality are given like events; alerts come from the other rules of the topology."""

    SILENT = """\
topology: {name: q}
streams:
  payments: {time: {field: at, lateness: 5s}, fields: {at: timestamp, card: string}}
  refunds: {time: {field: at, lateness: 5s}, fields: {at: timestamp, card: string}}
features:
  pulse: {from: quality, by: stream, for_all: streams, windows: {tumbling 5m: {records: max(records)}}}
  health: {from: quality, by: [stream, field], windows: {tumbling 5m: {gaps: sum(missing) / sum(records)}}}
rules:
"""

    def outcome(self, rule: str, test: str) -> tuple[str, ...]:
        """What one test of a rule gives."""
        topology = loads(f"{self.SILENT}  r: {{{rule}, tests: [{test}]}}\n", name="t.yaml")
        (outcome,) = run_tests(topology, compile_topology(topology))
        return outcome.differences

    def test_a_stream_that_falls_silent_is_missed(self) -> None:
        counts = "[{stream: payments, at: 10:00, every: 1m, times: 10, records: 5}]"
        test = f"{{given: {{quality: {counts}}}, expect: {{payments: [10:25 orange, 10:45 clear]}}}}"
        later = "{stream: payments, at: 10:43, every: 1m, times: 30, records: 1}"
        test = test.replace("records: 5}]", f"records: 5}}, {later}]")
        rule = "from: pulse, for: 10m, levels: {orange: 'coalesce(records, 0) = 0'}"
        assert self.outcome(rule, test) == ()

    def test_fields_have_rows_of_their_own_and_a_minute_is_one(self) -> None:
        counts = (
            "{stream: payments, field: card, at: 10:00, every: 20s, times: 6, records: 10, missing: [0, 1]}, "
            "{stream: refunds, field: card, at: 10:00, records: 10}"
        )
        test = f"{{given: {{quality: [{counts}]}}, expect: {{payments/card: 10:05 yellow}}}}"
        rule = "from: health, measure: gaps, levels: {yellow: 5%}"
        assert self.outcome(rule, test) == ()

    def test_rules_over_alerts_are_given_the_events_of_other_rules(self) -> None:
        given = "{payments: [{card: A, at: 10:00, every: 1m, times: 5, amount: 5}]}"
        rules = f"""\
        many: {{from: pace, levels: {{red: {{when: n >= 3, reset: n < 3}}}}}}
        late:
          from: alerts
          entity: [rule, entity.card]
          levels: {{blue: level >= orange}}
          keep: 1h
          tests: [{{given: {given}, expect: {{many/A: 10:02 blue}}}}]
        """
        (outcome,) = outcomes(rules)
        assert outcome.differences == ()


class TestShipped:
    """The shipped topology."""

    def test_the_shipped_rules_pass_their_tests(self) -> None:
        topology = load(Path(__file__).parents[2] / "topology.yaml")
        found = list(run_tests(topology, compile_topology(topology)))
        assert [outcome for outcome in found if not outcome.good] == []
        assert {outcome.rule for outcome in found} >= {"card-velocity", "wangiri", "fraud-caller", "city-units"}
