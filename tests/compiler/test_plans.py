"""What topologies compile to: stages, keys, exchanges, gates, kept columns, memory."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from plans import compiled, names, stage

from operators.alerting.machine import AlertMachine
from operators.detectors.filling import Filling
from operators.rowwise import Column, Rowwise
from tocsin.compiler import compile_topology
from tocsin.compiler.describe import describe
from tocsin.language import load

if TYPE_CHECKING:
    from operators.alerting.rule import MachineSpec
    from tocsin.compiler import Plan

ROOT = Path(__file__).parents[2]
HOUR, DAY = 3_600_000, 86_400_000


def machine(plan: Plan, rule: str) -> MachineSpec:
    """Give what the alert machine of a rule knows."""
    (found,) = [o for o in stage(plan, f"rule {rule}").chain if isinstance(o, AlertMachine)]
    return found.spec


def kept(plan: Plan, name: str, number: int = 0) -> set[str]:
    """Give the columns that the buffer of a stage's input keeps."""
    return set(stage(plan, name).inputs[number].reorder.schema.columns)


class TestStages:
    """One feature or rule is one stage, but where rows have to meet under another key before."""

    def test_a_feature_is_a_stage_keyed_by_its_by(self) -> None:
        plan = compiled("features:\n  f: {from: payments, by: card, windows: {tumbling 1m: {n: count()}}}")
        assert names(plan) == ["f"]
        assert stage(plan, "f").key == ("card",)
        assert plan.outputs["f"] == "f"

    def test_a_rule_is_a_stage_keyed_by_its_entity(self) -> None:
        plan = compiled("rules:\n  r: {from: minute, entity: rack.station, levels: {red: top > 3}}")
        assert stage(plan, "rule r").key == ("rack.station",)
        assert plan.rules["r"].entity == ("rack.station",)

    def test_an_entity_that_is_looked_up_is_computed_before_the_exchange(self) -> None:
        plan = compiled("rules:\n  r: {from: minute, entity: rack.station, levels: {red: top > 3}}")
        assert names(plan) == ["minute>rule r", "rule r"]
        before = stage(plan, "minute>rule r")
        assert (before.key, before.tables) == (("rack",), ("racks",))
        assert stage(plan, "rule r").inputs[0].upstream == "minute>rule r"

    def test_a_key_that_is_looked_up_is_computed_before_the_exchange(self) -> None:
        text = "features:\n  f: {from: payments, by: {owner: terminal.owner}, windows: {tumbling 1m: {n: count()}}}"
        plan = compiled(text)
        assert names(plan) == ["payments>f", "f"]
        assert stage(plan, "payments>f").key == ("__hash",)
        assert stage(plan, "f").key == ("owner",)

    def test_a_key_that_is_an_expression_is_computed_on_the_way(self) -> None:
        plan = compiled("features:\n  f: {from: payments, by: {day: hour(at)}, windows: {tumbling 1m: {n: count()}}}")
        (given,) = stage(plan, "f").inputs
        assert [name for name, _ in given.key] == ["day"]

    def test_a_key_that_is_a_column_is_not_computed(self) -> None:
        plan = compiled("features:\n  f: {from: payments, by: card, windows: {tumbling 1m: {n: count()}}}")
        assert stage(plan, "f").inputs[0].key == ()

    def test_occupancy_is_two_stages(self) -> None:
        text = """\
features:
  f: {from: readings, occupancy: {who: cell, in: rack, every: 1m, forget: 1h}, roll_up: above}
"""
        plan = compiled(text)
        assert names(plan) == ["f>presence", "f"]
        assert [stage(plan, name).key for name in names(plan)] == [("cell",), ("rack",)]
        assert stage(plan, "f>presence").tables == ("racks",)
        assert plan.memory["f"] == HOUR

    def test_peers_meet_in_a_stage_of_their_class(self) -> None:
        text = """\
features:
  f: {from: minute, derive: {station: rack.station}, detect: {fleet: {peers: top, class: station}}}
"""
        plan = compiled(text)
        assert names(plan) == ["f>fleet", "f"]
        assert stage(plan, "f>fleet").key == ("rack",)
        assert stage(plan, "f").key == ("__class",)
        assert "__class" not in stage(plan, "f").output.columns
        assert "fleet.score" in stage(plan, "f").output.columns

    def test_a_detector_after_peers_is_keyed_as_before_them(self) -> None:
        detect = "one: {peers: top, class: station}, usual: {baseline: used, history: 1h}, two: {peers: used}"
        plan = compiled(f"features:\n  f: {{from: minute, derive: {{station: rack.station}}, detect: {{{detect}}}}}")
        keys = {name: stage(plan, name).key for name in names(plan)}
        assert keys == {"f>one": ("rack",), "f>usual>key": ("__class",), "f>two": ("rack",), "f": ()}

    def test_peers_without_a_class_meet_in_one_place(self) -> None:
        plan = compiled("features:\n  f: {from: minute, detect: {fleet: {peers: top}}}")
        assert stage(plan, "f").key == ()

    def test_rows_that_ask_and_rows_that_answer_are_two_inputs(self) -> None:
        plan = compiled("features:\n  f: {from: payments, at: pace, by: card, windows: {trailing 1d: {m: count()}}}")
        assert [(i.upstream, i.probe) for i in stage(plan, "f").inputs] == [("payments", False), ("pace", True)]
        assert {"n", "spent", "m", "card"} <= set(stage(plan, "f").output.columns)

    def test_a_feature_over_a_feature_keeps_its_key(self) -> None:
        plan = compiled("features:\n  f: {from: minute, where: top > 3}")
        assert stage(plan, "f").key == ("rack",)

    def test_windows_over_a_feature_keep_its_key(self) -> None:
        plan = compiled("features:\n  f: {from: minute, windows: {tumbling 1h: {worst: max(top)}}}")
        assert stage(plan, "f").key == ("rack",)
        assert "rack" in stage(plan, "f").output.columns

    def test_a_feature_without_a_key_counts_everything(self) -> None:
        plan = compiled("features:\n  f: {from: payments, windows: {tumbling 1m: {n: count()}}}")
        assert stage(plan, "f").key == ()

    def test_stages_follow_what_they_read(self) -> None:
        text = "features:\n  g: {from: f, where: n > 2}\n  f: {from: pace, where: n > 1}"
        assert names(compiled(text)) == ["f", "g"]

    def test_features_side_by_side_are_aligned_on_their_key(self) -> None:
        text = """\
features:
  other: {from: readings, by: rack, windows: {hopping 5m every 1m: {n: count()}}}
rules:
  r: {from: [minute, other], levels: {red: n > 3 and top > 2}}
"""
        rule = stage(compiled(text), "rule r")
        assert rule.align is not None
        assert rule.align.by == ("rack",)
        assert {item.upstream for item in rule.inputs} == {"minute", "other"}


