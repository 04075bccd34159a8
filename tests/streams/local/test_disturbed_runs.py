"""What a run refuses, and what it leaves when something goes wrong."""

from __future__ import annotations

import resource
import shutil
from typing import TYPE_CHECKING

import pytest
from local_runs import BEGIN, Countdown, House, busy_hour

from operators.alerting.canonical import canonical
from sinks import file
from streams.local import store
from streams.local.again import earlier_run
from streams.local.note import NAME as NOTE
from streams.local.note import read_note
from streams.local.running import carry_out
from streams.pseudonyms import KEY
from tocsin.errors import BrakeError, SinkError, SinkUnavailable, StateError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give a busy hour."""
    return busy_hour(tmp_path)


@pytest.fixture
def stopped(house: House) -> House:
    """Give one whose run was stopped on its way."""
    assert house.run(batch_rows=5, stop=Countdown(20)).stopped
    return house


class TestAStateOfAnotherRun:
    """What would give other alerts than an undisturbed run is refused, and says what to do."""

    def test_another_source(self, stopped: House) -> None:
        other = stopped.folder / "others.ndjson"
        shutil.copy(stopped.folder / "entries.ndjson", other)
        order = stopped.order()
        order.sources = {**order.sources, "entries": f"ndjson:{other}"}
        with pytest.raises(StateError, match=r"made from entries=ndjson:.*entries\.ndjson, not from .*others\.ndjson"):
            carry_out(order)

    def test_what_is_refused_leaves_the_note_of_the_run_before(self, stopped: House) -> None:
        note = (stopped.folder / "state" / NOTE).read_bytes()
        other = stopped.folder / "others.ndjson"
        shutil.copy(stopped.folder / "entries.ndjson", other)
        order = stopped.order()
        order.sources = {**order.sources, "entries": f"ndjson:{other}"}
        with pytest.raises(StateError, match="made from entries="):
            carry_out(order)
        assert (stopped.folder / "state" / NOTE).read_bytes() == note

    def test_another_pseudonym_key(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        house.topology = house.topology.replace("door: string, people", "door: person(door), people")
        house.topology = house.topology.replace("coalesce(crowded(door).most, 10)", "10")
        monkeypatch.setenv(KEY, "the key of then, long enough")
        assert house.run(batch_rows=5, stop=Countdown(20)).stopped
        monkeypatch.setenv(KEY, "the key of now, as long as it")
        with pytest.raises(StateError, match=r"made with another key.*Use the key of then, or another --state folder"):
            house.run()
        with pytest.raises(StateError, match="made with another key"):
            earlier_run(house.folder / "state")
        (house.folder / "state" / NOTE).unlink()
        with pytest.raises(StateError, match="made with another key"):
            house.run()
        monkeypatch.delenv(KEY)
        with pytest.raises(StateError, match="TOCSIN_PSEUDONYM_KEY is not set"):
            house.run()
        monkeypatch.setenv(KEY, "the key of then, long enough")
        assert not house.run().stopped
        assert "the key" not in (house.folder / "state" / "run.json").read_text()

    def test_another_number_of_buckets(self, stopped: House) -> None:
        order = stopped.order()
        order.buckets = 4
        with pytest.raises(StateError, match=r"keys in 1 buckets, not in 4: run with --buckets 1"):
            carry_out(order)

    @pytest.mark.parametrize(
        ("how", "says"),
        [
            ({"emit_from": BEGIN}, "made without --from"),
            ({"keep": True}, "made without --keep-state"),
            ({"until": BEGIN}, r"is at 2026-03-02 09:\d\d:\d\d.* already, after --until"),
        ],
    )
    def test_other_options(self, stopped: House, how: dict[str, object], says: str) -> None:
        with pytest.raises(StateError, match=says):
            stopped.run(**how)

    def test_another_topology(self, stopped: House) -> None:
        stopped.topology = stopped.topology.replace("rings >= 3", "rings >= 4")
        with pytest.raises(
            StateError, match=r"belongs to the topology 'doors' \(\w+\) as it was then, not as it is now \(\w+\)"
        ):
            stopped.run()

    def test_another_hash_of_keys(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        order = house.order(batch_rows=5, stop=Countdown(20))
        order.buckets = 3
        monkeypatch.setattr("streams.local.snapshot.HASH_VERSION", "polars-1.0")
        carry_out(order)
        monkeypatch.undo()
        with pytest.raises(StateError, match=r"spreads keys by polars-1.0, this program by polars-"):
            carry_out(order)

    def test_a_changed_table_is_told_and_left_as_it_was(self, stopped: House) -> None:
        before = [row for row in stopped.told() if row[0] == "crowd"]
        stopped.write("crowded", [{"door": "north", "most": 1000}])
        warnings: list[str] = []
        stopped.run(warn=warnings.append)
        assert ["the table crowded has changed since this run began" in text for text in warnings] == [True]
        assert len([row for row in stopped.told() if row[0] == "crowd"]) > len(before)

    def test_a_sink_that_is_new_is_told(self, stopped: House) -> None:
        warnings: list[str] = []
        order = stopped.order(warn=warnings.append)
        order.sinks = [*order.sinks, f"ndjson:{stopped.folder / 'second'}"]
        carry_out(order)
        assert ["is new to this run" in text for text in warnings] == [True]

    def test_two_processes_at_once(self, house: House) -> None:
        def meanwhile() -> bool:
            with pytest.raises(StateError, match=r"state/commits is in use by process \d+"):
                house.run()
            return True

        assert house.run(stop=meanwhile).stopped


class TestTheBrake:
    """Nearly everything is bad."""

    def test_it_ends_the_run_with_its_letters_stored(self, house: House) -> None:
        house.write("entries", [{"people": "x"}] * 3000)
        with pytest.raises(BrakeError, match=r"'entries': 1000 of 1000 records in a row are dead letters"):
            house.run(batch_rows=100)
        assert (house.folder / "state" / "dead" / "000000.ndjson").read_bytes().count(b"\n") == 1000

    def test_it_goes_on_from_a_commit_with_what_it_had_counted(self, house: House) -> None:
        house.add("entries", [{"people": "x"}] * 4)
        assert house.run(batch_rows=1, stop=Countdown(127)).stopped
        assert house.run(batch_rows=1).tally.aside["entries", "missing"] == 4


class TestDeadLetters:
    """What was put aside is that of the last run."""

    def test_a_run_that_goes_on_adds_to_them(self, house: House) -> None:
        house.add("entries", [{"people": "x"}] * 2)
        house.run(batch_rows=1, stop=Countdown(127))
        house.run()
        assert (house.folder / "state" / "dead" / "000000.ndjson").read_bytes().count(b"\n") == 2

    def test_a_run_that_begins_anew_has_its_own_and_those_before_are_kept_once(self, house: House) -> None:
        good = (house.folder / "entries.ndjson").read_text()
        house.add("entries", [{"people": "x"}] * 2)
        house.run()
        (house.folder / "entries.ndjson").write_text(good)
        house.run()
        assert not (house.folder / "state" / "dead").exists()
        assert (house.folder / "state" / "dead.before" / "000000.ndjson").exists()


class TestErrors:
    """Errors end a run; what is committed stays, and the same command ends as if nothing had been."""

    def test_a_full_disk_while_committing(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        house.run("calm")
        house.run(batch_rows=5, stop=Countdown(5))
        with monkeypatch.context() as patched:
            patched.setattr(store.manifests, "put_in_force", full_disk)
            with pytest.raises(StateError, match=r"failed: No space left on device; .* stays valid; make room"):
                house.run(batch_rows=5, commit_seconds=0.0)
        house.run()
        assert canonical(house.log()).equals(canonical(house.log("calm")))

    def test_a_note_that_cannot_be_written_leaves_the_one_before(self, stopped: House) -> None:
        order, none = stopped.order(), resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, none[1]))
        try:
            with pytest.raises(StateError, match=r"run\.json cannot be written"):
                carry_out(order)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, none)
        assert read_note(stopped.folder / "state").reached is not None
        assert not stopped.run().stopped

    def test_a_sink_that_is_down_for_a_while_gets_everything(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house.run("calm")
        down, append = Countdown(4), file.FileSink._append

        def sometimes(sink: file.FileSink, content: bytes) -> None:
            if not down():
                raise OSError(28, "No space left on device")
            append(sink, content)

        monkeypatch.setattr(file.FileSink, "_append", sometimes)
        monkeypatch.setattr("sinks.backoff.Backoff.delay", lambda _, __: 0.01)
        assert house.run(batch_rows=5).flushed
        assert canonical(house.log()).equals(canonical(house.log("calm")))

    def test_a_sink_that_stays_down_leaves_its_alerts_in_the_state(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house.run("calm")
        with monkeypatch.context() as patched:
            patched.setattr(file.FileSink, "deliver", unavailable)
            patched.setattr("streams.local.runner.FLUSH_SECONDS", 0.2)
            summary = house.run()
        assert not summary.flushed
        assert summary.troubles == (f"ndjson:{house.folder / 'state.alerts'}: the shelf is full",)
        assert house.run().flushed
        assert canonical(house.log()).equals(canonical(house.log("calm")))

    def test_a_full_outbox_waits_for_its_sink_and_reads_no_further(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file.FileSink, "deliver", unavailable)
        monkeypatch.setattr("streams.local.publishing.OUTBOX_MOST", 0)
        monkeypatch.setattr("streams.local.runner.HURRY_SECONDS", 0.2)
        summary = house.run(batch_rows=5, commit_seconds=0.0, stop=Countdown(60))
        assert summary.stopped
        assert summary.records < 123

    def test_a_sink_that_refuses_for_good_ends_the_run(self, house: House) -> None:
        (house.folder / "state.alerts").write_text("something else\n")
        with pytest.raises(SinkError, match="holds lines that are no transitions"):
            house.run()

    def test_one_sink_named_twice_is_refused(self, house: House) -> None:
        order = house.order()
        order.sinks = [*order.sinks, *order.sinks]
        with pytest.raises(SinkError, match="one sink is given twice"):
            carry_out(order)


def full_disk(folder: Path) -> None:
    del folder
    raise OSError(28, "No space left on device")


def unavailable(sink: object, batch: object) -> None:
    del sink, batch
    raise SinkUnavailable("the shelf is full")
