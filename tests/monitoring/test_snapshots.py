"""What several processes recorded, in one."""

from __future__ import annotations

import json

import msgspec
import pytest

from monitoring import registry
from monitoring.metrics import MemoryMetrics
from monitoring.snapshots import Snapshot, counted, merged

READ = registry.RECORDS_READ.of({"stream": "s"})
STEP = registry.STEP_SECONDS.of({"stage": "rule x"})


def recorded(read: float, *, at: float, lag: float, since: float, up: float, step: float) -> MemoryMetrics:
    metrics = MemoryMetrics()
    metrics.count(READ, read)
    metrics.count(registry.COMMITS)
    metrics.observe(STEP, step)
    metrics.gauge(registry.WATERMARK.of({"stream": "s"}), at)
    metrics.gauge(registry.WATERMARK_LAG.of({"stream": "s"}), lag)
    metrics.gauge(registry.STATE_ROWS.of({"stage": "rule x"}), read)
    metrics.gauge(registry.SINK_QUEUE_SINCE.of({"sink": "redis"}), since)
    metrics.gauge(registry.SINK_UP.of({"sink": "redis"}), up)
    return metrics


class TestSnapshots:
    @pytest.mark.parametrize("up", [1, False])
    def test_come_back_from_bytes_as_they_were(self, up: int) -> None:
        metrics = recorded(5, at=1.5, lag=2.25, since=0, up=up, step=0.2)
        text = msgspec.json.encode(Snapshot.of(metrics))
        again = msgspec.json.decode(text, type=Snapshot).metrics()
        assert (again.values, again.histograms) == (metrics.values, metrics.histograms)

    def test_leave_out_what_this_version_does_not_know(self) -> None:
        text = json.dumps([[["tocsin_of_tomorrow", ["x"], 1.0]], [["tocsin_later_seconds", [], [1], 1.0]]])
        again = msgspec.json.decode(text, type=Snapshot).metrics()
        assert (again.values, again.histograms) == ({}, {})


class TestTogether:
    def test_counters_and_histograms_add_up_and_gauges_are_as_declared(self) -> None:
        one = recorded(5, at=100, lag=7, since=0, up=1, step=0.2)
        other = recorded(6, at=90, lag=17, since=44, up=0, step=0.7)
        both = merged([one, other])
        assert both.value(READ) == 11
        assert both.value(registry.COMMITS) == 2
        assert both.value(registry.WATERMARK.of({"stream": "s"})) == 90
        assert both.value(registry.WATERMARK_LAG.of({"stream": "s"})) == 17
        assert both.value(registry.STATE_ROWS.of({"stage": "rule x"})) == 11
        assert both.value(registry.SINK_QUEUE_SINCE.of({"sink": "redis"})) == 44
        assert both.value(registry.SINK_UP.of({"sink": "redis"})) == 0
        (seen,) = both.histograms.values()
        assert (seen.count, seen.sum) == (2, pytest.approx(0.9))
        assert one.value(READ) == 5, "the parts are as they were"
        (own,) = one.histograms.values()
        assert own.count == 1

    def test_of_a_process_that_ended_its_counts_stay_and_nothing_else(self) -> None:
        left = counted(recorded(5, at=100, lag=7, since=3, up=0, step=0.2))
        assert set(left.values) == {("tocsin_records_read_total", (("stream", "s"),)), ("tocsin_commits_total", ())}
        assert len(left.histograms) == 1

    def test_a_metric_becomes_what_another_one_is(self) -> None:
        served = recorded(5, at=100, lag=7, since=3, up=0, step=0.2)
        served.become(MemoryMetrics({("tocsin_commits_total", ()): 3.0}))
        assert (served.value(registry.COMMITS), served.value(READ), served.histograms) == (3, 0, {})
