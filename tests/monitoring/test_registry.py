"""The registry of metrics, and the recorder in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from mypy import api as mypy

from monitoring import registry
from monitoring.metrics import MemoryMetrics

if TYPE_CHECKING:
    from pathlib import Path

METRICS = registry.declared()


class TestNames:
    """Names are a published contract."""

    def test_no_two_metrics_have_one_name(self) -> None:
        names = [metric.name for metric in METRICS]
        assert len(names) == len(set(names)) > 30

    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
    def test_a_name_follows_the_rules_of_prometheus(self, metric: registry.Metric[str]) -> None:
        assert re.fullmatch(r"tocsin(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") is isinstance(metric, registry.Counter)
        assert metric.unit in metric.name
        assert metric.help.endswith(".")

    @pytest.mark.parametrize(
        "line",
        [
            'metrics.count(registry.SINK_ROW.of({"sink": "x"}))',
            'metrics.count(registry.SINK_ROWS.of({"snik": "x"}))',
            'metrics.gauge(registry.SINK_ROWS.of({"sink": "x"}), 1)',
        ],
        ids=["name", "label", "verb"],
    )
    def test_a_wrong_name_label_or_verb_fails_the_type_check(self, line: str, tmp_path: Path) -> None:
        right = 'metrics.count(registry.SINK_ROWS.of({"sink": "x"}))'
        source = tmp_path / "sample.py"
        source.write_text(
            "from monitoring import registry\nfrom monitoring.metrics import Metrics\n"
            f"def record(metrics: Metrics) -> None:\n    {right}\n    {line}\n"
        )
        report, _, status = mypy.run([str(source), "--config-file=pyproject.toml", "--no-error-summary"])
        assert status == 1
        assert re.findall(r"sample\.py:(\d+): error", report)[:1] == ["5"]


class TestMemoryMetrics:
    """The recorder that keeps values in the process."""

    def test_a_counter_adds_up_per_labels(self) -> None:
        metrics = MemoryMetrics()
        for rows in (3, 4):
            metrics.count(registry.SINK_ROWS.of({"sink": "a"}), rows)
        metrics.count(registry.SINK_ROWS.of({"sink": "b"}))
        assert metrics.value(registry.SINK_ROWS.of({"sink": "a"})) == 7
        assert metrics.value(registry.SINK_ROWS.of({"sink": "never"})) == 0

    def test_a_gauge_keeps_its_last_value(self) -> None:
        metrics = MemoryMetrics()
        metrics.gauge(registry.OUTBOX_ROWS, 5)
        metrics.gauge(registry.OUTBOX_ROWS, 2)
        assert metrics.value(registry.OUTBOX_ROWS) == 2

    def test_a_histogram_counts_a_value_in_the_first_bucket_that_holds_it(self) -> None:
        metrics = MemoryMetrics()
        for seconds in (0.001, 0.0011, 1e9):
            metrics.observe(registry.COMMIT_SECONDS, seconds)
        observed = metrics.histograms["tocsin_commit_seconds", ()]
        assert observed.counts[:2] == [1, 1]
        assert observed.counts[-1] == 1
        assert observed.count == 3
        assert observed.sum == pytest.approx(1e9)

    def test_a_copy_stays_as_it_was(self) -> None:
        metrics = MemoryMetrics()
        metrics.count(registry.COMMITS)
        metrics.observe(registry.COMMIT_SECONDS, 2.0)
        copy = metrics.copy()
        metrics.count(registry.COMMITS)
        metrics.observe(registry.COMMIT_SECONDS, 2.0)
        assert copy.value(registry.COMMITS) == 1
        assert copy.histograms["tocsin_commit_seconds", ()].count == 1
        assert copy.histograms["tocsin_commit_seconds", ()].sum == 2.0

    def test_a_missing_or_foreign_label_is_a_defect(self) -> None:
        with pytest.raises(ValueError, match="needs its labels"):
            MemoryMetrics().count(registry.SINK_ROWS)
        with pytest.raises(ValueError, match="has the labels"):
            registry.SINK_ROWS.of({"snik": "x"})  # type: ignore[dict-item]  # what is tested

    def test_a_counter_never_falls(self) -> None:
        with pytest.raises(ValueError, match="only grows"):
            MemoryMetrics().count(registry.COMMITS, -1)
