"""How right topologies are read: every short form gives the same words as its long form."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from tocsin.errors import Mark, TopologyError
from tocsin.language import load, loads
from tocsin.language.model import Duration, Expression, FeatureWord, RuleWord, Text, Topology
from tocsin.model.windows import Calendar, Cumulating, Hopping, Same, Session, Trailing

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "topology: {name: example, zone: Europe/Berlin}\n"


def topology(body: str) -> Topology:
    return loads(HEADER + body)


def feature(words: str) -> FeatureWord:
    return topology(f"features:\n  f: {{from: a, {words}}}\n").features[Text("f")]


def rule(words: str) -> RuleWord:
    return topology(f"rules:\n  r: {{from: f, {words}}}\n").rules[Text("r")]


class TestScalars:
    """YAML types nothing: the model does."""

    def test_on_no_times_and_leading_zeros_stay_the_texts_they_are(self) -> None:
        table = "{key: k, fields: {k: string, v: string}, rows: [{k: on, v: NO}, {k: 22:00, v: 0044}, {k: ~, v: 1e3}]}"
        rows = topology(f"tables: {{t: {table}}}").tables[Text("t")].rows
        assert rows is not None
        assert [list(row.values()) for row in rows] == [["on", "NO"], ["22:00", "0044"], ["~", "1e3"]]

    def test_a_text_knows_its_place(self) -> None:
        where = feature("where: amount > 0").where
        assert isinstance(where, Expression)
        assert where.mark == Mark("topology.yaml", 3, 23)

    def test_the_place_of_a_quoted_text_is_that_of_its_first_character(self) -> None:
        assert feature("where: 'amount > 0'").where == "amount > 0"
        assert feature("where: 'amount > 0'").where.mark.column == 24  # type: ignore[union-attr]  # it is there

    def test_a_quoted_empty_text_is_a_value(self) -> None:
        assert rule("levels: {red: a}, labels: {decision: ''}").labels == {"decision": ""}

    def test_a_text_keeps_its_place_when_pickled(self) -> None:
        text = Expression("a > 1", Mark("t.yaml", 3, 4))
        copy = pickle.loads(pickle.dumps(text))  # noqa: S301  # our own bytes
        assert (copy, copy.mark, type(copy)) == (text, text.mark, Expression)


class TestZones:
    """The zone of the header."""

    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
    def test_a_zone_of_the_database_is_one(self, zone: str) -> None:
        assert loads(f"topology: {{name: x, zone: {zone}}}").header.zone == zone

    @pytest.mark.parametrize(
        "zone", ["Asia", "Mars/Olympus", "right/UTC", "../etc/passwd", "/etc/localtime", "x" * 999, "é"]
    )
    def test_what_is_none_is_refused(self, zone: str) -> None:
        with pytest.raises(TopologyError, match=r"is no time zone.*\[bad-zone\]"):
            loads(f"topology: {{name: x, zone: {zone}}}")


class TestStreams:
    """Streams and their fields."""

    STREAM = """\
streams:
  a:
    time: {field: at, lateness: 0s}
    fields: {at: timestamp, heat: {type: float64, unit: °C, resolution: 0.001}, card: person(card), place: cells}
    partitioned_by: card
    checks: {positive: heat > 0, plausible: {should: heat < 90}}
