"""The embedded ClickHouse: the real engine, told apart by (alert_id, sequence)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from transition_rows import BASE, bring, frame, log, names, transition

from sinks.clickhouse_ddl import Dialect, Retention, columns, statements
from sinks.clickhouse_embedded import EmbeddedClickHouseSink
from sinks.clickhouse_read import ClickHouseReader, Filter
from sinks.clickhouse_session import Engine
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.model.alerts import CLOSED_AT_BIRTH, TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]


def deliver(folder: Path, *batches: pl.DataFrame, **options: object) -> None:
    bring(EmbeddedClickHouseSink(folder, **options), *batches)  # type: ignore[arg-type]  # the options of the tests below


def state(folder: Path) -> tuple[list[str], pl.DataFrame]:
    """Give the current alerts and the counts."""
    with ClickHouseReader(folder) as reader:
        return sorted(names(reader.alerts())), reader.counts()


def in_another_process(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestWhatIsShown:
    """The truth, as it is now."""

    def test_an_alert_comes_back_exactly(self, tmp_path: Path) -> None:
        awkward = transition("a", 1, says="'\\\n\tü", evidence=[{"id": None, "position": None}], values='{"x":12.30}')
        batch = frame(awkward, transition("b", 1, evidence=[]))
        deliver(tmp_path, batch.with_columns(pl.lit(1).alias("__time")))
        with ClickHouseReader(tmp_path) as reader:
            found = reader.alerts()
            assert found["raised_at"].to_list() == [BASE + 1000] * 2
            assert_frame_equal(found.select(list(TRANSITIONS)), batch)
            assert_frame_equal(reader.history("a"), frame(awkward))

    def test_the_last_transition_counts_and_open_alerts_come_first(self, tmp_path: Path) -> None:
        blue = transition("c", 2, "blue")
        deliver(tmp_path, log("a1", "b1", "b2-", "c1"), frame(blue, transition("d", 1, reason=CLOSED_AT_BIRTH)))
        with ClickHouseReader(tmp_path) as reader:
            found = reader.alerts()
            assert found["alert_id"].to_list() == ["a", "c", "d", "b"]
            assert found["level"].to_list() == ["red", "blue", "red", "clear"]
            assert found["open"].to_list() == [True, True, False, False]
            assert names(reader.alerts(open_only=True)) == ["a1", "c2"]
            assert names(reader.alerts(most=1)) == ["a1"]
            assert names(reader.history("b")) == ["b1", "b2-"]

    def test_the_truth_replaces_its_early_copy_whichever_comes_first(self, tmp_path: Path) -> None:
        deliver(tmp_path, log("a1*"), log("a1", "b1"), log("b1*", "c1*"))
        alerts, counts = state(tmp_path)
        assert alerts == ["a1", "b1", "c1*"]
        assert counts["transitions"].sum() == 2
        with ClickHouseReader(tmp_path) as reader:
            assert names(reader.history("a")) == ["a1"]
            assert sorted(names(reader.alerts())) == alerts
            reader._asked.run("OPTIMIZE TABLE tocsin.alert_states FINAL")
            assert sorted(names(reader.alerts())) == alerts

    def test_counts_are_per_rule_kind_level_and_minute_of_event_time(self, tmp_path: Path) -> None:
        late = transition("z", 1, "blue", time=BASE + 61_000, rule="other")
        deliver(tmp_path, log("a1", "b1", "a2-"), frame(late))
        with ClickHouseReader(tmp_path) as reader:
            assert reader.counts().rows() == [
                ("card-velocity", "cleared", "clear", BASE, 1),
                ("card-velocity", "raised", "red", BASE, 2),
                ("other", "raised", "blue", BASE + 60_000, 1),
            ]
            assert reader.counts(Filter(rule="other"))["transitions"].to_list() == [1]
            assert reader.counts(Filter(until=BASE + 60_000))["transitions"].to_list() == [1, 2]
            assert names(reader.alerts(Filter(since=BASE + 60_000))) == ["z1"]
            assert reader.query("SELECT count() AS n FROM transitions")["n"].to_list() == [4]

    def test_time_to_live_counts_from_the_recording_not_from_event_time(self, tmp_path: Path) -> None:
        deliver(tmp_path, log("a1"))
        deliver(tmp_path, log("b1"), clock=lambda: BASE)
        with ClickHouseReader(tmp_path) as reader:
            for table in ("transitions", "alert_states", "rule_minute_states"):
                reader._asked.run(f"OPTIMIZE TABLE tocsin.{table} FINAL")
            assert names(reader.query("SELECT * REPLACE (CAST(level, 'String') AS level) FROM transitions")) == ["a1"]
            assert names(reader.alerts()) == ["a1"]


class TestSecondDeliveries:
    """After a crash batches come again, whole or cut differently: nothing changes."""

    @pytest.mark.parametrize(
        "again",
        [
            [["a1", "b1", "a2-"], ["c1", "b2"]],
            [["a1"], ["b1", "a2-", "c1"], ["b2"]],
            [["a2-", "c1", "b2"]],
        ],
        ids=["the same", "cut differently", "the tail in one"],
    )
    def test_current_state_and_counts_stay(self, again: Sequence[Sequence[str]], tmp_path: Path) -> None:
        deliver(tmp_path, log("a1", "b1", "a2-"), log("c1", "b2"))
        alerts, counts = state(tmp_path)
        assert alerts == ["a2-", "b2", "c1"]
        deliver(tmp_path, *(log(*batch) for batch in again))
        again_alerts, again_counts = state(tmp_path)
        assert again_alerts == alerts
        assert_frame_equal(again_counts, counts)

    def test_what_was_delivered_survives_sigkill(self, tmp_path: Path) -> None:
        program = (
            "import sys; from sinks.opening import open_sink; from transition_rows import log\n"
            "sink = open_sink('clickhouse:' + sys.argv[1]); sink.open()\n"
            "for n in range(1, 1000):\n    sink.deliver(log(f'a{n}')); print(n, flush=True)"
        )
        with in_another_process(program, tmp_path) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            said = int((first + child.stdout.read()).split("\n")[-2])
        with ClickHouseReader(tmp_path) as reader:
            assert [int(name[1:]) for name in names(reader.history("a"))][:said] == list(range(1, said + 1))


class TestWhatIsRefused:
    """Each limit of the engine is a clear error."""

    def test_reading_while_another_process_has_the_folder_names_it(self, tmp_path: Path) -> None:
        program = (
            "import sys; from sinks.clickhouse_session import *; e = Engine(sys.argv[1], create=True); print(); input()"
        )
        with in_another_process(program, tmp_path) as other:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(SinkError, match=f"is open in process {other.pid}: ask when that has ended"):
                ClickHouseReader(tmp_path)
            other.kill()

    def test_reading_a_folder_that_is_not_there_makes_none(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="there is no ClickHouse folder"):
            ClickHouseReader(tmp_path / "none")
        assert not list(tmp_path.iterdir())

    def test_two_folders_in_one_process_are_refused_one_may_be_opened_twice(self, tmp_path: Path) -> None:
        with Engine(tmp_path / "a", create=True) as first, Engine(tmp_path / "a") as second:
            with pytest.raises(SinkError, match="one process can have one ClickHouse folder open"):
                Engine(tmp_path / "b", create=True)
            first.close()
            assert second.frame("SELECT 1 AS one")["one"].to_list() == [1]
        Engine(tmp_path / "b", create=True).close()

    def test_wrong_sql_says_what_the_engine_says(self, tmp_path: Path) -> None:
        with Engine(tmp_path, create=True) as engine:
            with pytest.raises(SinkError, match="Unknown expression identifier `nothing`") as error:
                engine.frame("SELECT nothing")
            assert not isinstance(error.value, SinkUnavailable)
            with pytest.raises(SinkUnavailable):
                engine.run("SELECT throwIf(1, 'x', 243::Int16) SETTINGS allow_custom_error_code_in_throwif = 1")


class TestAFullDisk:
    """A full disk is tried again, and nothing is broken by it."""

    def test_a_batch_that_does_not_fit_is_tried_again_and_a_later_one_works(self, tmp_path: Path) -> None:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", tmp_path], check=False)  # noqa: S607
        if mounted.returncode:
            pytest.skip("only root may mount a small disk")
        sink = EmbeddedClickHouseSink(tmp_path)
        try:
            sink.open()
            with pytest.raises(SinkUnavailable, match="not enough space"):
                sink.deliver(frame(transition("a", 1, says=os.urandom(9 << 20).hex())))
            sink.deliver(log("b1"))
            with ClickHouseReader(tmp_path) as reader:
                assert names(reader.alerts()) == ["b1"]
        finally:
            sink.close()
            subprocess.run(["umount", "-l", tmp_path], check=True)  # noqa: S607

    def test_a_folder_that_could_not_be_made_is_free_after_the_next_try(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise SinkUnavailable("No space left on device")

        sink = EmbeddedClickHouseSink(tmp_path / "one")
        with monkeypatch.context() as disk:
            disk.setattr(Engine, "run", full)
            with pytest.raises(SinkUnavailable, match="No space left"):
                sink.open()
        bring(sink, log("a1"))
        deliver(tmp_path / "two", log("a1"))  # one process can have one folder open


class TestTables:
    """One place says what a version of ClickHouse gets."""

    def test_the_log_has_every_column_of_a_transition(self) -> None:
        assert list(columns(Dialect())) == [*TRANSITIONS, "recorded_at"]

    def test_an_old_server_gets_nothing_that_it_does_not_know(self) -> None:
        text = "\n".join(statements((18, 16)))
        for word in ("DateTime64", "TTL", "CODEC", "LowCardinality", "Bool", "now64", "SimpleAggregate", "fsync"):
            assert word not in text
        assert "uniqExactState((alert_id, sequence))" in text

    def test_days_are_chosen(self) -> None:
        assert "INTERVAL 7 DAY" in "".join(statements(retention=Retention(transitions=7)))
