"""Each command: what it prints, as JSON too, and its exit code (0 good, 1 found something, 2 wrong use)."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shop import BEGIN, RUN, TOPOLOGY, payment, tocsin, write_shop

from sinks.ndjson import decode
from tocsin.cli import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from conftest import Said

    Say = Callable[..., Said]

SOURCE = ("--source", "payments=ndjson:payments.ndjson")

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


class TestHelp:
    """Instant, and with examples."""

    def test_it_loads_nothing_heavy(self) -> None:
        command = [sys.executable, "-X", "importtime", "-m", "tocsin.cli", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
        heavy = {"polars", "numpy", "chdb", "sqlglot", "rich", "yaml", "msgspec", "fastavro"}
        assert "tocsin.cli" in loaded
        assert loaded & heavy == set()

    @pytest.mark.parametrize("name", sorted(COMMANDS))
    def test_every_command_has_one(self, say: Say, name: str) -> None:
        said = say(name, "--help")
        assert said.code == 0
        assert f"Usage: tocsin {name}" in said.out

    @pytest.mark.parametrize("name", ["run", "features", "simulate", "alerts", "explain", "dlq"])
    def test_examples_stand_on_lines_of_their_own(self, say: Say, name: str) -> None:
        usage, _, rest = say(name, "--help").out.partition("\n")
        assert usage.startswith("Usage:")
        assert f"\n  tocsin {name} " in rest or f"$(tocsin {name} " in rest

    def test_a_command_that_is_not_there_names_the_nearest(self, say: Say) -> None:
        said = say("rnu")
        assert said.code == 2
        assert "did you mean 'run'?" in said.err

    def test_a_wrong_option_is_wrong_use(self, say: Say) -> None:
        assert say("run", "--sorce", "x").code == 2

    def test_the_version_is_told(self, say: Say) -> None:
        assert "0.1" in say("--version").out


class TestRun:
    """What only the command line adds to a run."""

    def test_numbers_as_json_and_nothing_else_on_stdout(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 200)
        said = say(*RUN, "--json")
        assert said.code == 0
        assert said.json["delivered"] is True
        assert said.json["metrics"]["tocsin_commits_total"] >= 1
        assert said.err == ""

    def test_metrics_are_printed_when_asked_for(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 200)
        lines = say(*RUN, "--metrics").out.splitlines()
        assert 'tocsin_records_read_total{stream="payments"} ' + str(len(_lines(tmp_path))) in lines

    def test_the_console_is_a_sink(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 200)
        said = say("run", "shop.yaml", *SOURCE, "--sink", "console")
        assert "RED     raised         large  card=c" in said.out

    def test_a_reader_that_goes_away_ends_it_without_a_traceback(self, tmp_path: Path) -> None:
        write_shop(tmp_path, 2_000)
        words = f"{sys.executable} -m tocsin.cli run shop.yaml {' '.join(SOURCE)} --sink console | head -1"
        done = subprocess.run(["/bin/sh", "-c", words], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.count("\n") == 1
        assert "Traceback" not in done.stderr

    def test_early_copies_are_counted(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 200)
        early = say(*RUN, "--early", "--json").json["early"]
        assert [(item["rule"], item["kind"]) for item in early] == [("large", "copies")]

    def test_from_and_until(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 200)
        said = say(*RUN, "--from", "2026-03-02T10:00:00Z", "--until", "2026-03-02T10:30:00Z", "--json")
        assert said.json["until"] == BEGIN + 90 * 60_000
        assert said.json["outside"]["payments"] > 50
        times = _log(tmp_path)["time"]
        assert BEGIN + 60 * 60_000 <= min(times) <= max(times) <= BEGIN + 91 * 60_000

    @pytest.mark.parametrize("words", [("--from", "yesterday"), ("--buckets", "0"), ("--runtime", "spark")])
    def test_wrong_options_are_told(self, say: Say, tmp_path: Path, words: tuple[str, str]) -> None:
        write_shop(tmp_path, 10)
        assert say(*RUN, *words).code == 2

    @pytest.mark.parametrize(
        ("runtime", "words"),
        [
            ("faust", ["--from", "2026-03-02T10:00:00Z"]),
            ("faust", ["--keep-state"]),
            ("faust", ["--metrics"]),
            ("faust", ["--batch-rows", "9"]),
            ("faust", ["--commit-seconds", "9"]),
            ("local", ["--workers", "1"]),
            ("local", ["--group", "x"]),
        ],
    )
    def test_a_word_of_another_runtime_is_refused(
        self, say: Say, tmp_path: Path, runtime: str, words: list[str]
    ) -> None:
        write_shop(tmp_path, 10)
        said = say(*RUN, "--runtime", runtime, *words)
        assert said.code == 2
        assert f"{words[0]} is a word of the runtime {'local' if runtime == 'faust' else 'faust'}" in said.err


class TestProgress:
    """On stderr, where that is a terminal."""

    def test_alerts_still_go_where_stdout_goes(self, tmp_path: Path) -> None:
        write_shop(tmp_path, 2_000)
        ours, theirs = pty.openpty()
        words = ["run", "shop.yaml", *SOURCE, "--sink", "console", "--batch-rows", "50"]
        command = [sys.executable, "-m", "tocsin.cli", *words]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs) as process:
            os.close(theirs)
            seen = threading.Thread(target=lambda: shown.append(_everything(ours)))
            shown: list[bytes] = []
            seen.start()
            out, _ = process.communicate(timeout=60)
            seen.join()
        assert process.returncode == 0
        assert b"raised         large  card=c" in out
        assert b"records, " in shown[0]
        assert b"raised         large" not in shown[0]


def _everything(terminal: int) -> bytes:
    """Read a terminal until nobody writes to it any more."""
    found = b""
    with suppress(OSError):
        while part := os.read(terminal, 65_536):
            found += part
    os.close(terminal)
    return found


class TestCheckAndPlan:
    """Before anything starts."""

    def test_a_good_one_says_how_each_rule_clears(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 10)
        said = say("check", "shop.yaml")
        assert said.code == 0
        assert "1 stream, 2 features, 3 rules" in said.out
        assert "yellow clears" in said.out

    def test_a_wrong_one_gives_its_problems_as_json(self, say: Say, tmp_path: Path) -> None:
        (tmp_path / "shop.yaml").write_text(TOPOLOGY.replace("lateness", "latenes"))
        said = say("check", "shop.yaml", "--json")
        assert said.code == 1
        assert {problem["nearest"] for problem in said.json["problems"]} >= {"lateness"}

    def test_a_rule_test_that_fails_is_found(self, say: Say, tmp_path: Path) -> None:
        tests = """
    tests:
      - given: {payments: [{at: 10:00, card: A, amount: 500}]}
        expect: {A: [10:01 red]}
