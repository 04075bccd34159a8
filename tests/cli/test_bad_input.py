"""Bad input: a clear sentence, an exit code, and nothing lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from shop import BEGIN, RUN, TOPOLOGY, payment, payments, start, tocsin, write_shop

from operators.alerting.canonical import canonical
from sinks import file
from sinks.ndjson import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl
    from conftest import Said

    Say = Callable[..., Said]


MOUNT, UMOUNT = (shutil.which(name) or "false" for name in ("mount", "umount"))


def shop(folder: Path, lines: list[bytes], *, end: bytes = b"\n") -> None:
    """Write the shop with these records."""
    (folder / "shop.yaml").write_text(TOPOLOGY)
    (folder / "payments.ndjson").write_bytes(b"\n".join(lines) + end)


def accounts(said: Said, stream: str = "payments", stage: str = "all") -> tuple[int, dict[str, int]]:
    """Give the records read, and those put aside or dropped by reason."""
    numbers: dict[str, Any] = said.json
    found = {item["reason"]: item["records"] for item in numbers["put_aside"] if item["stream"] == stream}
    found |= {item["count"]: item["rows"] for item in numbers["stages"] if item["stage"] == stage}
    return numbers["records"][stream], found


def counted(say: Say, folder: Path) -> int:
    """Give how many rows the tumbling window without `where` counts."""
    source = ("--source", "payments=ndjson:payments.ndjson")
    assert say("features", "shop.yaml", "all", *source, "--out", "all.ndjson").code == 0
    return sum(json.loads(line)["payments"] for line in (folder / "all.ndjson").read_text().splitlines())


class TestAccounting:
    """Records read = rows counted + late + dead letters + duplicates + null keys."""

    @pytest.mark.parametrize("seed", [1, 2])
    def test_every_record_is_somewhere(self, say: Say, tmp_path: Path, seed: int) -> None:
        write_shop(tmp_path, seed=seed)
        said = say(*RUN, "--json")
        records, elsewhere = accounts(said)
        assert set(elsewhere) == {"late", "check: positive", "wrong-type", "duplicates", "null_keys"}
        assert records == counted(say, tmp_path) + sum(elsewhere.values())
        assert records == (tmp_path / "payments.ndjson").read_bytes().count(b"\n")

    def test_blank_lines_are_no_records(self, say: Say, tmp_path: Path) -> None:
        shop(tmp_path, [b"", payment(1, BEGIN, "c"), b"", b"", payment(2, BEGIN, "c"), b""])
        assert accounts(say(*RUN, "--json")) == (2, {})


class TestTheTopology:
    """What is wrong with the words."""

    @pytest.mark.parametrize(
        ("wrong", "right", "says"),
        [
            ("lateness: 10s", "latenes: 10s", "has no word 'latenes'; expected one of field, lateness,"),
            ("lateness: 10s", "lateness: 10 km", "shop.yaml:7:33: '10 km' is no duration; expected"),
            ("sum(amount)", "sum(amuont)", "did you mean 'amount'"),
        ],
    )
    def test_a_typo_or_an_impossible_unit_names_line_and_column(
        self, say: Say, tmp_path: Path, wrong: str, right: str, says: str
    ) -> None:
        write_shop(tmp_path, 10)
        (tmp_path / "shop.yaml").write_text(TOPOLOGY.replace(wrong, right))
        said = say(*RUN)
        assert said.code == 2
        assert says in said.err
        assert not (tmp_path / "alerts.ndjson").exists()
        assert say("check", "shop.yaml").code == 1

    def test_a_missing_file(self, say: Say) -> None:
        said = say("run", "shop.yaml")
        assert said.code == 2
        assert "shop.yaml" in said.err


class TestSources:
    """What is wrong with a source."""

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("payments=ndjson:payment.ndjson", "did you mean payments.ndjson?"),
            ("payments=ndjson:nowhere/payments.ndjson", "there is no folder nowhere"),
            ("payments=ndjsn:payments.ndjson", "did you mean 'ndjson'?"),
            ("payment=ndjson:payments.ndjson", "did you mean 'payments'?"),
            ("payments", "'payments' is not NAME=VALUE"),
            ("payments=parquet:payments.ndjson", "payments.ndjson cannot be read as parquet"),
            ("payments=arrow:payments.ndjson", "payments.ndjson cannot be read as arrow"),
            ("payments=avro:payments.ndjson", "payments.ndjson cannot be read as avro"),
        ],
    )
    def test_the_word_that_is_wrong_is_named(self, say: Say, tmp_path: Path, source: str, says: str) -> None:
        write_shop(tmp_path, 10)
        said = say("run", "shop.yaml", "--source", source, "--sink", "ndjson:alerts.ndjson")
        assert said.code == 2
        assert says in said.err

    def test_one_that_is_needed_is_missing(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 10)
        said = say("run", "shop.yaml", "--sink", "ndjson:alerts.ndjson")
        assert said.code == 2
        assert "no source for payments: add --source payments=" in said.err

    def test_an_empty_file_is_a_quiet_run(self, say: Say, tmp_path: Path) -> None:
        shop(tmp_path, [], end=b"")
        said = say(*RUN, "--json")
        assert (said.code, accounts(said)) == (0, (0, {}))

    def test_one_record_of_2099_that_makes_all_others_late_is_named(self, say: Say, tmp_path: Path) -> None:
        far = 4_070_908_800_000
        shop(tmp_path, [payment(n, far if n == 5 else BEGIN + n * 1000, "c") for n in range(20)])
        said = say(*RUN)
        assert said.code == 0
        assert "the record at offset 5 is of 2099-01-01 00:00:00 UTC" in said.err
        assert "14 of the 14 records behind it are late" in said.err

    def test_a_damaged_parquet_says_so(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 10)
        (tmp_path / "p.parquet").write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")
        said = say("run", "shop.yaml", "--source", "payments=parquet:p.parquet", "--sink", "ndjson:alerts.ndjson")
        assert said.code == 2
        assert "p.parquet cannot be read as parquet" in said.err


GOOD = [payment(n, BEGIN + n * 1000, "c1") for n in range(20)]


class TestRecords:
    """One bad record is a dead letter with its reason and raw bytes, and its neighbours count."""

    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            (b'{"payment_id": "x", "at": 1772442000000, "card": "\xff\xfe", "amount": 1}', "invalid-utf8"),
            (b'{"payment_id": "x", "at": 1772442000000, "card": "c"', "bad-json"),
            (payment(99, BEGIN, "c", {"value": 20, "unit": "CNY"}), "wrong-type"),
            (payment(99, BEGIN, "c", [1, 2]), "wrong-type"),
            (payment(99, BEGIN, "c", float("nan")), "not-finite"),
            (b'{"payment_id": "x", "at": 1772442000000, "card": "c", "amount": 1e999}', "not-finite"),
            (payment(99, BEGIN, "c", "NaN"), "not-finite"),
            (payment(99, BEGIN, "c", 20.001), "does-not-fit"),
            (payment(99, "0001-01-01T00:00:00Z", "c"), "time-out-of-range"),
            (payment(99, 9_223_372_036_854_775_807, "c"), "time-out-of-range"),
            (payment(99, "292277-01-01T00:00:00Z", "c"), "time-out-of-range"),
            (payment(99, BEGIN, "x" * (50 << 20)), "too-long"),
        ],
        ids=[
            "invalid UTF-8",
            "cut off",
            "an object for a number",
            "a list for a number",
            "NaN",
            "infinity",
            "NaN as text",
            "too many digits",
            "the year 1",
            "the greatest int64",
            "the year 292277",
            "50 MB",
        ],
    )
    def test_it_is_put_aside_and_nothing_else_is(self, say: Say, tmp_path: Path, bad: bytes, reason: str) -> None:
        shop(tmp_path, [*GOOD[:10], bad, *GOOD[10:]])
        said = say(*RUN, "--json")
        assert said.code == 0, said.err
        assert accounts(said) == (21, {reason: 1})
        assert counted(say, tmp_path) == 20
        letters = say("dlq", "list", "--json")
        assert letters.code == 1
        assert [(row["reason"], row["first_offset"]) for row in letters.json] == [(reason, 10)]
        raw = say("dlq", "show", "payments", 10, "--json").json["raw"]
        assert raw.encode("utf-8", "surrogateescape")[:40] == bad[:40].decode("utf-8", "backslashreplace").encode()[:40]

    def test_a_null_key_is_counted(self, say: Say, tmp_path: Path) -> None:
        shop(tmp_path, [*GOOD, payment(99, BEGIN + 20_000, None)])
        assert accounts(say(*RUN, "--json")) == (21, {"null_keys": 1})

    def test_a_last_line_without_its_newline_counts(self, say: Say, tmp_path: Path) -> None:
        shop(tmp_path, GOOD, end=b"")
        assert accounts(say(*RUN, "--json")) == (20, {})

    def test_a_last_line_that_was_cut_says_so(self, say: Say, tmp_path: Path) -> None:
        shop(tmp_path, [*GOOD, payment(99, BEGIN, "c")[:-9]], end=b"")
        records, aside = accounts(say(*RUN, "--json"))
        assert (records, sum(aside.values())) == (21, 1)
        assert "truncated" in next(iter(aside))

    def test_nearly_everything_bad_stops_the_run_and_says_how_to_look(self, say: Say, tmp_path: Path) -> None:
        shop(tmp_path, [payment(n, BEGIN, "c", amounts=1, amount="much") for n in range(3000)])
        said = say(*RUN)
        assert said.code == 2
        assert "1000 of 1000 records in a row are dead letters, most of them wrong-type (amount)" in said.err
        command = said.err.split("`")[-2].split()[1:]
        assert command[:2] == ["dlq", "show"]
        assert say(*command).code == 0


class TestTheStateFolder:
    """What is wrong with the state."""

    def test_of_another_topology(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 100)
        assert say(*RUN, "--keep-state").code == 0
        (tmp_path / "shop.yaml").write_text(TOPOLOGY.replace("payments >= 3}", "payments >= 4}"))
        said = say(*RUN, "--keep-state")
        assert said.code == 2
        assert "belongs to the topology 'shop'" in said.err
        assert "use another folder" in said.err

    def test_in_use_by_another_process(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 100)
        from streams.local.store import Store  # noqa: PLC0415

        with Store.open(tmp_path / ".tocsin/shop/commits", "other"):
            said = say(*RUN)
        assert said.code == 2
        assert f"is in use by process {os.getpid()}" in said.err

    def test_that_cannot_be_written(self, say: Say, tmp_path: Path) -> None:
        write_shop(tmp_path, 100)
        (tmp_path / "file").touch()
        said = say(*RUN, "--state", "file")
        assert said.code == 2
        assert "file" in said.err

    def test_on_a_full_disk(self, tmp_path: Path) -> None:
        write_shop(tmp_path, 6_000)
        slowly = [*RUN, "--batch-rows", 500, "--commit-seconds", 0]
        command = [sys.executable, "-m", "tocsin.cli", *map(str, slowly)]
        with small_disk(tmp_path / ".tocsin") as room:
            small = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, preexec_fn=room.limit
            )
            assert small.returncode == 2, small.stderr
            assert "Traceback" not in small.stderr
            assert f"failed: {room.says}" in small.stderr
            room.widen()
            last = tocsin(tmp_path, *slowly)
            assert last.returncode == 0, last.stderr
        disturbed = logged(tmp_path)
        (tmp_path / "alerts.ndjson").unlink()
        assert tocsin(tmp_path, *RUN).returncode == 0
        assert disturbed.equals(logged(tmp_path))


@dataclass(frozen=True)
class Room:
    """A folder with little room: how a process is held to it, what a full one says, how it gets more."""

    limit: Callable[[], None] | None
    says: str
    widen: Callable[[], object]


@contextmanager
def small_disk(folder: Path) -> Iterator[Room]:
    """Mount a small disk; who may not mount gets a limit on the size of files, which fails in the same places."""
    folder.mkdir()
    mounted = (
        subprocess.run(
            [MOUNT, "-t", "tmpfs", "-o", "size=100k", "tmpfs", folder], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not mounted:
        yield Room(little_room, "File too large", lambda: None)
        return
    try:
        yield Room(
            None,
            "No space left on device",
            lambda: subprocess.run([MOUNT, "-o", "remount,size=20m", folder], check=True),
        )
    finally:
        subprocess.run([UMOUNT, folder], check=True)


def little_room() -> None:
    """Let no file grow beyond what a few commits need."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


