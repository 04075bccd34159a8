"""What sequences compile to and what their matches are: steps from several streams, their keys, conditions, columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from plans import compiled, names, stage
from test_compiled_meaning import MINUTE, events, results

from operators.lookups import ALWAYS, GONE
from streams.local.dataflow import empty_table
from tocsin.compiler import Plan, describe
from tocsin.model.rows import EVIDENCE, ID, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

TWICE = """\
features:
  f:
    by: card
    within: 10m
    sequence:
      - one: {from: payments, where: not online}
      - two: {from: payments, where: online}
"""


def payments(plan: Plan, *rows: tuple[int, str, bool], **more: object) -> dict[str, pl.DataFrame]:
    """Payments at some minutes."""
    told = [{"at": at * MINUTE, "card": card, "online": online, **more} for at, card, online in rows]
    return {"payments": events(plan, "payments", *told)}


def ids(found: pl.DataFrame) -> list[list[str]]:
    """The ids of the evidence of each row."""
    return found.get_column(EVIDENCE).list.eval(pl.element().struct.field("id")).to_list()


def table(plan: Plan, name: str, *rows: Mapping[str, object]) -> pl.DataFrame:
    """A table's rows, valid from the beginning."""
    return pl.DataFrame([{TIME: ALWAYS, GONE: False, **row} for row in rows], schema=empty_table(plan, name).schema)


class TestStages:
    """A sequence is one stage with an input per step."""

    def test_a_stream_may_be_several_steps(self) -> None:
        plan = compiled(TWICE)
        assert names(plan) == ["f"]
        assert [item.name for item in stage(plan, "f").inputs] == ["payments as one", "payments as two"]

    def test_a_key_that_is_looked_up_is_computed_before_the_exchange_for_that_step_alone(self) -> None:
        plan = compiled("""\
features:
  f:
    by: {owner: terminal.owner}
    within: 1h
    sequence:
      - one: {from: payments}
      - two: {from: readings, by: {owner: cell}}
      - three: {from: payments}
""")
        assert names(plan) == ["payments>f>one", "payments>f>three", "f"]
        assert [item.upstream for item in stage(plan, "f").inputs] == ["payments>f>one", "readings", "payments>f>three"]
        assert stage(plan, "f").tables == ()

    def test_it_waits_for_the_tables_of_its_conditions(self) -> None:
        plan = compiled(TWICE.replace("not online", "card in trusted"))
        assert stage(plan, "f").tables == ("trusted",)

    def test_it_remembers_what_its_steps_do_and_its_own_time(self) -> None:
        plan = compiled(TWICE.replace("two: {from: payments, where: online}", "two: {from: pace}"))
        assert plan.memory["f"] == 20 * MINUTE

    def test_it_is_described(self) -> None:
        (told,) = [info for info in describe.describe(compiled(TWICE)) if info["stage"] == "f"]
        assert told["operators"] == ["sequence"]
        assert [item["reads"] for item in told["inputs"]] == ["payments", "payments"]


