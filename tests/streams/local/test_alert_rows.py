"""The built-in stream `alerts`: transitions as rows that features and rules read."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

import polars as pl
import pytest
from local_runs import DOORS, MINUTE, Countdown, House, alarm, entry

from operators.alerting.canonical import canonical
from streams.local.again import earlier_run, recompute
from streams.local.running import carry_out

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WIDTH = 10 * MINUTE

STORM = (
    DOORS[: DOORS.index("rules:")]
    + """
  storm:
    from: alerts
    where: kind = 'raised'
    by: {door: entity.door}
    windows: {trailing 10m: {alerts: count(), kinds: count(distinct rule), worst: max(level)}}
  storms:
    from: alerts
    where: rule = 'stormy' and kind = 'raised'
    windows: {tumbling 1h: {storms: count()}}
"""
    + DOORS[DOORS.index("rules:") :]
    + """
  stormy:
    from: storm
    levels:
      yellow: {when: alerts >= 3, reset: alerts < 3}
      red: {when: alerts >= 3 and worst >= red, reset: alerts < 3}
    says: "{alerts} alerts of {kinds} rules at {door}"
  storms:
    from: storms
    levels: {blue: storms > 0}
  noted:
    from: alerts
    entity: [rule, entity.door]
    levels: {blue: level >= yellow and kind = 'raised'}
    keep: 1h
    says: "{rule}: {level_name} {reason}"
"""
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give three doors with crowds, groups and bells that come and go."""
    found = House(tmp_path, STORM)
    entries = [entry(n, 20 * n, 60 if n % 37 == 5 else 1 + 11 * (n // 15 % 2), f"d{n % 3}") for n in range(400)]
    found.write("entries", entries)
    found.write("alarms", [alarm(n, 40 * n if n % 3 else 40 * n + 1, f"d{n // 20 % 3}") for n in range(200)])
    return found


def storms(log: pl.DataFrame) -> list[tuple[str, str, int]]:
    """Give door, kind and time of what the rule `stormy` has to say: a loop over the alerts raised by other rules."""
    raised: defaultdict[str, list[int]] = defaultdict(list)
    base = log.filter(pl.col("rule").is_in(["crowd", "bell", "group"]) & (pl.col("kind") == "raised"))
    for entity, time in base.select("entity", "time").iter_rows():
        raised[json.loads(entity)["door"]].append(time)
    told = []
    for door, times in raised.items():
        told += [(door, kind, time) for kind, time in _told(sorted(times))]
    return sorted(told, key=lambda row: (row[2], row[0], row[1]))


def _told(times: Sequence[int]) -> list[tuple[str, int]]:
    steps = sorted({*times, *(time + WIDTH for time in times)})
    told, on = [], False
    for step in (step for step in steps if step in times or not any(step - WIDTH < t <= step for t in times)):
        many = sum(1 for time in times if step - WIDTH < time <= step) >= 3
        if many != on:
            told.append(("raised" if many else "cleared", step))
            on = many
    return told


class TestRulesOverAlerts:
    """A later stage of the same run: the alerts of other rules are events."""

    def test_a_rule_judges_windows_of_the_alerts_of_others(self, house: House) -> None:
        until = house.run().until or 0
        log = house.log()
        found = log.filter(pl.col("rule") == "stormy", pl.col("kind").is_in(["raised", "cleared"]))
        got = [(json.loads(e)["door"], k, t) for e, k, t in found.select("entity", "kind", "time").iter_rows()]
        wanted = [row for row in storms(log) if row[2] <= until or row[1] == "raised"]
        assert sorted(got, key=lambda row: (row[2], row[0], row[1])) == wanted
        assert len(wanted) > 3

    def test_its_own_alerts_are_none_of_those(self, house: House) -> None:
        house.run()
        noted = house.log().filter(rule="noted")
        assert {json.loads(entity)["rule"] for entity in noted["entity"]} == {"bell", "group"}

    def test_a_feature_that_names_it_reads_its_alerts(self, house: House) -> None:
        house.run()
        log = house.log()
        assert log.filter(rule="storms", kind="raised").height == 1
        raised = log.filter(rule="stormy", kind="raised").height
        told = log.filter(rule="storms")["values"].to_list()
        assert 0 < sum(json.loads(values)["storms"] for values in told) <= raised

    def test_an_immediate_rule_says_what_the_alert_says(self, house: House) -> None:
        house.run()
        noted = house.log().filter(rule="noted").sort("time")
        assert noted["says"][0] in {"bell: yellow ", "group: red immediate"}
        assert noted["evidence"].list.len().min() == 1

    def test_they_are_the_same_however_the_run_goes(self, house: House) -> None:
        house.run("plain")
        plain = canonical(house.log("plain"))
        order = house.order("spread", batch_rows=7)
        order.buckets = 3
        carry_out(order)
        assert canonical(house.log("spread")).equals(plain)
        while house.run("often", batch_rows=11, commit_seconds=0.0, stop=Countdown(20)).stopped:
            pass
        assert canonical(house.log("often")).equals(plain)

    def test_early_copies_of_other_rules_are_none_of_them(self, house: House) -> None:
        house.run("plain")
        house.run("early", early=True)
        truth = house.log("early").filter(~pl.col("early"))
        assert house.log("early")["early"].any()
        assert canonical(truth).equals(canonical(house.log("plain")))

    def test_they_are_computed_again_for_explain(self, house: House) -> None:
        house.run()
        log = house.log().filter(rule="stormy")
        again = recompute(earlier_run(house.folder / "state"), "stormy")
        assert canonical(again).equals(canonical(log))