"""

    def test_a_bare_type_is_a_field_without_a_unit(self) -> None:
        fields = topology(self.STREAM).streams[Text("a")].fields
        assert [(name, field.type, field.unit, field.resolution) for name, field in fields.items()] == [
            ("at", "timestamp", None, None),
            ("heat", "float64", "°C", 0.001),
            ("card", "person(card)", None, None),
            ("place", "cells", None, None),
        ]

    def test_times_have_the_defaults_of_the_language(self) -> None:
        time = topology(self.STREAM).streams[Text("a")].time
        assert (time.lateness.ms, time.idle.ms, time.ahead.ms, time.skew.ms) == (0, 300_000, 3_600_000, 3_600_000)

    def test_a_check_that_should_hold_is_only_counted(self) -> None:
        checks = topology(self.STREAM).streams[Text("a")].checks
        assert [(name, check.condition, check.should) for name, check in checks.items()] == [
            ("positive", "heat > 0", False),
            ("plausible", "heat < 90", True),
        ]

    def test_one_name_stands_for_a_list(self) -> None:
        assert topology(self.STREAM).streams[Text("a")].partitioned_by == ("card",)


class TestFeatures:
    """Features and their short forms."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("tumbling 10s", Hopping(10_000, 10_000)),
            ("hopping 1h every 5m", Hopping(3_600_000, 300_000)),
            ("cumulating 1d every 1h", Cumulating(86_400_000, 3_600_000)),
            ("tumbling 1d at 05:00", Calendar(300, "Europe/Berlin")),
            ("session gap 5m", Session(300_000)),
            ("trailing 7d", Trailing(604_800_000)),
            ("trailing 7d delayed 1d 12h", Trailing(604_800_000, 129_600_000)),
            ("same", Same()),
        ],
    )
    def test_a_window_word_names_its_window(self, text: str, expected: object) -> None:
        (window,) = feature(f"windows: {{{text}: {{n: count()}}}}").windows
        assert (window.window, window.text, window.columns) == (expected, text, {"n": "count()"})

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("card", {"card": "card"}),
            ("[rack, cell]", {"rack": "rack", "cell": "cell"}),
            ("{range: caller_range}", {"range": "caller_range"}),
        ],
    )
    def test_a_key_is_a_column_a_list_or_named_expressions(self, text: str, expected: dict[str, str]) -> None:
        assert feature(f"by: {text}").by == expected

    def test_the_first_word_of_a_detector_is_its_kind(self) -> None:
        (detector,) = feature("detect: {usual: {baseline: h1, season: hour of week, history: 8w}}").detect
        assert (detector.name, detector.kind, detector.column) == ("usual", "baseline", "h1")
        assert detector.options == {"season": "hour of week", "history": "8w"}

    def test_a_detector_may_read_several_columns(self) -> None:
        (detector,) = feature("detect: {odd: {joint: [volt, heat]}}").detect
        assert (detector.column, detector.columns) == ("volt", ("volt", "heat"))

    def test_a_sequence_is_its_steps_in_order(self) -> None:
        steps = """\
features:
  lured:
    by: customer
    within: 2h
    sequence:
      - call: {from: calls, by: {customer: callee.customer}, where: caller in flagged}
      - transfer: {from: payees}
"""
        lured = topology(steps).features[Text("lured")]
        assert [(step.name, step.source, step.by, step.where) for step in lured.sequence] == [
            ("call", "calls", {"customer": "callee.customer"}, "caller in flagged"),
            ("transfer", "payees", {}, None),
        ]
        assert lured.within is not None
        assert lured.within.ms == 7_200_000
        assert lured.sources == ()

    def test_why_may_stand_in_any_map_and_means_nothing(self) -> None:
        explained = feature("occupancy: {who: w, in: c.u, every: 1m, forget: 1h, why: phones sleep}, why: because")
        plain = feature("occupancy: {who: w, in: c.u, every: 1m, forget: 1h}")
        assert explained.occupancy == plain.occupancy

    def test_a_parameter_may_be_a_bare_value(self) -> None:
        found = feature(
            "parameters: {blink: 3 s, many: {value: 5, why: enough, see: 'https://example.org'}}"
        ).parameters
        assert {name: (each.value, each.why, each.see) for name, each in found.items()} == {
            "blink": ("3 s", None, None),
            "many": ("5", "enough", "https://example.org"),
        }