class TestMatches:
    """The rows of a sequence."""

    @pytest.mark.parametrize("buckets", [1, 3])
    def test_carry_the_columns_of_all_steps(self, buckets: int) -> None:
        plan = compiled(TWICE)
        rows = payments(plan, (0, "A", False), (0, "B", False), (3, "A", True), (4, "B", False), (15, "B", True))
        (found,) = results(plan, "f", rows, buckets=buckets).to_dicts()
        assert (found[TIME], found[ID], found["card"]) == (3 * MINUTE, "002", "A")
        assert (found["one.at"], found["two.at"], found["one.online"]) == (0, 3 * MINUTE, False)

    def test_name_an_event_per_step(self) -> None:
        plan = compiled(TWICE.replace("two: {from: payments, where: online}", "two: {from: pace, where: n >= 2}"))
        found = results(plan, "f", payments(plan, (0, "A", False), (3, "A", True), (30, "A", True)))
        assert ids(found) == [["000", "001"]]

    @pytest.mark.parametrize("buckets", [1, 3])
    def test_meet_under_keys_that_are_called_otherwise_or_looked_up(self, buckets: int) -> None:
        plan = compiled("""\
features:
  f:
    by: {owner: terminal.owner}
    within: 10m
    sequence:
      - one: {from: readings, by: {owner: cell}}
      - two: {from: payments}
""")
        given = {
            "readings": events(plan, "readings", *({"at": n, "cell": f"o{n}"} for n in range(5))),
            "payments": events(plan, "payments", *({"at": 9, "terminal": f"t{n}"} for n in range(6))),
        }
        terminals = table(plan, "terminals", *({"terminal": f"t{n}", "owner": f"o{n + 1}"} for n in range(5)))
        found = results(plan, "f", given, buckets=buckets, tables={"terminals": terminals})
        told = sorted(found.select("owner", "one.cell", "two.terminal").rows())
        assert told == [(f"o{n + 1}", f"o{n + 1}", f"t{n}") for n in range(4)]

    @pytest.mark.parametrize(("second", "matches"), [("readings", 1), ("pace", 0), ("kept", 0)])
    def test_an_event_and_another_stream_s_of_the_same_id_are_two_but_not_what_is_computed_of_it(
        self, second: str, matches: int
    ) -> None:
        where = "cell" if second == "readings" else "terminal"
        plan = compiled(f"""\
features:
  kept: {{from: payments, by: card, derive: {{twice: amount + amount}}}}
  f:
    by: {{who: terminal}}
    within: 5m
    sequence: [{{one: {{from: payments}}}}, {{two: {{from: {second}, by: {{who: {where}}}}}}}]
""")
        given = {
            "payments": events(plan, "payments", {"payment_id": 7, "at": 9, "card": "c", "terminal": "x"}),
            "readings": events(plan, "readings", {"reading_id": "7", "at": 9, "cell": "x"}),
        }
        needed = {name: rows for name, rows in given.items() if name in {second, "payments"}}
        assert results(plan, "f", needed).height == matches

    def test_may_be_steps_themselves_and_be_derived_from(self) -> None:
        plan = compiled(f"""{TWICE}\
    derive: {{took: two.at - one.at}}
  g:
    by: card
    within: 1h
    sequence: [{{both: {{from: f, where: took > parameter}}}}, {{three: {{from: payments, where: not online}}}}]
    parameters: {{parameter: {{value: 1m}}}}
""")
        found = results(plan, "g", payments(plan, (0, "A", False), (3, "A", True), (5, "A", False)))
        assert found.select("both.took", "both.one.at", "three.at").rows() == [(3 * MINUTE, 0, 5 * MINUTE)]
        assert ids(found) == [["001", "002"]]


class TestConditions:
    """`where` of a step."""

    def test_reads_columns_tables_and_parameters_and_those_of_earlier_steps(self) -> None:
        plan = compiled("""\
features:
  f:
    by: card
    within: 10m
    parameters: {least: {value: 2 CNY}}
    sequence:
      - one: {from: payments, where: terminal.owner = 'o'}
      - two: {from: payments, where: terminal.owner <> one.terminal.owner and amount - one.amount >= least}
""")
        terminals = table(plan, "terminals", {"terminal": "t", "owner": "o"}, {"terminal": "u", "owner": "p"})
        rows = [
            {"at": 1, "card": "A", "terminal": "t", "amount": 100},
            {"at": 2, "card": "A", "terminal": "u", "amount": 299},
            {"at": 3, "card": "A", "terminal": "t", "amount": 301},
            {"at": 4, "card": "A", "terminal": "u", "amount": 501},
        ]
        found = results(plan, "f", {"payments": events(plan, "payments", *rows)}, tables={"terminals": terminals})
        assert ids(found) == [["002", "003"]]

    def test_judges_the_copy_that_stays(self) -> None:
        plan = compiled(TWICE)
        rows = payments(plan, (0, "A", False), (3, "A", False), (3, "A", True))["payments"]
        copies = rows.with_columns(pl.Series(ID, ["0", "1", "1"]))
        assert results(plan, "f", {"payments": copies}).is_empty()

    def test_copies_with_other_times_are_dropped_in_each_step(self) -> None:
        plan = compiled("""\
streams:
  taps:
    id: tap
    dedup: 1h
    time: {field: at, lateness: 1s}
    fields: {tap: string, at: timestamp, card: string, kind: string}
features:
  f: {by: card, within: 10m, sequence: [{one: {from: taps, where: kind = 'a'}}, {two: {from: taps, where: kind = 'b'}}]}
""")
        rows = events(plan, "taps", *({"at": n, "card": "A", "kind": kind} for n, kind in enumerate("abab")))
        copies = rows.with_columns(pl.Series(ID, ["x", "y", "x", "y"]))
        assert ids(results(plan, "f", {"taps": copies})) == [["x", "y"]]