"""
        (tmp_path / "shop.yaml").write_text(TOPOLOGY.rstrip() + tests)
        said = say("check", "shop.yaml")
        assert said.code == 1
        assert "A: expected 10:01:00 red; got 10:00:00 red" in said.out
        assert [test["good"] for test in say("check", "shop.yaml", "--json").json["tests"]] == [False]

    def test_measure_shows_what_real_data_is_like(self, say: Say, tmp_path: Path) -> None:
        lines = [payment(n, BEGIN + at * 1000, "c") for n, at in enumerate([0, 10, 5, 20, 2, 100])]
        write_shop(tmp_path, 10)
        (tmp_path / "payments.ndjson").write_bytes(b"\n".join(lines) + b"\nwhat\n")
        (measured,) = say("check", "shop.yaml", "--measure", *SOURCE, "--json").json["measured"]
        assert measured["records"] == 6
        assert measured["put_aside"] == 1
        assert measured["behind"][-1] == 18_000
        assert measured["late"] == 1
        assert measured["silence"] == 80_000
        assert "behind" in say("check", "shop.yaml", "--measure", *SOURCE).out

    def test_measure_needs_a_stream(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 10)
        assert say("check", "shop.yaml", "--measure").code == 2

    def test_the_plan_names_stages(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 10)
        stages = say("plan", "shop.yaml", "--json").json
        assert [stage["stage"] for stage in stages] == ["all", "pace", "rule busy", "rule pace", "rule large"]
        assert "waits for" in say("plan", "shop.yaml").out

    def test_who_is_where_is_kept_as_long_as_nobody_is_forgotten(self, say: Say) -> None:
        stages = say("plan", TOPOLOGIES / "scenic-flow.yaml", "--json").json
        presence = next(stage for stage in stages if stage["stage"] == "visitors>presence")
        assert presence["memory"] == "1h"
        assert presence["state"].endswith("per subscriber heard of within 1h")

    def test_the_schema_is_json(self, say: Say) -> None:
        assert "properties" in json.dumps(say("schema").json)


class TestFeatures:
    """The rows of one feature."""

    @pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson"])
    def test_it_writes_what_the_ending_says(self, say: Say, tmp_path: Path, ending: str) -> None:
        write_shop(tmp_path, 200)
        said = say("features", "shop.yaml", "pace", *SOURCE, "--out", f"pace.{ending}", "--json")
        assert said.code == 0
        assert said.json["rows"] > 200
        assert (tmp_path / f"pace.{ending}").stat().st_size > 0

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device is of Linux")
    def test_a_full_disk_is_told_of(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 50)
        (tmp_path / "pace.parquet").symlink_to("/dev/full")
        said = say("features", "shop.yaml", "pace", *SOURCE, "--out", "pace.parquet")
        assert said.code == 2
        assert "pace.parquet cannot be written: " in said.err
        assert "No space left on device" in said.err
        assert "instead" not in said.err

    def test_until_ends_it(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 200)
        for name, words in {"all": (), "half": ("--until", "2026-03-02T10:00:00Z")}.items():
            say("features", "shop.yaml", "all", *SOURCE, "--out", f"{name}.ndjson", *words)
        whole, half = ((tmp_path / f"{name}.ndjson").read_text().splitlines() for name in ("all", "half"))
        assert 0 < len(half) < len(whole)
        assert set(half[:-3]) <= set(whole)

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("pase", "--out", "x.csv"), "did you mean 'pace'?"),
            (("pace", "--out", "x.xlsx"), "neither .parquet, .csv nor .ndjson"),
            (("pace", "--out", "no/x.csv"), "there is no folder"),
        ],
    )
    def test_wrong_words_are_told_before_anything_is_read(
        self, say: Say, tmp_path: Path, words: tuple[str, ...], says: str
    ) -> None:
        write_shop(tmp_path, 10)
        said = say("features", "shop.yaml", *words, *SOURCE)
        assert said.code == 2
        assert says in said.err


class TestSimulate:
    """Labelled streams."""

    def test_it_prints_the_arguments_that_read_them(self, say: Say, tmp_path: Path) -> None:
        said = say("simulate", "fraud-caller", "--out", "sim", "--scale", "0.05")
        assert said.code == 0
        words = said.out.split()
        assert words[0::2] == ["--source"] * (len(words) // 2)
        assert (tmp_path / "sim" / "labels.ndjson").exists()
        again = say("simulate", "fraud-caller", "--out", "sim", "--scale", "0.05", "--json").json
        assert again["sources"] == words[1::2]

    @pytest.mark.parametrize("words", [("--rate", "5"), ("--topology", "x.yaml")])
    def test_how_to_send_is_not_said_of_files(self, say: Say, words: tuple[str, str]) -> None:
        said = say("simulate", "wangiri", "--out", "sim", *words)
        assert said.code == 2
        assert "say how to send with --to" in said.err

    def test_an_unknown_one_names_the_nearest(self, say: Say) -> None:
        said = say("simulate", "wangri", "--out", "sim")
        assert said.code == 2
        assert "did you mean 'wangiri'?" in said.err


class TestExplain:
    """An alert's numbers, computed again from the source."""

    def first(self, folder: Path, rule: str) -> str:
        """Give the id of an alert of a rule, its last ones so that much was read before."""
        return str(_log(folder).filter(rule=rule)["alert_id"][-1])

    @pytest.mark.parametrize("rule", ["busy", "pace", "large"])
    @pytest.mark.parametrize("words", [(), ("--from", "2026-03-02T10:00:00Z"), ("--until", "2026-03-02T10:40:00Z")])
    def test_the_source_gives_the_same_numbers(
        self, say: Say, tmp_path: Path, rule: str, words: tuple[str, ...]
    ) -> None:
        write_shop(tmp_path, 600)
        say(*RUN, *words)
        said = say("explain", self.first(tmp_path, rule), "--alerts", "alerts.ndjson")
        assert said.code == 0, said.err
        assert "computed again from the source: the same" in said.out

    def test_early_copies_are_no_transitions_of_their_own(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 600)
        say(*RUN, "--early")
        assert _log(tmp_path).filter(rule="large", early=True).height
        assert say("explain", self.first(tmp_path, "large"), "--alerts", "alerts.ndjson").code == 0

    @pytest.mark.parametrize(("words", "kinds"), [((), ["raised", "cleared"]), (("--keep-state",), ["raised"])])
    def test_windows_are_closed_at_the_end_if_the_run_did(
        self, say: Say, tmp_path: Path, words: tuple[str, ...], kinds: list[str]
    ) -> None:
        (tmp_path / "shop.yaml").write_text(TOPOLOGY)
        times = [BEGIN, BEGIN + 1, BEGIN + 2, BEGIN + 61_000, BEGIN + 75_000]
        (tmp_path / "payments.ndjson").write_bytes(
            b"".join(payment(number, at, "a") + b"\n" for number, at in enumerate(times))
        )
        say(*RUN, *words)
        assert _log(tmp_path)["kind"].to_list() == kinds
        said = say("explain", self.first(tmp_path, "busy"), "--alerts", "alerts.ndjson")
        assert said.code == 0, said.err

    def test_another_source_gives_others(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 600)
        say(*RUN)
        found = self.first(tmp_path, "large")
        text = (tmp_path / "payments.ndjson").read_text()
        (tmp_path / "payments.ndjson").write_text(text.replace('"500.', '"499.'))
        said = say("explain", found, "--alerts", "alerts.ndjson", "--json")
        assert said.code == 1
        assert said.json["recomputed_equal"] is False
        assert "other numbers" in say("explain", found, "--alerts", "alerts.ndjson").err

    def test_what_cannot_be_computed_again_is_shown_all_the_same(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 600)
        text = (tmp_path / "shop.yaml").read_text()
        (tmp_path / "shop.yaml").write_text(f"{text}sinks: {{room: {{file: room.ndjson, at_most: 1 per day}}}}\n")
        say(*RUN[: RUN.index("--sink")])
        notice = decode((tmp_path / "room.ndjson").read_bytes().splitlines()).filter(rule="tocsin.at_most")
        said = say("explain", str(notice["alert_id"][0]), "--alerts", "room.ndjson")
        assert said.code == 2
        assert "more than 1 per day: alerts are held back" in said.out
        assert "what a sink with at_most was told of other alerts" in said.err

    def test_an_unknown_alert_is_wrong_use(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 600)
        say(*RUN)
        assert say("explain", "nobody", "--alerts", "alerts.ndjson").code == 2

    def test_without_any_run_it_says_so(self, say: Say) -> None:
        said = say("explain", "x")
        assert said.code == 2
        assert "nothing was run from here" in said.err


