"""A run that is asked over HTTP while it goes, by us and by a real Prometheus."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from stack import Prometheus
from stack.packages import install
from stack.ports import free_port
from streams.codecs.reasons import Reason
from tests.cli.shop import TOPOLOGY, write_shop
from tests.waiting import wait_until
from tocsin.cli.files import load_plan
from tocsin.model.alerts import Transition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Values = dict[tuple[str, ...], float]

WITHIN = 60.0
COMMAND = (sys.executable, "-m", "tocsin.cli", "run", "shop.yaml", "--source", "payments=ndjson:payments.ndjson")
HELD = ("--sink", "ndjson:pipe", "--keep-state", "--json")
"""Alerts into a pipe that nobody reads hold a run when it is full; what is left open decides nothing in the end."""
TRANSITIONS = "sum by (kind, rule) (tocsin_alert_transitions_total)"
QUANTILE = "histogram_quantile(0.9, sum by (le) (tocsin_step_seconds_bucket))"
QUERIES = ("up", "tocsin_records_read_total", TRANSITIONS, QUANTILE)
CARD = "4929123412341234"
"""A raw identifier that is in the input and nowhere else."""


def get(url: str) -> tuple[int, str]:
    """Give status and body; 0 while nothing answers."""
    try:
        with urlopen(url, timeout=10) as answer:  # noqa: S310  # our own servers
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def series(body: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Give the values of a scrape, by name and label values."""
    samples = [sample for family in families(body) for sample in family.samples]
    return {(one.name, tuple(one.labels.values())): one.value for one in samples}


def person_shop(folder: Path) -> Path:
    """Write a shop whose cards are persons, one of them CARD, which stands in dead letters, too."""
    write_shop(folder, count=1_500)
    (folder / "shop.yaml").write_text(TOPOLOGY.replace("card: string", "card: person(card)"))
    source = folder / "payments.ndjson"
    lines = source.read_text().replace('"c7"', f'"{CARD}"')
    bad = json.dumps({"payment_id": "p", "at": 1_772_442_000_000, "card": CARD, "amount": CARD * 9, "place": CARD})
    source.write_text(f"{lines}{bad}\n{CARD}\n")
    return folder


@contextmanager
def running(folder: Path, *words: str, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the shop over HTTP; give the process and the URL."""
    command = [*COMMAND, "--batch-rows", "100", *words, "--http", f"127.0.0.1:{port}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stderr is not None
            said = next(line for line in process.stderr if "metrics and health" in line)
            yield process, f"http://{said.split()[-1]}"
        finally:
            process.kill()


def drain(folder: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    """Read the pipe to its end and wait; give the summary that was printed."""
    with subprocess.Popen(["cat", "pipe"], cwd=folder, stdout=subprocess.DEVNULL):  # noqa: S607  # wherever it is
        out, _ = process.communicate(timeout=WITHIN)
    summary: dict[str, Any] = json.loads(out)
    return summary


def waits_for_its_sink(url: str) -> bool:
    """Whether everything was read, and alerts wait in the queue of a sink."""
    found = series(get(f"{url}/metrics")[1])
    queue = found.get(("tocsin_sink_queue_since_timestamp_seconds", ("ndjson:pipe",)), 0)
    return queue > 0 and "everything was read" in get(f"{url}/readyz")[1]


@dataclass(frozen=True)
class Asked:
    """What was heard of a run that had read everything, and what it said itself in the end.

    `queries`: answers of Prometheus; `kinds`: type and unit of metrics as it knows them; `second`: a run that wanted
    the same port.
    """

    folder: Path
    address: str
    paths: dict[str, tuple[int, str]]
    queries: dict[str, Values]
    kinds: dict[str, tuple[str, str]]
    second: subprocess.CompletedProcess[str]
    summary: dict[str, Any]

    @property
    def values(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """The values that were scraped."""
        return series(self.paths["/metrics"][1])

    @property
    def transitions(self) -> Values:
        """Transitions by kind and rule, of the summary."""
        return {(one["kind"], one["rule"]): one["number"] for one in self.summary["transitions"]}


def ask(server: Prometheus, query: str) -> Values:
    """Give the values of a query, by their labels without job and instance."""
    answer = json.loads(get(f"{server.url}/api/v1/query?query={quote(query)}")[1])
    assert answer["status"] == "success", answer
    left = {"__name__", "instance", "job"}
    return {
        tuple(value for name, value in one["metric"].items() if name not in left): float(one["value"][1])
        for one in answer["data"]["result"]
    }


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Run a shop of persons under a real Prometheus, and ask it all when it waits for its sink."""
    install(Prometheus.programs)
    folder, port = person_shop(tmp_path_factory.mktemp("shop")), free_port()
    os.mkfifo(folder / "pipe")
    target = f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]"
    config = f"global: {{scrape_interval: 200ms}}\nscrape_configs: [{{job_name: tocsin, {target}}}]\n"
    with Prometheus(folder / "prometheus", config=config) as server:
        wait_until(lambda: ask(server, "up") == {(): 0}, "the first scrape, of nothing")
        with running(folder, *HELD, port=port) as (process, url):
            wait_until(partial(waits_for_its_sink, url), "the end of the input")
            now = time.time()
            wait_until(lambda: ask(server, "timestamp(up == 1)").get((), 0) > now + 0.2, "a scrape after it")
            queries = {query: ask(server, query) for query in QUERIES}
            kinds = json.loads(get(f"{server.url}/api/v1/targets/metadata")[1])["data"]
            paths = {path: get(f"{url}{path}") for path in ("/metrics", "/healthz", "/readyz")}
            address = url.removeprefix("http://")
            second = [*COMMAND, "--state", "other", "--sink", "ndjson:other.ndjson", "--http", address]
            refused = subprocess.run(second, cwd=folder, capture_output=True, text=True, check=False)
            summary = drain(folder, process)
            assert process.returncode == 0
        wait_until(lambda: ask(server, "up") == {(): 0}, "the end of the run")
    known = {one["metric"]: (one["type"], one["unit"]) for one in kinds}
    return Asked(folder, address, paths, queries, known, refused, summary)