class TestColumns:
    """A buffer keeps what is read behind it, and no more."""

    def test_windows_keep_what_aggregates_filters_and_keys_read(self) -> None:
        text = "features:\n  f: {from: payments, by: card, where: online, windows: {tumbling 1m: {n: sum(amount)}}}"
        assert kept(compiled(text), "f") == {"card", "online", "amount"}

    def test_windows_keep_the_key_of_what_they_look_up(self) -> None:
        text = "features:\n  f: {from: readings, by: cell, windows: {tumbling 1m: {n: count(distinct rack.station)}}}"
        assert kept(compiled(text), "f") == {"cell", "rack"}

    def test_trailing_windows_keep_all_for_their_rows_have_them(self) -> None:
        plan = compiled("")
        assert {"terminal", "online", "customer"} <= kept(plan, "pace")

    def test_rules_keep_what_they_read_and_say(self) -> None:
        text = 'rules:\n  r: {from: pace, levels: {red: n > 3}, says: "{terminal.owner}", unless: online}'
        assert kept(compiled(text), "rule r") == {"card", "n", "terminal", "online"}


class TestMemory:
    """How far back a feature looks, through all that it reads."""

    @pytest.mark.parametrize(
        ("window", "expected"),
        [
            ("tumbling 1m", 60_000),
            ("hopping 1h every 5m", HOUR),
            ("cumulating 1d every 1h", DAY),
            ("tumbling 1d at 05:00", DAY + HOUR),
            ("session gap 5m", 300_000),
            ("trailing 1d delayed 1d", 2 * DAY),
        ],
    )
    def test_it_is_that_of_the_window(self, window: str, expected: int) -> None:
        plan = compiled(f"features:\n  f: {{from: payments, by: card, windows: {{{window}: {{m: count()}}}}}}")
        assert plan.memory["f"] == expected

    def test_it_adds_up(self) -> None:
        plan = compiled("features:\n  f: {from: minute, windows: {tumbling 1h: {worst: max(top)}}}")
        assert plan.memory["f"] == HOUR + 60_000

    @pytest.mark.parametrize(
        ("feature", "expected"),
        [
            ("from: payments, by: card, windows: {tumbling 1m: {m: count()}}", 60_000),
            ("from: payments, by: card, windows: {hopping 1h every 5m: {m: count()}}", HOUR),
            ("from: payments, by: card, windows: {tumbling 1d at 05:00: {m: count()}}", 23 * HOUR),
            ("from: payments, by: card, windows: {trailing 1d delayed 1d: {m: count()}}", 2 * DAY),
            ("from: payments, occupancy: {who: card, in: terminal, every: 1m, forget: 1h}, derive: {m: people}", HOUR),
            ("from: minute, windows: {tumbling 1h: {m: max(top)}}", HOUR + 60_000),
            ("from: minute, windows: {same: {m: max(top)}}", 60_000),
        ],
    )
    def test_a_detector_waits_until_the_rows_it_watches_are_full(self, feature: str, expected: int) -> None:
        plan = compiled(f"features:\n  f: {{{feature}, detect: {{d: {{baseline: m, history: 4h}}}}}}")
        full = [operator for operator in stage(plan, "f").chain if isinstance(operator, Filling)]
        assert [operator.fills for operator in full] == [expected]

    @pytest.mark.parametrize(
        "feature", ["windows: {session gap 5m: {m: count()}}", "movement: {place: terminal.place, forget: 1h}"]
    )
    def test_a_detector_does_not_wait_for_rows_that_do_not_fill(self, feature: str) -> None:
        watched = "m" if "windows" in feature else "speed"
        detect = f"{{d: {{baseline: {watched}, history: 4h}}}}"
        plan = compiled(f"features:\n  f: {{from: payments, by: card, {feature}, detect: {detect}}}")
        assert not [operator for operator in stage(plan, "f").chain if isinstance(operator, Filling)]

    def test_a_stream_is_read_back_to_the_histories_of_detectors(self) -> None:
        plan = compiled("features:\n  f: {from: minute, detect: {d: {baseline: top, history: 4h}}}")
        assert plan.memory["f"] == 60_000
        assert plan.memory["readings"] >= 60_000 + 4 * HOUR

    def test_behind_alerts_too_and_what_reads_these_looks_back_beyond_them(self) -> None:
        text = """\
features:
  f: {from: minute, detect: {d: {baseline: top, history: 4h}}}
  storm: {from: alerts, by: rule, windows: {trailing 7d: {n: count()}}}
rules:
  odd: {from: f, levels: {red: d.score > 3}}
"""
        plan = compiled(text)
        assert plan.memory["readings"] >= 60_000 + 4 * HOUR + 7 * 24 * HOUR

    def test_an_episode_lives_for_three_windows_or_a_day_without_a_row(self) -> None:
        text = """\
features:
  week: {from: payments, by: card, windows: {trailing 7d: {m: count()}}}
rules:
  short: {from: pace, levels: {red: n > 3}}
  long: {from: week, levels: {red: m > 3}}
  own: {from: week, levels: {red: m > 3}, expires: 2d}
"""
        plan = compiled(text)
        assert [machine(plan, rule).expires_ms for rule in ("short", "long", "own")] == [DAY, 21 * DAY, 2 * DAY]