class TestRules:
    """Rules over sequences."""

    TEXT = f"""{TWICE}\
rules:
  r: {{from: f, levels: {{red: true}}, keep: 5m, says: "{{card}}: {{one.at:%H:%M}}, {{two.amount}}"}}
"""

    def test_say_what_the_steps_were_and_clear_by_keep(self) -> None:
        plan = compiled(self.TEXT)
        found = results(plan, "rule r", payments(plan, (1, "A", False), (3, "A", True), amount=500))
        assert found.select("kind", TIME).rows() == [("raised", 3 * MINUTE), ("cleared", 8 * MINUTE)]
        assert found["says"][0] == "A: 00:01, 5.00 CNY"

    def test_know_the_events_of_the_steps(self) -> None:
        plan = compiled(self.TEXT)
        found = results(plan, "rule r", payments(plan, (1, "A", False), (3, "A", True), amount=500))
        assert "000" in str(found.row(0))
        assert json.loads(found["entity"][0]) == {"card": "A"}

    def test_are_another_version_when_a_step_is(self) -> None:
        one, other = compiled(self.TEXT), compiled(self.TEXT.replace("where: not online", "where: amount > 1"))
        assert one.rules["r"].version != other.rules["r"].version

    def test_withhold_small_groups_that_a_step_counted(self) -> None:
        text = """\
features:
  crowd: {from: payments, by: terminal, windows: {tumbling 1m: {cards: count(distinct card)}}}
  f: {by: terminal, within: 10m, sequence: [{one: {from: crowd}}, {two: {from: payments}}]}
rules:
  r: {from: f, levels: {red: one.cards > 0}, keep: 5m, says: "{one.cards}"}
"""
        plan = compiled(text, "min_group: 5")
        found = results(plan, "rule r", payments(plan, (0, "A", False), (3, "A", True), terminal="t"))
        assert json.loads(found["values"][0]) == {"one.cards": None}

    def test_withhold_what_a_detector_tells_of_small_groups_in_a_step(self) -> None:
        text = """\
features:
  crowd:
    from: payments
    by: terminal
    windows: {tumbling 1m: {cards: count(distinct card)}}
    detect: {soon: {forecast: cards, ahead: 1m, history: 3m}}
  f: {by: terminal, within: 10m, sequence: [{one: {from: crowd}}, {two: {from: payments}}]}
rules:
  r: {from: f, levels: {red: one.soon.value > 0}, keep: 5m, says: "{one.soon.value}"}
"""
        times = [(minute, card, False) for minute in range(8) for card in "ABC"]
        told = []
        for header in ("zone: UTC", "min_group: 5"):
            plan = compiled(text, header)
            told.append(results(plan, "rule r", payments(plan, *times, terminal="t"))["says"][0])
        assert told == ["3", "–"]  # noqa: RUF001  # the sign for nothing

    def test_alerts_may_be_steps_too(self) -> None:
        plan = compiled("""\
rules:
  fast: {from: pace, levels: {blue: n >= 2}, keep: 1m}
features:
  f:
    by: card
    within: 10m
    sequence:
      - alert: {from: alerts, by: {card: entity.card}, where: kind = 'raised'}
      - dear: {from: payments, where: amount > 5}
""")
        rows = [{"at": at * MINUTE, "card": "A", "amount": amount} for at, amount in ((0, 900), (1, 100), (2, 900))]
        found = results(plan, "f", {"payments": events(plan, "payments", *rows)})
        assert found.select("card", "alert.rule", "alert.level", "dear.at").rows() == [("A", "fast", 1, 2 * MINUTE)]