class TestScraped:
    """By anybody."""

    def test_what_is_scraped_is_what_the_run_says_in_the_end(self, asked: Asked) -> None:
        found, dead = asked.values, {one["reason"]: one["records"] for one in asked.summary["put_aside"]}
        assert found["tocsin_records_read_total", ("payments",)] == asked.summary["records"]["payments"] > 1_500
        assert found["tocsin_late_records_total", ("payments",)] == dead.pop("late") > 0
        letters = {labels: value for (name, labels), value in found.items() if name == "tocsin_dead_letters_total"}
        assert {reason: value for (reason, _), value in letters.items()} == dead
        told = {labels: value for (name, labels), value in found.items() if name == "tocsin_alert_transitions_total"}
        assert told == asked.transitions

    def test_a_run_that_has_read_everything_lives_and_drains(self, asked: Asked) -> None:
        assert asked.paths["/healthz"][0] == 200
        status, body = asked.paths["/readyz"]
        assert status == 503
        good = dict.fromkeys(("sources", "tables", "sinks"), "good")
        assert json.loads(body)["checks"] == {**good, "draining": "everything was read"}

    def test_nothing_that_is_said_holds_the_identifier_of_a_person(self, asked: Asked) -> None:
        assert CARD in (asked.folder / "payments.ndjson").read_text()
        assert [path for path, (_, body) in asked.paths.items() if CARD in body] == []

    def test_labels_are_names_that_stand_in_the_topology_or_the_command(self, asked: Asked) -> None:
        plan = load_plan(asked.folder / "shop.yaml")
        reasons = {*Reason, *(f"check: {check.name}" for stream in plan.streams.values() for check in stream.checks)}
        names = {*plan.streams, *(stage.name for stage in plan.stages), *plan.rules}
        known = {*reasons, *names, *Transition, "ndjson:pipe", "local", plan.name, plan.version, version("tocsin")}
        parsed = [sample.labels for family in families(asked.paths["/metrics"][1]) for sample in family.samples]
        values = {value for labels in parsed for name, value in labels.items() if name != "le"}
        assert values <= known
        assert len(values) > 10

    def test_a_port_in_use_ends_another_run_before_it_began(self, asked: Asked) -> None:
        said = f"tocsin: --http {asked.address}: Address already in use; choose another address or port\n"
        assert (asked.second.returncode, asked.second.stderr) == (2, said)
        assert not (asked.folder / "other").exists()
        assert not (asked.folder / "other.ndjson").exists()


class TestPrometheus:
    """A real one."""

    def test_it_counts_what_the_run_says_in_the_end(self, asked: Asked) -> None:
        assert asked.queries["up"] == {(): 1}
        assert asked.queries["tocsin_records_read_total"] == {("payments",): asked.summary["records"]["payments"]}
        assert asked.queries[TRANSITIONS] == asked.transitions

    def test_it_takes_buckets(self, asked: Asked) -> None:
        assert 0 < asked.queries[QUANTILE][()] < WITHIN

    def test_it_knows_types_and_units(self, asked: Asked) -> None:
        assert asked.kinds["tocsin_commit_seconds"] == ("histogram", "seconds")
        assert asked.kinds["tocsin_open_alerts"] == ("gauge", "")
        assert asked.kinds["tocsin_records_read"][0] == "counter"


class TestTrouble:
    def test_a_sink_that_is_down_is_named_and_the_process_lives(self, tmp_path: Path) -> None:
        write_shop(tmp_path, count=1_500)
        name = "ndjson:/dev/full"
        with running(tmp_path, "--sink", name, "--commit-seconds", "0") as (process, url):
            wait_until(lambda: self.of(url, "tocsin_sink_up", name) == 0, "the trouble of the sink")
            assert self.of(url, "tocsin_sink_retries_total", name) > 0
            assert self.of(url, "tocsin_sink_queue_since_timestamp_seconds", name) > time.time() - WITHIN
            wait_until(lambda: f"down and tried again: {name}" in get(f"{url}/readyz")[1], "the sentence")
            assert get(f"{url}/readyz")[0] == 503
            assert get(f"{url}/healthz")[0] == 200
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WITHIN)

    @staticmethod
    def of(url: str, name: str, label: str) -> float:
        """Give one value; -1 while there is none."""
        return series(get(f"{url}/metrics")[1]).get((name, (label,)), -1)