class TestRules:
    """What the alert machine is told."""

    def test_levels_are_ascending_however_they_are_written(self) -> None:
        plan = compiled("rules:\n  r: {from: minute, levels: {red: top > 9, blue: top > 1, orange: top > 5}}")
        assert [level.level.name for level in machine(plan, "r").levels] == ["BLUE", "ORANGE", "RED"]

    def test_the_explanation_shows_what_conditions_read(self) -> None:
        text = 'rules:\n  r: {from: pace, levels: {red: n > 3 and amount > 2}, unless: online, says: "{spent}"}'
        assert set(machine(compiled(text), "r").columns) == {"n", "amount", "online"}

    def test_signs_are_named_and_evaluated_one_by_one(self) -> None:
        text = (
            'rules:\n  r: {from: pace, measure: "signs(many => n > 3, dear => spent > 9)", levels: {red: 2}, keep: 1h}'
        )
        assert machine(compiled(text), "r").signs == {"many": "__sign_many", "dear": "__sign_dear"}

    def test_slack_may_be_a_parameter(self) -> None:
        text = "rules:\n  r: {from: minute, parameters: {some: 5%}, measure: top, slack: some, levels: {red: 3}}"
        assert machine(compiled(text), "r").levels[0].reset == "__reset_red"

    def test_a_rule_over_everything_has_no_entity(self) -> None:
        text = """\
features:
  f: {from: payments, windows: {tumbling 1m: {n: count()}}}
rules:
  r: {from: f, levels: {red: n > 3}}
"""
        assert machine(compiled(text), "r").entity == {}