class TestDeadLetters:
    """`dlq`: what was put aside, and what it would have changed."""

    @pytest.fixture
    def late(self, tmp_path: Path) -> None:
        """Write a record that comes too late and would have raised an alert."""
        write_shop(tmp_path, 10)
        lines = [payment(1, BEGIN, "a"), payment(2, BEGIN + 3_600_000, "a"), payment(3, BEGIN + 1000, "late", "600")]
        (tmp_path / "payments.ndjson").write_bytes(b"\n".join([*lines, b"{"]) + b"\n")

    @pytest.mark.usefixtures("late")
    def test_list_show_and_replay(self, say: Say) -> None:
        assert say(*RUN).code == 0
        listed = say("dlq", "list")
        assert listed.code == 1
        assert "1  payments: late, first at offset 2" in listed.out
        shown = say("dlq", "show", "payments", 2)
        assert "3599000 ms behind" in shown.out
        assert '"card": "late"' in shown.out
        replayed = say("dlq", "replay", "payments", "--json")
        assert replayed.code == 1
        assert replayed.json["taken"] == 2
        assert [row["level"] for row in replayed.json["more"]] == ["red"]
        assert replayed.json["less"] == []
        assert "transitions more 1, less 0" in say("dlq", "replay", "payments").out

    @pytest.mark.usefixtures("late")
    def test_wrong_words_are_told(self, say: Say) -> None:
        say(*RUN)
        assert say("dlq", "show", "payments", 7).code == 2
        said = say("dlq", "replay", "payment")
        assert said.code == 2
        assert "has no stream 'payment', only payments" in said.err

    def test_a_clean_run_has_none(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 10)
        (tmp_path / "payments.ndjson").write_bytes(payment(1, BEGIN, "a") + b"\n")
        say(*RUN)
        assert say("dlq", "list").code == 0


