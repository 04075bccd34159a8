"""What a job tells of itself: subtasks' metrics and Flink's answers, and both in a real scrape of a real job."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families as families

from monitoring import registry
from monitoring.metrics import MemoryMetrics
from monitoring.snapshots import Snapshot
from stack import FlinkCluster, Prometheus, RedisServer
from stack.packages import install
from stack.ports import free_port
from stack.running import WATCHING
from streams.flink.figures import Figures, Place
from streams.flink.job_figures import RUNNING, JobFigures
from streams.flink.keeping import Kept
from streams.flink.metrics import Reporter, Telling
from streams.flink.order import Order
from streams.flink.reports import Reports
from streams.flink.words import Word, words_of
from streams.local.dataflow import empty_table
from streams.local.tally import Tally
from streams.pseudonyms import DEVELOPMENT_KEY, Pseudonyms
from streams.sources.contract import Records
from streams.tasks.layout import lay_out
from streams.tasks.making import Maker
from streams.tasks.upstreams import Heard
from streams.tasks.values import Keeper, Owner
from tests.monitoring.test_served_runs import ask, get
from tests.streams.faust.shop_runs import BEGIN, EVENTS, TOPOLOGY, Aside, records, topology_in
from tests.streams.flink.pages import answering
from tests.streams.flink.shop_jobs import ShopJob
from tests.streams.flink.test_parts import PLAN
from tests.waiting import WITHIN, wait_until

if TYPE_CHECKING:
    from tests.servers.fixtures import Topics

LAYOUT = lay_out(PLAN, {"payments": 2}, 2, layered=True)
MAKER = Maker(LAYOUT, {"shops": empty_table(PLAN, "shops")}, Pseudonyms(DEVELOPMENT_KEY))
WRITTEN = len(list(records()))
ORDER = Order(PLAN, "r", "shop", "", {"payments": "p"}, {"payments": 2}, 2, Path(), "")
needs_flink = pytest.mark.skipif(bool(FlinkCluster.lacking()), reason=FlinkCluster.lacking())
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


class Rest(Mapping[str, Any]):
    """Answers as a cluster of Flink 2.3 does."""

    def __init__(self, group: str = "g") -> None:
        self.name = f"tocsin shop ({group})"
        self.values_of = {
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
        self.state, self.vertices = RUNNING, ["CREATED", "FINISHED"]

    def __iter__(self) -> Iterator[str]:
        """Give the pages."""
        return iter([*self.values_of, *self._told()])

    def __len__(self) -> int:
        """Count the pages."""
        return len(list(self))

    def __getitem__(self, path: str) -> Any:  # noqa: ANN401  # JSON
        """Answer; of metrics their names, or the values of those that were asked for."""
        bare, _, asked = path.partition("?get=")
        if bare in self.values_of:
            known = self.values_of[bare]
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
            f"/jobs/{JOB}": {"state": self.state, "name": self.name, "start-time": 900_000, "vertices": listed},
            f"/jobs/{JOB}/checkpoints": {"counts": counts, "history": [*history, {"id": 99, "status": "FAILED"}]},
            "/taskmanagers": {"taskmanagers": [{"id": "tm:1"}]},
            "/jobs/overview": {"jobs": [{"jid": JOB, "name": self.name, "state": self.state, "start-time": 900_000}]},
        }


class TestWhatFlinkAnswers:
    def test_checkpoints_are_commits(self) -> None:
        ask = Rest()
        figures = JobFigures(ask.__getitem__, JOB, ["payments"])
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
        figures = JobFigures(Rest().__getitem__, JOB, ["payments"])
        figures.look()
        metrics = figures.metrics
        assert metrics.value(registry.PAUSED.of({"stream": "payments"})) == 1
        lags = {labels[1][1]: value for (name, labels), value in metrics.values.items() if "lag" in name}
        assert lags == {"subtask 0": 70, "subtask 1": 0}

    def test_flinks_own_numbers_have_the_names_that_its_reporter_gives_them(self) -> None:
        figures = JobFigures(Rest().__getitem__, JOB, ["payments"])
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
        figures = JobFigures(ask.__getitem__, JOB, ["payments"])
        figures.look()
        assert (figures.state, figures.slowest) == (RUNNING, "CREATED")
        ask.vertices = [RUNNING, "FINISHED"]
        figures.look()
        assert (figures.state, figures.slowest) == (RUNNING, RUNNING)
        ask.state = "RESTARTING"
        figures.look()
        assert (figures.state, figures.slowest) == ("RESTARTING", "RESTARTING")


class TestFollowing:
    def test_a_job_puts_together_what_its_subtasks_send_and_its_cluster_answers(
        self, kafka: str, kafka_topics: Topics, unique: str
    ) -> None:
        kafka_topics(words_of(unique))
        figures, rest, metrics = Figures(), Rest(), MemoryMetrics()
        metrics.count(READ, 5)
        metrics.gauge(registry.SINK_UP.of({"sink": "redis"}), 0)
        order = replace(ORDER, servers=kafka, group=unique)
        reporter = Reporter(order, "sources/0", 0, metrics, seconds=0.1)
        with answering(rest) as cluster, figures.following(Place(cluster, JOB, kafka, unique, ["payments"], "r")):
            reporter.start()
            wait_until(lambda: figures.metrics.value(READ) == 5 and figures.state)
            assert figures.metrics.value(registry.PAUSED.of({"stream": "payments"})) == 1
            assert "flink_jobmanager_job_numRestarts" in figures.gauges()
            wait_until(lambda: "redis" in figures.health.at_work.text)
            assert figures.health.at_work.checks == {
                "job": "Flink says it is created",
                "sinks": "down and tried again: redis",
                "draining": "",
            }
        reporter.close()

    def test_a_cluster_that_does_not_answer_is_told(self, kafka: str, kafka_topics: Topics, unique: str) -> None:
        kafka_topics(words_of(unique))
        figures = Figures()
        with figures.following(Place(f"127.0.0.1:{free_port()}", JOB, kafka, unique, ["payments"])):
            wait_until(lambda: "no Flink cluster answers" in figures.health.at_work.checks["job"])
        assert figures.health.alive.good


SCRAPED_SECONDS = 1
DELIVERED = 'tocsin_sink_rows_total{sink=~"redis.*"} == scalar(sum(tocsin_alert_transitions_total)) > 0'
"""Whether Redis has all that was decided."""


class TestWatching:
    """`tocsin flink metrics`."""

    def test_a_job_is_served_until_it_ends(self, tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str) -> None:
        kafka_topics(words_of(unique))
        rest = Rest(group=unique)
        words = ["flink", "metrics", str(topology_in(tmp_path, TOPOLOGY)), "--kafka", kafka, "--group", unique]
        with answering(rest) as cluster:
            ask = [sys.executable, "-m", "tocsin.cli", *words, "--cluster", cluster, "--http", "127.0.0.1:0"]
            with subprocess.Popen(ask, stderr=subprocess.PIPE, text=True) as process:
                assert process.stderr is not None
                url = f"http://{process.stderr.readline().split()[-1]}"
                reporter = Reporter(replace(ORDER, servers=kafka, group=unique), "sources/0", 0, MemoryMetrics())
                reporter.metrics.count(READ, 5)
                reporter.seconds = 0.1
                reporter.start()
                wait_until(lambda: whole(get(f"{url}/metrics")[1], "tocsin_records_read_total") == 5)
                rest.state = "FAILED"
                assert process.wait(WITHIN) == 2
                assert process.stderr.read().endswith("the job has ended: Flink says it is failed\n")
                reporter.close()
            refused = subprocess.run(ask, capture_output=True, text=True, check=False)
        assert f"runs no job tocsin shop ({unique})" in refused.stderr


class Asking:
    """Prometheus as it ships, with a target of its own."""

    def __init__(self, server: Prometheus) -> None:
        self._server = server

    def __call__(self, query: str) -> dict[tuple[str, ...], float]:
        """Give the values of a query, by their labels; not more often than there is news."""
        time.sleep(SCRAPED_SECONDS / 2)
        return ask(self._server, query)

    def least(self, query: str) -> float:
        """Give the least value of a query, -1 where it has none."""
        return min(self(query).values(), default=-1)

    @property
    def rules(self) -> dict[str, str]:
        """How the rules fare, by the names of the alerts."""
        groups = json.loads(get(f"{self._server.url}/api/v1/rules")[1])["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}


@contextmanager
def watching(folder: Path, port: int) -> Iterator[Asking]:
    """Let Prometheus watch a port, every second, with the configuration and rules that are shipped."""
    install(Prometheus.programs)
    text = (WATCHING / "prometheus.yaml").read_text().replace("rules.yaml", str(WATCHING / "rules.yaml"))
    with Prometheus(folder, config=text.replace("_interval: 5s", f"_interval: {SCRAPED_SECONDS}s")) as server:
        (folder / "targets").mkdir()
        target = {"targets": [f"127.0.0.1:{port}"], "labels": {"job": "tocsin-shop"}}
        (folder / "targets" / "shop.json").write_text(json.dumps([target]))
        yield Asking(server)


def late(shop: ShopJob) -> None:
    """Write a record that is older than all others may be."""
    record = {"payment_id": "late", "at": BEGIN, "card": "c", "shop": "s1", "amount": "1.00"}
    producer = Producer({"bootstrap.servers": shop.servers})
    producer.produce(shop.topic, json.dumps(record).encode(), b"c", 0)
    assert producer.flush(30) == 0


def samples_of(page: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Give labels and values of a metric on a page."""
    return [(one.labels, one.value) for family in families(page) for one in family.samples if one.name == name]