class TestSmallGroups:
    """Published counts of persons below `min_group` are withheld; what is decided does not change."""

    TEXT = """\
features:
  f:
    from: payments
    by: terminal
    windows: {tumbling 1m: {cards: count(distinct card), n: count()}}
    derive: {share: cards / n}
rules:
  r: {from: f, levels: {red: share > 0.5}, says: "{cards} of {n}"}
"""

    def withheld(self, header: str) -> set[str]:
        rows = stage(compiled(self.TEXT, header), "rule r").chain[0]
        assert isinstance(rows, Rowwise)
        last = [step for step in rows.steps if isinstance(step, Column) and step.bound.text.endswith("of enough")]
        return {step.name for step in last}

    def test_counts_and_what_is_made_of_them_are_withheld(self) -> None:
        assert self.withheld("min_group: 10") == {"cards", "share"}

    def test_without_a_least_group_nothing_is(self) -> None:
        assert self.withheld("zone: UTC") == set()


class TestPickling:
    """A plan goes to other processes."""

    def test_a_plan_comes_back_as_it_was(self) -> None:
        plan = compile_topology(load(ROOT / "topology.yaml"))
        again = pickle.loads(pickle.dumps(plan))  # noqa: S301  # our own bytes
        assert [item.name for item in again.stages] == [item.name for item in plan.stages]
        assert describe(again) == describe(plan)

    def test_a_condition_of_a_sink_comes_back(self) -> None:
        plan = compiled("sinks:\n  s: {console: table, where: level >= orange}")
        again = pickle.loads(pickle.dumps(plan))  # noqa: S301  # our own bytes
        assert again.sinks[0].where is not None


class TestDescribing:
    """`tocsin plan`: stages, keys, exchanges, gates, buffers, state."""

    def test_each_stage_is_described(self) -> None:
        text = """\
rules:
  r: {from: minute, levels: {red: top > rack.most}}
  near: {from: minute, entity: rack.station, levels: {red: top > 9}}
"""
        found = {info["stage"]: info for info in describe(compiled(text))}
        assert found["minute"]["inputs"] == [
            {
                "reads": "readings",
                "exchange": "by hash of rack",
                "buffer": "rows of the last 5s (lateness), up to 1h of skew",
            }
        ]
        assert found["minute"]["operators"] == ["windows"]
        assert found["minute"]["memory"] == "1m"
        assert found["rule r"]["gates"] == ["minute", "table racks"]
        assert found["rule r"]["inputs"][0]["exchange"] == "none: same key"
        assert found["rule near"]["inputs"][0]["exchange"] == "by hash of rack.station"
        assert "alert" in found["rule r"]["state"]

    def test_a_horizon_of_copies_stands_at_the_head_of_every_stage_that_reads_the_stream(self) -> None:
        text = """\
streams:
  taps: {id: tap, dedup: 10m, time: {field: at, lateness: 1s}, fields: {tap: string, at: timestamp, card: string}}
features:
  own: {from: taps, by: card, windows: {tumbling 1m: {n: count()}}}
  asked: {from: taps, at: taps, by: card, windows: {trailing 5m: {m: count()}}}
  after: {from: own, windows: {tumbling 1h: {k: max(n)}}}
rules:
  tap: {from: taps, entity: card, levels: {red: card = 'x'}, keep: 1m}
"""
        plan = compiled(text)
        found = {info["stage"]: info for info in describe(plan)}
        assert found["own"]["operators"] == ["dedup taps", "windows"]
        assert found["asked"]["operators"][:2] == ["dedup taps", "dedup taps asks"]
        assert found["rule tap"]["operators"][0] == "dedup taps"
        assert found["after"]["operators"] == ["windows"]
        assert found["own"]["state"].endswith(" B per id of the last 10m")
        assert plan.memory["taps"] == plan.memory["after"] + 600_000

    def test_a_topic_that_is_partitioned_already_says_so(self) -> None:
        text = """\
streams:
  taps:
    time: {field: at, lateness: 1s}
    partitioned_by: card
    fields: {at: timestamp, card: string}
features:
  f: {from: taps, by: card, windows: {tumbling 1m: {n: count()}}}
"""
        (info,) = [info for info in describe(compiled(text)) if info["stage"] == "f"]
        assert info["inputs"][0]["exchange"] == "by hash of card, as the topic is partitioned"

    def test_built_in_streams_stand_in_it_too(self) -> None:
        text = """\
features:
  pulse: {from: quality, by: stream, for_all: streams, windows: {tumbling 5m: {n: max(records)}}}
  storm: {from: alerts, by: rule, windows: {trailing 1h: {n: count()}}}
rules:
  high: {from: minute, levels: {red: top > 3}}
  low: {from: minute, levels: {red: top < 3}}
  stormy: {from: storm, levels: {red: {when: n > 3, reset: n < 3}}}
"""
        found = {info["stage"]: info for info in describe(compiled(text))}
        assert found["pulse"]["inputs"] == [
            {"reads": "quality", "exchange": "by hash of stream", "buffer": "counts of the minute of the clock"}
        ]
        assert found["pulse"]["gates"] == ["quality", "table streams"]
        assert [item["reads"] for item in found["alerts"]["inputs"]] == ["rule high", "rule low"]
        assert found["storm"]["gates"] == ["alerts"]
        assert list(found).index("rule low") < list(found).index("alerts") < list(found).index("storm")

    def test_a_keyed_table_says_that_it_is_whole_here(self) -> None:
        text = """\
tables:
  owners: {key: cell, keyed: true, topic: t, fields: {cell: string, name: string}}
features:
  f: {from: readings, by: cell, where: cell in owners, windows: {tumbling 1m: {n: count()}}}
"""
        (info,) = [info for info in describe(compiled(text)) if info["stage"] == "f"]
        assert info["gates"] == ["readings", "table owners (keyed; whole in one process)"]

    def test_it_is_plain_data(self) -> None:
        infos = describe(compile_topology(load(ROOT / "topology.yaml")))
        assert json.loads(json.dumps(infos)) == infos