def logged(folder: Path) -> pl.DataFrame:
    """Give what makes two runs equal."""
    return canonical(decode((folder / "alerts.ndjson").read_bytes().splitlines()))


class TestSinks:
    """What is wrong with a sink."""

    @pytest.mark.parametrize(
        ("sink", "says"),
        [
            ("ndjsn:alerts", "did you mean 'ndjson'?"),
            ("ndjson:", "needs a target"),
            ("webhook:http://localhost", "not there yet"),
            ("ndjson:nowhere/alerts.ndjson", "No such file or directory"),
            ("ndjson:shop.yaml", "holds lines that are no transitions"),
        ],
    )
    def test_it_is_said(self, say: Say, tmp_path: Path, sink: str, says: str) -> None:
        write_shop(tmp_path, 10)
        said = say("run", "shop.yaml", "--source", "payments=ndjson:payments.ndjson", "--sink", sink)
        assert said.code == 2
        assert says in said.err

    def test_one_that_stays_down_is_told_with_exit_code_1(
        self, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_shop(tmp_path, 100)

        def full(sink: file.FileSink, content: bytes) -> None:
            del sink, content
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(file.FileSink, "_append", full)
            patched.setattr("streams.local.runner.FLUSH_SECONDS", 0.1)
            said = say(*RUN)
        assert said.code == 1
        assert "could not be delivered yet (ndjson:alerts.ndjson: the file alerts.ndjson: No space left" in said.err
        assert say(*RUN).code == 0
        assert (tmp_path / "alerts.ndjson").stat().st_size > 0


class TestSignals:
    """Ctrl-C and kill: a commit, a sentence, 128 + the signal."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_commits_and_the_same_command_goes_on(self, tmp_path: Path, number: signal.Signals) -> None:
        write_shop(tmp_path, 3_000)
        slowly = [*RUN, "--batch-rows", 10, "--commit-seconds", 0]
        with start(tmp_path, *slowly) as process:
            manifest = tmp_path / ".tocsin/shop/commits/manifest.json"
            while process.poll() is None and not manifest.exists():
                pass
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number, err
        assert "stopped; the same command goes on from here" in err
        assert "Traceback" not in err
        assert manifest.exists()


class TestDefects:
    """What we did not think of."""

    def test_one_line_and_a_hint(self, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_shop(tmp_path, 10)

        def fall(*_: object) -> None:
            raise KeyError("what is this?\nmore")

        monkeypatch.setattr("streams.local.running.load_tables", fall)
        said = say(*RUN)
        assert said.code == 70
        assert "this is a defect of tocsin, please report it: KeyError: 'what is this?" in said.err
        assert "TOCSIN_DEBUG=1 shows where" in said.err
        assert said.err.count("\n") == 1


class TestMessyInput:
    """Nothing that a generator makes up ends in a defect."""

    def test_records_of_every_shape(self, say: Say, tmp_path: Path) -> None:
        lines = payments(200, 3)
        odd = [
            b"null",
            b"[]",
            b"1",
            b'"x"',
            b"{}",
            b"{\x00}",
            b"\xef\xbb\xbf{}",
            b"{" * 500,
            b'{"at": {}}',
            b'{"at": []}',
        ]
        mixed = [line for n, good in enumerate(lines) for line in (good, *odd[n % 40 : n % 40 + 1])]
        shop(tmp_path, mixed)
        said = say(*RUN, "--json")
        assert said.code == 0, said.err
        records, elsewhere = accounts(said)
        assert records == len(mixed) == counted(say, tmp_path) + sum(elsewhere.values())


class TestAFullDiskUnderTheOutput:
    """What is printed may find no room."""

    def test_is_told_without_a_traceback(self, tmp_path: Path) -> None:
        write_shop(tmp_path, 10)
        command = [sys.executable, "-m", "tocsin.cli", "check", "shop.yaml"]
        with Path("/dev/full").open("w") as full:
            ended = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
        assert ended.returncode == 2
        assert ended.stderr == "tocsin: what is printed cannot be written: No space left on device\n"