def whole(page: str, name: str) -> float:
    """Add up the values of a metric on a page."""
    return sum(value for _, value in samples_of(page, name))


ALWAYS = {metric.name for metric in registry.declared()} - {
    *(metric.name for metric in (registry.REBALANCES, registry.TABLE_CHANGES, *registry.OF_STAGE_TOPICS)),
    *(metric.name for metric in (registry.EARLY_COPIES, registry.EARLY_UNCONFIRMED, registry.SINK_EARLY_LOST)),
    *(metric.name for metric in (registry.SINK_RETRIES, registry.SINK_FAILURES, registry.SINK_REFUSED)),
    *(metric.name for metric in (registry.NULL_KEYS, registry.OUTBOX_ROWS)),
}
"""What a job has values of that is at work, without early copies, and whose sinks are."""


@needs_flink
class TestAScrape:
    def test_of_a_job_has_its_metrics_and_flinks_and_the_rules_hold_for_them(
        self, tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str
    ) -> None:
        port, ended = free_port(), Event()
        url = f"http://127.0.0.1:{port}"
        with RedisServer(tmp_path / "redis") as redis, watching(tmp_path / "prometheus", port) as prometheus:
            shop = ShopJob(tmp_path, kafka, kafka_topics, unique, partitions=3, direct=False)
            shop.sinks, shop.more = [redis.url], ["--http", f"127.0.0.1:{port}"]
            with Aside(lambda: shop.produce(pause=1, until=ended)), shop.job():
                wait_until(lambda: prometheus.least("tocsin_records_read_total") >= WRITTEN, lambda: shop.log)
                late(shop)
                wait_until(lambda: prometheus.least("tocsin_late_records_total") >= 1, lambda: shop.log)
                wait_until(lambda: prometheus.least("tocsin_consumer_lag_records") == 0, lambda: shop.log)
                wait_until(lambda: prometheus(DELIVERED), lambda: shop.log)
                self._look(get(f"{url}/metrics")[1])
                assert set(prometheus.rules.values()) == {"ok"}
                assert json.loads(get(f"{url}/readyz")[1]) == {"good": True, "checks": {"job": "good", "sinks": "good"}}
                redis.kill()
                ended.set()
                down = 'ALERTS{alertname="TocsinSinkDown", alertstate="pending"}'
                wait_until(lambda: prometheus(down), lambda: shop.log)
                assert f"down and tried again: {redis.url}" in get(f"{url}/readyz")[1]
                assert prometheus("ALERTS{alertname='TocsinDown'}") == {}

    def _look(self, page: str) -> None:
        found = {family.name: family for family in families(page) if family.samples}
        assert {name for name in ALWAYS if name.removesuffix("_total") not in found} == set()
        kinds = {metric.name.removesuffix("_total"): type(metric).__name__.lower() for metric in registry.declared()}
        assert [name for name in found.keys() & kinds.keys() if found[name].type != kinds[name]] == []
        again = whole(page, "flink_jobmanager_job_numRestarts") > 0  # what is read again counts again
        assert again or whole(page, "tocsin_dead_letters_total") == EVENTS // 997
        decided = samples_of(page, "tocsin_alert_transitions_total")
        raised = sum(value for labels, value in decided if labels["kind"] == "raised")
        assert whole(page, "tocsin_event_to_alert_seconds_count") == raised
        assert {"flink_jobmanager_job_numRestarts", "flink_jobmanager_job_lastCheckpointDuration"} <= found.keys()
        assert "flink_taskmanager_Status_JVM_CPU_Load" in found
        busy = found["flink_taskmanager_job_task_busyTimeMsPerSecond"].samples
        assert {"0", "1"} == {sample.labels["subtask_index"] for sample in busy}
