"""The alert rules about Tocsin: promtool takes them, each is tested, each has its runbook, all names exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring import registry
from monitoring.health import BEAT_SECONDS
from stack.packages import install
from streams.brake import BLOCK, SHARE
from streams.local.publishing import OUTBOX_MOST

ROOT = Path(__file__).parents[2]
RULES = ROOT / "monitoring/prometheus/rules.yaml"
CONFIG = ROOT / "monitoring/prometheus/prometheus.yaml"
TESTS = Path(__file__).parent / "rules.test.yaml"
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
CASES: list[dict[str, Any]] = [
    case for test in yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"] for case in test["alert_rule_test"]
]
METRICS = {metric.name: metric for metric in registry.declared()}
OF_PROMETHEUS = {"job", "instance"}

every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def promtool(*words: object) -> str:
    """Run promtool; give what it says."""
    install(["promtool"])
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)  # noqa: S607  # from the PATH, as users do
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class TestPromtool:
    def test_the_rules_are_well_formed(self) -> None:
        assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES)

    def test_the_configuration_is_well_formed_and_finds_them(self) -> None:
        assert "1 rule files found" in promtool("check", "config", CONFIG)

    def test_alerts_fire_where_they_should_and_nowhere_else(self) -> None:
        assert "SUCCESS" in promtool("test", "rules", TESTS)


class TestEveryAlert:
    @every_alert
    def test_it_is_tested_where_it_fires_and_where_it_does_not(self, alert: dict[str, Any]) -> None:
        cases = [bool(case["exp_alerts"]) for case in CASES if case["alertname"] == alert["alert"]]
        assert set(cases) == {True, False}

    @every_alert
    def test_its_runbook_is_a_section_with_its_name(self, alert: dict[str, Any]) -> None:
        path, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert (path, anchor) == ("docs/operations.md", alert["alert"].lower())
        assert f"\n### {alert['alert']}\n" in PAGE

    @every_alert
    def test_its_metrics_and_their_labels_are_declared(self, alert: dict[str, Any]) -> None:
        named = set(re.findall(r"\btocsin_\w+", alert["expr"]))
        assert named <= set(METRICS)
        known = OF_PROMETHEUS.union(*(METRICS[name].labels for name in named))
        grouped = re.findall(r"\b(?:by|on) \(([\w, ]+)\)", alert["expr"])
        assert {label for group in grouped for label in group.split(", ")} <= known
        told = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]))
        assert told <= known

    @every_alert
    def test_it_has_a_severity_and_one_sentence(self, alert: dict[str, Any]) -> None:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert set(alert["annotations"]) == {"summary", "runbook"}


class TestThePage:
    def test_it_has_no_runbook_of_an_alert_that_is_not_there(self) -> None:
        assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == {alert["alert"] for alert in ALERTS}

    def test_its_table_is_the_registry(self) -> None:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if "| `tocsin_" in line]
        assert rows == [
            [
                f"`{metric.name}`",
                type(metric).__name__.lower(),
                " ".join(f"`{label}`" for label in metric.labels) or "–",  # noqa: RUF001  # a dash, as tables have it
                metric.help,
            ]
            for metric in registry.declared()
        ]

    def test_metrics_in_its_text_exist(self) -> None:
        text = PAGE.split("\n## All metrics\n")[0]
        named = set(re.findall(r"\btocsin_\w+", text))
        assert named <= set(METRICS)
        assert len(named) > 10

    def test_its_numbers_are_those_of_the_code(self) -> None:
        assert f"{BEAT_SECONDS:.0f} seconds" in PAGE
        assert f"{SHARE * BLOCK:.0f} of {BLOCK} records" in PAGE
        assert f"{OUTBOX_MOST:,}".replace(",", " ") in PAGE
        assert f"at {SHARE:.0%}".replace("%", " %") in RULES.read_text(encoding="utf-8")
