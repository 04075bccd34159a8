"""What subtasks tell of themselves and what Flink answers, in one: the parts that need no Flink."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from monitoring import registry
from monitoring.metrics import MemoryMetrics
from monitoring.snapshots import Snapshot
from streams.flink.job_figures import RUNNING, JobFigures
from streams.flink.keeping import Kept
from streams.flink.metrics import Reporter, Telling
from streams.flink.order import Order
from streams.flink.reports import Reports
from streams.flink.words import Word
from streams.local.dataflow import empty_table
from streams.local.tally import Tally
from streams.pseudonyms import DEVELOPMENT_KEY, Pseudonyms
from streams.sources.contract import Records
from streams.tasks.layout import lay_out
from streams.tasks.making import Maker
from streams.tasks.upstreams import Heard
from streams.tasks.values import Keeper, Owner
from tests.streams.faust.shop_runs import records
from tests.streams.flink.test_parts import PLAN
from tests.waiting import wait_until

LAYOUT = lay_out(PLAN, {"payments": 2}, 2, layered=True)
MAKER = Maker(LAYOUT, {"shops": empty_table(PLAN, "shops")}, Pseudonyms(DEVELOPMENT_KEY))
ORDER = Order(PLAN, "r", "shop", "", {"payments": "p"}, {"payments": 2}, 2, Path(), "")
READ = registry.RECORDS_READ.of({"stream": "payments"})
ROWS = registry.STATE_ROWS.of({"stage": "pace"})
JOB = "5b15"


def word(subtask: str, read: float, rows: float, attempt: int = 0, run: str = "r") -> Word:
    metrics = MemoryMetrics()
    metrics.count(READ, read)
    metrics.gauge(ROWS, rows)
    return Word(run, attempt, subtask=subtask, recorded=Snapshot.of(metrics))


class TestReports:
    def test_of_subtasks_add_up_and_the_last_of_each_counts(self) -> None:
        reports = Reports()
        for one in (word("a/0", 10, 3), word("a/1", 5, 4), word("a/0", 12, 2)):
            reports.hear(one)
        together = reports.together()
        assert (together.value(READ), together.value(ROWS)) == (17, 6)

    def test_of_an_attempt_that_was_given_up_what_it_counted_stays(self) -> None:
        reports = Reports()
        for one in (word("a/0", 10, 3), word("a/1", 5, 4), word("a/0", 1, 2, attempt=1), word("a/1", 99, 99)):
            reports.hear(one)
        together = reports.together()
        assert (together.value(READ), together.value(ROWS)) == (16, 2)
        reports.hear(word("a/0", 4, 1, run="another"))
        assert reports.together().value(READ) == 20
        assert list(reports.subtasks) == ["a/0"]

    def test_other_words_say_nothing_of_metrics(self) -> None:
        reports = Reports()
        reports.hear(Word("r", 3, through="payments/0"))
        assert reports.together().values == {}


class TestAReporter:
    def test_tells_what_is_recorded_again_and_again_and_at_its_end(self) -> None:
        said: list[Word] = []
        metrics = MemoryMetrics()
        reporter = Reporter(
            ORDER, "sinks/0", 2, metrics, lambda text: said.append(msgspec.json.decode(text, type=Word)), 0.01
        )
        metrics.count(READ, 7)
        reporter.start()
        wait_until(lambda: len(said) > 2)
        metrics.count(READ, 1)
        reporter.close()
        assert {(one.run, one.attempt, one.subtask) for one in said} == {("r", 2, "sinks/0")}
        reports = Reports()
        for one in said:
            reports.hear(one)
        assert reports.together().value(READ) == 8


def kept_of(partition: int) -> Kept:
    return Kept(MAKER.source("payments", partition), Keeper(partition, Owner("o", 0)), ("p", partition))


class TestTelling:
    def test_says_how_tasks_stand_but_not_at_every_call(self) -> None:
        now, metrics = [0.0], MemoryMetrics()
        telling = Telling(Tally(metrics), PLAN, lambda: now[0])
        kept = {5: kept_of(0), 9: kept_of(1)}
        telling.tell(kept)
        stream, rule, stage = {"stream": "payments"}, {"rule": "busy"}, {"stage": "pace"}
        assert metrics.value(registry.PARTITIONS.of(stream)) == 2
        assert "tocsin_process_info" in {name for name, _ in metrics.values}
        for number, (one, until) in enumerate(zip(kept.values(), (3_000, 2_000), strict=True)):
            lines = [line for _, line in list(records())[number:until]]
            one.task.take(Records.of(lines, range(len(lines))), until)  # type: ignore[union-attr]  # of a source
            one.task.settle()
            one.task.opened["busy"] = 3
        telling.tell(kept)
        assert metrics.value(registry.OPEN_ALERTS.of(rule)) == 0
        now[0] += 60
        telling.tell(kept)
        assert metrics.value(registry.OPEN_ALERTS.of(rule)) == 6
        assert metrics.value(registry.STATE_ROWS.of(stage)) > 0
        assert metrics.value(registry.STATE_KEYS.of(stage)) > 0
        slowest = min(one.task.watermark for one in kept.values())  # type: ignore[union-attr]  # of sources
        assert metrics.value(registry.WATERMARK.of(stream)) == slowest / 1000

    def test_an_alert_of_a_shard_is_as_old_as_what_senders_had_reached(self) -> None:
        tally = Tally(wall=lambda: 100.0)
        tally.begin(["payments"])
        telling, shard = Telling(tally, PLAN), MAKER.shard(0)
        shard.upstreams.heard = {
            "payments/0": Heard(watermarks={"payments": 50_000, "minutes": 40_000}),
            "payments/1": Heard(watermarks={"payments": 70_000}),
        }
        tally.wall = lambda: 130.0
        telling.heard(shard)
        assert tally.arrivals.of([PLAN.streams["payments"].lateness + 70_000]) == [130]
        tally.wall = lambda: 160.0
        telling.heard(shard)
        assert tally.arrivals.of([PLAN.streams["payments"].lateness + 70_000]) == [130]


class Rest:
    """Answers as a cluster of Flink 2.3 does."""

    def __init__(self) -> None:
        self.values = {
            f"/jobs/{JOB}/metrics": {"numRestarts": "2", "lastCheckpointExternalPath": "file:/x"},
            "/jobmanager/metrics": {"numRunningJobs": "1"},
            "/taskmanagers/tm%3A1/metrics": {"Status.JVM.CPU.Load": "0.25"},
            f"/jobs/{JOB}/vertices/v/metrics": {
                "0.backPressuredTimeMsPerSecond": "900.0",
                "1.backPressuredTimeMsPerSecond": "100.0",
                "1.busyTimeMsPerSecond": "NaN",
                "0.Shuffle.Netty.Input.numBuffersInLocal": "4",
                "0.Source__KafkaSource-default_catalog.default_database.source_0.pendingRecords": "70",
                "1.Source__KafkaSource-default_catalog.default_database.source_0.pendingRecords": "-1",
            },
            f"/jobs/{JOB}/vertices/w/metrics": {"0.backPressuredTimeMsPerSecond": "1000.0"},
        }
        self.completed, self.failed = 0, 21
        self.vertices = ["CREATED", "FINISHED"]

    def __call__(self, path: str) -> Any:  # noqa: ANN401  # JSON
        bare, _, asked = path.partition("?get=")
        if bare in self.values:
            known = self.values[bare]
            names = unquote(asked).split(",") if asked else known
            return [{"id": name, "value": known[name]} if asked else {"id": name} for name in names]
        return self._told()[bare]

    def _told(self) -> dict[str, Any]:
        source = "Source: KafkaSource-default_catalog.default_database.source_0 -> Calc[2]"
        vertices = zip("vw", (source, "sources -> (Map, Map)"), self.vertices, strict=True)
        listed = [{"id": one, "name": name, "status": status} for one, name, status in vertices]
        history = [
            {
                "id": number,
                "status": "COMPLETED",
                "checkpointed_size": 1_000,
                "end_to_end_duration": 1_500,
                "latest_ack_timestamp": 1_000_000 + number,
            }
            for number in range(self.completed, max(0, self.completed - 10), -1)
        ]
        counts = {"completed": self.completed, "failed": self.failed}
        return {
            f"/jobs/{JOB}": {"state": RUNNING, "name": "tocsin shop (g)", "start-time": 900_000, "vertices": listed},
            f"/jobs/{JOB}/checkpoints": {"counts": counts, "history": [*history, {"id": 99, "status": "FAILED"}]},
            "/taskmanagers": {"taskmanagers": [{"id": "tm:1"}]},
        }


class TestWhatFlinkAnswers:
    def test_checkpoints_are_commits(self) -> None:
        ask = Rest()
        figures = JobFigures(ask, JOB, ["payments"])
        figures.look()
        metrics = figures.metrics
        assert metrics.value(registry.COMMIT_TIME) == 900, "before the first one: the beginning of the job"
        ask.completed = 3
        figures.look()
        assert (metrics.value(registry.COMMITS), metrics.value(registry.COMMIT_FAILURES)) == (3, 0)
        assert (metrics.value(registry.COMMIT_BYTES), metrics.value(registry.COMMIT_TIME)) == (3_000, 1_000.003)
        ask.completed, ask.failed = 5, 23
        figures.look()
        (durations,) = figures.metrics.histograms.values()
        assert (durations.count, durations.sum) == (5, 7.5)
        assert (metrics.value(registry.COMMITS), metrics.value(registry.COMMIT_FAILURES)) == (5, 2)

    def test_a_source_that_is_held_up_is_paused_and_what_waits_for_it_is_lag(self) -> None:
        figures = JobFigures(Rest(), JOB, ["payments"])
        figures.look()
        metrics = figures.metrics
        assert metrics.value(registry.PAUSED.of({"stream": "payments"})) == 1
        lags = {labels[1][1]: value for (name, labels), value in metrics.values.items() if "lag" in name}
        assert lags == {"subtask 0": 70, "subtask 1": 0}

    def test_flinks_own_numbers_have_the_names_that_its_reporter_gives_them(self) -> None:
        figures = JobFigures(Rest(), JOB, ["payments"])
        figures.look()
        of_job = (("job_id", JOB), ("job_name", "tocsin shop (g)"))
        assert figures.gauges["flink_jobmanager_job_numRestarts"] == {of_job: 2}
        assert figures.gauges["flink_taskmanager_Status_JVM_CPU_Load"] == {(("tm_id", "tm:1"),): 0.25}
        assert "flink_jobmanager_job_lastCheckpointExternalPath" not in figures.gauges, "a text"
        held = figures.gauges["flink_taskmanager_job_task_backPressuredTimeMsPerSecond"]
        assert sorted(held.values()) == [100, 900, 1000]
        assert not any("numBuffers" in name for name in figures.gauges)

    def test_a_job_is_at_work_when_all_its_parts_are(self) -> None:
        ask = Rest()
        figures = JobFigures(ask, JOB, ["payments"])
        figures.look()
        assert figures.state == "CREATED"
        ask.vertices = [RUNNING, "FINISHED"]
        figures.look()
        assert figures.state == RUNNING
