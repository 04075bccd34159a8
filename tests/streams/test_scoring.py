"""Scores on cases made by hand."""

from __future__ import annotations

import json

import polars as pl

from streams.pseudonyms import Pseudonyms
from streams.scoring import RuleScore, score
from streams.simulator import LABELS
from tocsin.model.alerts import TRANSITIONS

MINUTE = 60_000


PSEUDONYMS = Pseudonyms(b"a key of sixteen bytes or more")


def alert(
    alert_id: str, entity: dict[str, str], minute: float, *levels: str, rule: str = "r"
) -> list[dict[str, object]]:
    """Give the transitions of one alert, a minute apart: raised, then level changes; `clear` last."""
    rows = []
    for sequence, level in enumerate(levels, 1):
        kind = "raised" if sequence == 1 else "cleared" if level == "clear" else "level_changed"
        time = round((minute + sequence - 1) * MINUTE)
        rows.append(
            {"alert_id": alert_id, "sequence": sequence, "kind": kind, "level": level, "time": time, "rule": rule,
             "entity": json.dumps(entity, separators=(",", ":")), "early": False}
        )  # fmt: skip
    return rows


def label(entity: dict[str, str], begin: int, end: int, level: str = "", **persons: str) -> dict[str, object]:
    return {
        "rule": "r", "entity": json.dumps(entity), "persons": json.dumps(persons), "from": begin * MINUTE,
        "until": end * MINUTE, "kind": "incident" if level else "near-miss", "level": level, "case": "a case",
    }  # fmt: skip


def scored(alerts: list[list[dict[str, object]]], labels: list[dict[str, object]]) -> RuleScore:
    rows = [row for alert_rows in alerts for row in alert_rows]
    transitions = pl.DataFrame(rows, schema=TRANSITIONS)
    return score(transitions, pl.DataFrame(labels, schema=LABELS), pseudonyms=PSEUDONYMS)["r"]


class TestIncidents:
    """What counts as found."""

    def test_an_alert_within_the_cause_finds_it(self) -> None:
        got = scored([alert("a", {"x": "1"}, 12, "red")], [label({"x": "1"}, 10, 20, "red")])
        assert (got.recall, got.precision, got.delay, got.level_right) == (1.0, 1.0, 2 * MINUTE, 1)

    def test_an_alert_within_the_grace_finds_it(self) -> None:
        assert scored([alert("a", {"x": "1"}, 25, "red")], [label({"x": "1"}, 10, 20, "red")]).found == 1

    def test_an_alert_after_the_grace_is_false(self) -> None:
        got = scored([alert("a", {"x": "1"}, 25.1, "red")], [label({"x": "1"}, 10, 20, "red")])
        assert (got.found, got.false_alarms, got.missed.height, got.false.height) == (0, 1, 1, 1)

    def test_an_alert_before_the_cause_is_false(self) -> None:
        got = scored([alert("a", {"x": "1"}, 9.9, "red")], [label({"x": "1"}, 10, 20, "red")])
        assert (got.recall, got.precision) == (0.0, 0.0)

    def test_an_alert_of_another_entity_finds_nothing(self) -> None:
        got = scored([alert("a", {"x": "2"}, 12, "red")], [label({"x": "1"}, 10, 20, "red")])
        assert (got.found, got.false_alarms) == (0, 1)

    def test_two_alerts_of_one_incident_count_once_and_none_is_false(self) -> None:
        alerts = [alert("a", {"x": "1"}, 12, "red"), alert("b", {"x": "1"}, 15, "red")]
        got = scored(alerts, [label({"x": "1"}, 10, 20, "red"), label({"x": "2"}, 10, 20, "red")])
        assert (got.found, got.incidents, got.alerts, got.false_alarms, got.delay) == (1, 2, 2, 0, 2 * MINUTE)
        assert got.pairs["alert_id"].to_list() == ["a", "b"]

    def test_the_delay_is_the_median_over_incidents(self) -> None:
        alerts = [alert(str(n), {"x": str(n)}, 10 + n, "red") for n in (1, 2, 6)]
        assert scored(alerts, [label({"x": str(n)}, 10, 20, "red") for n in (1, 2, 6)]).delay == 2 * MINUTE


class TestLevels:
    """The highest level of an episode against the expected one."""

    def test_a_rise_within_the_episode_counts(self) -> None:
        got = scored([alert("a", {"x": "1"}, 12, "yellow", "red", "clear")], [label({"x": "1"}, 10, 20, "red")])
        assert got.level_right == 1
        assert got.pairs.select("level", "expected").row(0) == ("red", "red")

    def test_too_low_a_level_is_found_but_not_right(self) -> None:
        got = scored([alert("a", {"x": "1"}, 12, "yellow", "clear")], [label({"x": "1"}, 10, 20, "red")])
        assert (got.found, got.level_right) == (1, 0)


class TestNearMisses:
    """What must stay quiet."""

    def test_a_near_miss_that_raises_is_false(self) -> None:
        labels = [label({"x": "1"}, 10, 20), label({"x": "2"}, 10, 20)]
        got = scored([alert("a", {"x": "1"}, 12, "red")], labels)
        assert (got.near_misses, got.quiet, got.false_alarms, got.precision) == (2, 1, 1, 0.0)
        assert got.false.select("case").item() == "a case"

    def test_silence_is_perfect_where_nothing_happened(self) -> None:
        got = scored([], [label({"x": "1"}, 10, 20)])
        assert (got.recall, got.precision, got.delay) == (1.0, 1.0, None)


class TestPersons:
    """Alerts name pseudonyms, labels the raw identifiers."""

    def test_persons_are_compared_by_their_pseudonym(self) -> None:
        known = [label({"card": "123", "shop": "t1"}, 10, 20, "red", card="card")]
        pseudonym = PSEUDONYMS.of(pl.Series(["123"]), "card").item()
        assert scored([alert("a", {"shop": "t1", "card": pseudonym}, 12, "red")], known).found == 1
        assert scored([alert("a", {"card": "123", "shop": "t1"}, 12, "red")], known).found == 0


class TestWhatIsLeftOut:
    """Alerts that no label speaks of."""

    def test_early_copies_are_not_counted(self) -> None:
        early = [row | {"early": True} for row in alert("a", {"x": "1"}, 12, "red")]
        assert scored([early], [label({"x": "1"}, 10, 20, "red")]).alerts == 0

    def test_rules_without_labels_are_not_scored(self) -> None:
        transitions = pl.DataFrame(alert("a", {"x": "1"}, 12, "red", rule="other"), schema=TRANSITIONS)
        got = score(transitions, pl.DataFrame([label({"x": "1"}, 10, 20)], schema=LABELS), pseudonyms=PSEUDONYMS)
        assert set(got) == {"r"}
        assert got["r"].alerts == 0