class TestTwoClocks:
    """Alerts by event time, and those of rules that judge `quality`."""

    @pytest.mark.parametrize(("rules", "read"), [("'high'", "high"), ("'missing', 'late'", "late, missing")])
    def test_may_be_read_by_a_feature_each(self, rules: str, read: str) -> None:
        plan = compiled(f"""\
features:
  gaps: {{from: quality, by: stream, windows: {{tumbling 5m: {{gaps: sum(missing), late: sum(late)}}}}}}
  storm: {{from: alerts, where: "rule in ({rules})", by: rule, windows: {{tumbling 1m: {{n: count()}}}}}}
rules:
  high: {{from: minute, levels: {{red: top > 3}}}}
  missing: {{from: gaps, levels: {{red: gaps > 3}}}}
  late: {{from: gaps, levels: {{red: late > 3}}}}
""")
        assert stage(plan, "storm").inputs[0].upstream == f"alerts of {read}"


class TestClearingSentences:
    """`check` prints for every rule how it clears."""

    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            ("from: minute, levels: {red: top > 3}", "when not (top > 3); or without a row for 1d, as expired"),
            (
                "from: minute, levels: {red: {when: top > 3, reset: top < 2}}, keep: 2h, expires: 3h",
                "when top < 2; or 2h after it last held; or without a row for 3h, as expired",
            ),
            (
                "from: minute, measure: top, slack: 5%, levels: {red: 3}",
                "when top <= 3 less 5%; or without a row for 1d, as expired",
            ),
            (
                "from: payments, entity: card, levels: {red: amount > 3}, keep: 1h",
                "closed at birth; not raised again for the same entity within the same 1h",
            ),
            (
                "from: visits, levels: {red: taps > 3}, keep: forever",
                "when not (taps > 3); or without a row for 1d, as expired",
            ),
            (
                "from: visits, levels: {red: true}, keep: 2h",
                "2h after the last row (it holds at every row); or without a row for 1d, as expired",
            ),
            (
                "from: visits, levels: {red: {when: true, reset: taps < 3}}, keep: 2h",
                "when taps < 3; or 2h after it last held; or without a row for 1d, as expired",
            ),
        ],
    )
    def test_each_way_is_said(self, rule: str, expected: str) -> None:
        assert compiled(f"rules:\n  r: {{{rule}}}").rules["r"].clears == {"red": expected}