class TestClickHouse:
    """The default store, asked in a process of its own as a user does."""

    def test_alerts_explain_and_sql_find_the_last_run(self, tmp_path: Path) -> None:
        write_shop(tmp_path, 300)
        assert tocsin(tmp_path, "run", "shop.yaml", *SOURCE, "--json").returncode == 0
        listed = tocsin(tmp_path, "alerts", "--rule", "large", "--json")
        assert listed.returncode == 0, listed.stderr
        alerts = [json.loads(line) for line in listed.stdout.splitlines()]
        assert {alert["rule"] for alert in alerts} == {"large"}
        explained = tocsin(tmp_path, "explain", alerts[0]["alert_id"])
        assert explained.returncode == 0, explained.stderr
        assert "the same 1 transitions, the same numbers" in explained.stdout
        table = tocsin(tmp_path, "alerts", "--open")
        assert table.returncode == 0, table.stderr
        assert "card=c" in table.stdout
        wrong = tocsin(tmp_path, "alerts", "--sql", "select nothing from nowhere")
        assert wrong.returncode == 2
        assert "Traceback" not in wrong.stderr


def _lines(folder: Path) -> list[str]:
    return (folder / "payments.ndjson").read_text().splitlines()


def _log(folder: Path) -> pl.DataFrame:
    return decode((folder / "alerts.ndjson").read_bytes().splitlines())
