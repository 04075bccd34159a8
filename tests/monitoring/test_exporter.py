"""Metrics and health as they are over HTTP."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from monitoring import registry
from monitoring.exporter import Address, parse_address, served
from monitoring.health import SINKS, SOURCES, TABLES, Health
from monitoring.metrics import MemoryMetrics
from monitoring.names import shown
from tocsin.errors import ServingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric as Family

ANYWHERE = Address("127.0.0.1", 0)
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@contextmanager
def serving(metrics: MemoryMetrics | None = None, health: Health | None = None) -> Iterator[str]:
    """Serve on a free port; give the URL."""
    with served(ANYWHERE, metrics or MemoryMetrics(), health or Health()) as address:
        yield f"http://{address}"


def asked(url: str, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
    """Give status, content type and body."""
    try:
        with urlopen(Request(url, headers=headers or {}), timeout=10) as answer:  # noqa: S310  # our own server
            return answer.status, answer.headers["Content-Type"], answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def scraped(url: str) -> dict[str, Family]:
    """Give the families of a scrape, by name."""
    return {family.name: family for family in openmetrics(asked(f"{url}/metrics", OPENMETRICS)[2].decode())}  # type: ignore[no-untyped-call]


@pytest.fixture
def recorded() -> MemoryMetrics:
    """Give a value of each kind."""
    metrics = MemoryMetrics()
    metrics.count(registry.SINK_ROWS.of({"sink": 'a "b"\\\n'}), 7)
    metrics.gauge(registry.STATE_BYTES.of({"stage": "pace"}), 1024)
    for seconds in (0.001, 0.02, 1e9):
        metrics.observe(registry.COMMIT_SECONDS, seconds)
    return metrics


class TestMetrics:
    """What is declared, as it was recorded."""

    def test_every_metric_is_told_with_kind_help_and_unit(self) -> None:
        with serving() as url:
            families = scraped(url)
        for metric in registry.declared():
            family = families[metric.name.removesuffix("_total")]
            assert family.type == type(metric).__name__.lower()
            assert (family.documentation, family.unit) == (metric.help, metric.unit)

    def test_values_and_labels_are_those_that_were_recorded(self, recorded: MemoryMetrics) -> None:
        with serving(recorded) as url:
            families = scraped(url)
        (rows,) = families["tocsin_sink_rows"].samples
        assert (rows.name, rows.labels, rows.value) == ("tocsin_sink_rows_total", {"sink": 'a "b"\\\n'}, 7)
        (size,) = families["tocsin_state_bytes"].samples
        assert (size.labels, size.value) == ({"stage": "pace"}, 1024)

    def test_buckets_are_cumulative_and_those_of_the_registry(self, recorded: MemoryMetrics) -> None:
        with serving(recorded) as url:
            samples = scraped(url)["tocsin_commit_seconds"].samples
        buckets = {sample.labels["le"]: sample.value for sample in samples if sample.name.endswith("_bucket")}
        assert [float(bound) for bound in buckets] == [*registry.COMMIT_SECONDS.buckets, float("inf")]
        assert (buckets["0.001"], buckets["0.01"], buckets["0.05"], buckets["300.0"], buckets["+Inf"]) == (
            1,
            1,
            2,
            2,
            3,
        )
        rest = {sample.name: sample.value for sample in samples if not sample.labels}
        assert rest == {"tocsin_commit_seconds_count": 3, "tocsin_commit_seconds_sum": pytest.approx(1e9)}

    def test_a_counter_without_labels_begins_at_zero(self) -> None:
        with serving() as url:
            assert [sample.value for sample in scraped(url)["tocsin_commits"].samples] == [0]

    def test_the_memory_of_the_process_is_there(self) -> None:
        with serving() as url:
            (sample,) = scraped(url)["process_resident_memory_bytes"].samples
        assert sample.value > 1 << 20

    def test_a_gauge_that_was_dropped_is_gone(self) -> None:
        metrics = MemoryMetrics()
        metrics.gauge(registry.CONSUMER_LAG.of({"stream": "s", "partition": "3"}), 5)
        metrics.gauge(registry.CONSUMER_LAG.of({"stream": "s", "partition": "4"}), 6)
        metrics.drop(registry.CONSUMER_LAG.of({"stream": "s", "partition": "3"}))
        metrics.drop(registry.CONSUMER_LAG.of({"stream": "s", "partition": "never"}))
        with serving(metrics) as url:
            samples = scraped(url)["tocsin_consumer_lag_records"].samples
        assert [sample.labels["partition"] for sample in samples] == ["4"]

    def test_the_format_is_what_the_scraper_asks_for(self, recorded: MemoryMetrics) -> None:
        with serving(recorded) as url:
            _, kind, body = asked(f"{url}/metrics")
            _, other, modern = asked(f"{url}/metrics", OPENMETRICS)
            _, _, packed = asked(f"{url}/metrics", {"Accept-Encoding": "gzip"})
        assert kind.startswith("text/plain")
        assert other.startswith("application/openmetrics-text")
        assert modern.endswith(b"# EOF\n")
        assert {family.name for family in plain(body.decode())} >= {"tocsin_sink_rows", "tocsin_commit_seconds"}
        assert b"tocsin_state_bytes" in gzip.decompress(packed)

    def test_scrapes_at_once_see_whole_values_that_only_grow(self) -> None:
        metrics = MemoryMetrics()

        def scrapes(url: str) -> list[tuple[float, float]]:
            found = []
            for _ in range(10):
                samples = {sample.name: sample.value for sample in scraped(url)["tocsin_commit_seconds"].samples}
                found.append(
                    (samples.get("tocsin_commit_seconds_count", 0), samples.get("tocsin_commit_seconds_sum", 0))
                )
            return found

        with serving(metrics) as url, ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(scrapes, url) for _ in range(8)]
            while not all(one.done() for one in asking):
                metrics.observe(registry.COMMIT_SECONDS, 2.0)
            for one in asking:
                assert one.result() == sorted(one.result())
                assert all(total == 2 * count for count, total in one.result())
                assert one.result()[-1][0] > 0


class TestHealth:
    """Status codes for orchestrators, reasons for people."""

    def test_a_process_that_is_not_open_yet_lives_and_is_not_ready(self) -> None:
        with serving() as url:
            assert asked(f"{url}/healthz")[0] == 200
            status, kind, body = asked(f"{url}/readyz")
        assert (status, kind) == (503, "application/json")
        reasons = dict.fromkeys((SOURCES, TABLES, SINKS), "not open yet")
        assert json.loads(body) == {"good": False, "checks": reasons}

    def test_a_process_at_work_is_ready(self) -> None:
        health = Health()
        for name in (SOURCES, TABLES, SINKS):
            health.ready(name, ok=True)
        with serving(health=health) as url:
            status, _, body = asked(f"{url}/readyz")
        assert status == 200
        assert json.loads(body) == {"good": True, "checks": dict.fromkeys((SOURCES, TABLES, SINKS), "good")}

    def test_a_main_loop_that_is_stuck_is_dead(self) -> None:
        clock = iter((0.0, 61.0))
        with serving(health=Health(clock=lambda: next(clock))) as url:
            status, _, body = asked(f"{url}/healthz")
        assert status == 503
        assert "61 s" in json.loads(body)["checks"]["beat"]

    def test_another_path_names_those_that_are_there(self) -> None:
        with serving() as url:
            status, _, body = asked(f"{url}/")
        assert status == 404
        assert all(path in body for path in (b"/metrics", b"/healthz", b"/readyz"))


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("127.0.0.1:9464", Address("127.0.0.1", 9464)),
            (":9464", Address("", 9464)),
            ("localhost:0", Address("localhost", 0)),
            ("[::1]:9464", Address("::1", 9464)),
        ],
    )
    def test_an_address_is_a_host_and_a_port(self, text: str, address: Address) -> None:
        assert parse_address(text) == address

    @pytest.mark.parametrize("text", ["", "9464", "localhost", "localhost:", "localhost:http", "a:65536", "::1:9464"])
    def test_anything_else_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(ServingError, match=r"expected HOST:PORT, like 127\.0\.0\.1:9464"):
            parse_address(text)

    def test_a_port_in_use_is_an_error_that_names_it(self) -> None:
        with serving() as url:
            taken = Address("127.0.0.1", int(url.rpartition(":")[2]))
            with pytest.raises(ServingError, match=f"--http {taken}: Address already in use; choose another"):
                served(taken, MemoryMetrics(), Health()).__enter__()

    def test_a_host_that_is_not_ours_is_an_error(self) -> None:
        with (
            pytest.raises(ServingError, match=r"192\.0\.2\.1:0: .*; choose another"),
            served(Address("192.0.2.1", 0), MemoryMetrics(), Health()),
        ):
            pass

    def test_the_port_is_free_when_serving_has_ended(self) -> None:
        with serving() as url:
            port = int(url.rpartition(":")[2])
        with served(Address("127.0.0.1", port), MemoryMetrics(), Health()) as address:
            assert address.port == port

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
    def test_ipv6_is_served(self) -> None:
        with served(Address("::1", 0), MemoryMetrics(), Health()) as address:
            assert asked(f"http://{address}/healthz")[0] == 200


class TestWithoutTheLibrary:
    def test_it_says_what_to_install(self) -> None:
        code = (
            "import sys; sys.modules['prometheus_client'] = None; from tocsin.cli import answer; sys.exit(answer([]))"
        )
        command = [sys.executable, "-c", code, "run", "topology.yaml", "--http", "127.0.0.1:0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "need prometheus-client: pip install 'tocsin[metrics]'" in done.stderr


class TestShownNames:
    @pytest.mark.parametrize(
        ("name", "what"),
        [
            ("redis://ann:secret@host:6379/0?password=secret", "redis://host:6379/0"),
            ("clickhouse://host/db", "clickhouse://host/db"),
            ("ndjson:/data/a@b?.ndjson", "ndjson:/data/a@b?.ndjson"),
            ("console", "console"),
        ],
    )
    def test_what_an_address_hides_is_cut(self, name: str, what: str) -> None:
        assert shown(name) == what


class TestAnotherProgram:
    def test_its_numbers_are_in_the_same_scrape_under_its_own_names(self, recorded: MemoryMetrics) -> None:
        name = "flink_jobmanager_job_numRestarts"
        beside = {name: {(("job_id", "a"),): 1.0, (("job_id", "b"),): 2.0}, "flink_of_nothing": {}}
        with served(ANYWHERE, recorded, Health(), lambda: beside) as address:
            found = scraped(f"http://{address}")
        assert {sample.labels["job_id"]: sample.value for sample in found[name].samples} == {"a": 1, "b": 2}
        assert "tocsin_records_read" in found