class TestRules:
    """Rules and their short forms."""

    def test_a_bare_level_is_a_condition(self) -> None:
        (level,) = rule("levels: {red: n > 3}").levels.values()
        assert (level.level, level.when, level.bound, level.reset) == ("red", "n > 3", None, None)

    def test_a_bare_level_of_a_measure_is_a_bound(self) -> None:
        (level,) = rule("measure: people / room, levels: {red: 70%}").levels.values()
        assert (level.level, level.when, level.bound) == ("red", None, "70%")

    def test_a_level_may_have_its_own_reset_and_message(self) -> None:
        (level,) = rule("levels: {orange: {when: n > 3, reset: n < 1, says: many}}").levels.values()
        assert (level.when, level.reset, level.says) == ("n > 3", "n < 1", "many")

    def test_keep_is_a_duration_or_forever(self) -> None:
        for_a_while, forever, unsaid = (
            rule(f"levels: {{red: a}}{keep}") for keep in (", keep: 30m", ", keep: forever", "")
        )
        assert for_a_while.keep == Duration(1_800_000, Text("30m"))
        assert [each.keep_forever for each in (for_a_while, forever, unsaid)] == [False, True, False]
        assert (forever.keep, unsaid.keep) == (None, None)

    @pytest.mark.parametrize(
        ("text", "expected"), [("card", ("card",)), ("[wish.subscription, region]", ("wish.subscription", "region"))]
    )
    def test_an_entity_is_one_expression_or_several(self, text: str, expected: tuple[str, ...]) -> None:
        assert rule(f"levels: {{red: a}}, entity: {text}").entity == expected

    @pytest.mark.parametrize(
        ("text", "expected"), [("'{n} calls'", {"": "{n} calls"}), ("{en: many, zh: 多}", {"en": "many", "zh": "多"})]
    )
    def test_a_message_is_one_text_or_one_per_language(self, text: str, expected: dict[str, str]) -> None:
        assert rule(f"levels: {{red: a}}, says: {text}").says == expected

    def test_a_test_has_events_and_expected_levels(self) -> None:
        text = """\
rules:
  r:
    from: f
    levels: {red: n > 3}
    tests:
      - given:
          cards: [{card: A, owner: a b}]
          payments:
            - {card: A, at: 10:00, every: 30s, times: 12, terminal: [t1, t2], amount: 20}
            - {card: B, at: 10:00, every: 1m, until: 11:00}
        expect: {A: [10:04:30 orange, 10:15:30 clear], B/1: 10:30 red, C: []}
"""
        (test,) = topology(text).rules[Text("r")].tests
        first, second = test.given[Text("payments")]
        assert first.values == {"card": "A", "terminal": ("t1", "t2"), "amount": "20"}
        assert (first.at, first.times, first.until) == ("10:00", 12, None)
        assert (second.at, second.times, second.until) == ("10:00", None, "11:00")
        assert test.given[Text("cards")][0].at is None
        assert test.expect == {"A": ("10:04:30 orange", "10:15:30 clear"), "B/1": ("10:30 red",), "C": ()}


class TestSinks:
    """Sinks are a kind with a target."""

    def test_a_sink_is_its_kind_and_target(self) -> None:
        sink = topology("sinks: {room: {kafka: t.v1, where: level >= orange, at_most: 10 per hour}}").sinks[
            Text("room")
        ]
        assert (sink.kind, sink.target, sink.where, sink.at_most) == ("kafka", "t.v1", "level >= orange", "10 per hour")

    def test_the_console_needs_no_target(self) -> None:
        sink = topology("sinks: {screen: console}").sinks[Text("screen")]
        assert (sink.kind, sink.target) == ("console", "")


class TestFiles:
    """Reading from the disk."""

    def test_a_topology_is_read_from_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text("\ufeff" + HEADER, encoding="utf-8")
        assert load(path).header.name == "example"
        assert load(path).files == (str(path),)

    def test_a_file_that_is_not_there_is_a_problem_that_names_its_neighbour(self, tmp_path: Path) -> None:
        (tmp_path / "telecom.yaml").write_text(HEADER, encoding="utf-8")
        with pytest.raises(TopologyError, match=r"did you mean 'telecom.yaml'\? \[no-file\]"):
            load(tmp_path / "telekom.yaml")

    def test_a_file_that_is_not_utf_8_is_a_problem(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_bytes(b"topology: {name: \xff}")
        with pytest.raises(TopologyError, match="not UTF-8 at byte 17"):
            load(path)

    def test_a_folder_is_a_problem(self, tmp_path: Path) -> None:
        with pytest.raises(TopologyError, match="cannot read"):
            load(tmp_path)
