"""A run begins, ends, is stopped and goes on where it should (semantics 7, 8, 23, 26)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import polars as pl
import pytest
from local_runs import BEGIN, HOUR, SECOND, Countdown, House, alarm, busy_hour, entry

from operators.alerting.canonical import canonical
from streams.local.running import carry_out

if TYPE_CHECKING:
    from pathlib import Path

    from streams.local.runner import Runner

CROWD = [("crowd", "raised", "blue", 359_999), ("crowd", "cleared", "clear", 959_999)]
RAISED_BELL = ("bell", "raised", "yellow", 1_202_000)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give a busy hour."""
    return busy_hour(tmp_path)


class TestTheEnd:
    """Semantics 7."""

    def test_a_run_ends_at_the_greatest_time_of_all_inputs(self, house: House) -> None:
        assert house.run().until == BEGIN + HOUR
        bell = [row for row in house.told() if row[0] == "bell"]
        assert bell == [RAISED_BELL, ("bell", "cleared", "clear", 1_502_000)]
        assert [row for row in house.told() if row[0] == "crowd"] == CROWD

    def test_a_window_in_progress_at_the_end_gives_its_row(self, house: House) -> None:
        house.add("entries", [entry(2000, 3601, 15)])
        house.run()
        assert house.told()[-1] == ("crowd", "raised", "blue", 3_659_999)

    @pytest.mark.parametrize("batch_rows", [1, 7, 100_000])
    def test_nothing_after_until_is_taken_and_no_timer_after_it_fires(self, house: House, batch_rows: int) -> None:
        summary = house.run(until=BEGIN + 1300 * SECOND, batch_rows=batch_rows)
        assert house.told()[-1] == RAISED_BELL
        assert summary.until == BEGIN + 1300 * SECOND

    def test_rows_after_until_are_counted_as_outside(self, house: House) -> None:
        tally = house.run(until=BEGIN + 299 * SECOND).tally
        assert tally.records["entries", "outside"] == tally.records["entries", "records"] - 1

    def test_a_dead_record_that_is_the_last_in_time_ends_the_run(self, house: House) -> None:
        house.add("entries", [{**entry(2000, 7200, 0), "people": "many"}])
        assert house.run().until == BEGIN + 2 * HOUR

    @pytest.mark.parametrize("empty", ["entries", "alarms"])
    def test_an_empty_stream_holds_nobody_back(self, house: House, empty: str) -> None:
        house.write(empty, [])
        house.run(batch_rows=10)
        rules = {row[0] for row in house.told()}
        assert rules == ({"bell"} if empty == "entries" else {"crowd"})

    def test_no_record_at_all_is_a_quiet_run(self, house: House) -> None:
        house.write("entries", [])
        house.write("alarms", [])
        summary = house.run()
        assert (summary.until, summary.records, house.told()) == (None, 0, [])


class TestSkew:
    """Semantics 8: the input that lags is read."""

    def test_no_input_runs_ahead_by_more_than_a_batch(self, house: House) -> None:
        house.write("entries", [entry(n, 10 * n, 1) for n in range(200)])
        house.write("alarms", [alarm(n, 10 * n) for n in range(200)])
        leads: list[int] = []

        def watch(runner: Runner) -> None:
            times = [feed.greatest for feed in runner.feeds.values() if not feed.ended]
            if len(times) == 2 and None not in times:
                leads.append(abs(times[0] - times[1]))

        house.run(batch_rows=8, progress=watch)
        assert len(leads) > 40
        assert max(leads) <= 8 * 10 * SECOND


class TestPersons:
    """Semantics 22."""

    def test_a_missing_key_is_told(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        warnings: list[str] = []
        house.run(warn=warnings.append)
        assert warnings == []
        house.topology = house.topology.replace("door: string, people", "door: person(door), people")
        monkeypatch.delenv("TOCSIN_PSEUDONYM_KEY", raising=False)
        house.run("named", warn=warnings.append)
        assert ["TOCSIN_PSEUDONYM_KEY is not set" in text for text in warnings] == [True]
        monkeypatch.setenv("TOCSIN_PSEUDONYM_KEY", "sixteen bytes long")
        house.run("keyed", warn=warnings.append)
        assert len(warnings) == 1


class TestFrom:
    """Semantics 26."""

    def test_alerts_before_it_are_not_given_and_those_after_it_are_the_same(self, house: House) -> None:
        house.run("all")
        house.run("later", emit_from=BEGIN + 1300 * SECOND)
        everything = house.log("all")
        assert house.told("later") == [("bell", "cleared", "clear", 1_502_000)]
        assert canonical(house.log("later")).equals(canonical(everything.filter(pl.col("at") >= 1_300_000)))

    def test_input_older_than_the_longest_memory_is_passed_over(self, house: House) -> None:
        tally = house.run(emit_from=BEGIN + 900 * SECOND).tally
        assert tally.records["entries", "outside"] == 1 + (900 - 300 - 300) // 5


class TestStopped:
    """A signal ends a run between two batches."""

    @pytest.mark.parametrize("questions", [0, 3, 20])
    def test_the_same_command_goes_on_and_gives_what_an_undisturbed_run_gives(
        self, house: House, questions: int
    ) -> None:
        house.run("calm")
        assert house.run(batch_rows=5, stop=Countdown(questions)).stopped
        second = house.run(batch_rows=5)
        assert not second.stopped
        assert canonical(house.log()).equals(canonical(house.log("calm")))
        assert second.tally.records["entries", "records"] == 123

    def test_windows_in_progress_stay_open(self, house: House) -> None:
        house.run(batch_rows=20, stop=Countdown(4))
        assert house.told() in ([], CROWD[:1])

    def test_a_run_that_is_through_leaves_no_state_and_adds_nothing_when_repeated(self, house: House) -> None:
        house.run()
        before = (house.folder / "state.alerts").read_bytes()
        assert [path.name for path in (house.folder / "state" / "commits").iterdir()] == ["lock"]
        house.run()
        assert (house.folder / "state.alerts").read_bytes() == before

    def test_a_run_killed_while_it_emptied_its_state_begins_anew(self, house: House) -> None:
        house.run("calm")
        house.run(batch_rows=5, stop=Countdown(20))
        (house.folder / "state" / "through").touch()
        next((house.folder / "state" / "commits").glob("segment-*")).unlink()
        house.run()
        assert canonical(house.log()).equals(canonical(house.log("calm")))


class TestGoingOn:
    """`--keep-state`: the alerts of two runs over growing input are those of one run over all of it."""

    @pytest.mark.parametrize("cut", [1, 40, 121])
    @pytest.mark.parametrize("batch_rows", [9, 1000])
    def test_records_that_were_added_count_as_if_they_had_been_there(
        self, house: House, cut: int, batch_rows: int
    ) -> None:
        entries = (house.folder / "entries.ndjson").read_text().splitlines(keepends=True)
        house.run("one", keep=True)
        (house.folder / "entries.ndjson").write_text("".join(entries[:cut]))
        house.run("two", keep=True, batch_rows=batch_rows)
        (house.folder / "entries.ndjson").write_text("".join(entries))
        house.run("two", keep=True, batch_rows=batch_rows)
        assert house.told("one")[:1] == CROWD[:1]
        assert canonical(house.log("two")).equals(canonical(house.log("one")))

    def test_files_that_were_added_to_a_folder_are_read(self, house: House) -> None:
        inbox = house.folder / "inbox"
        inbox.mkdir()
        shutil.copy(house.folder / "entries.ndjson", inbox / "1.ndjson")
        order = house.order(keep=True)
        order.sources = {**order.sources, "entries": f"ndjson:{inbox}"}
        assert carry_out(order).tally.records["entries", "records"] == 123
        house.write("more", [entry(2000, 3700, 60)])
        shutil.copy(house.folder / "more.ndjson", inbox / "2.ndjson")
        again = house.order(keep=True)
        again.sources = order.sources
        assert carry_out(again).tally.records["entries", "records"] == 124

    def test_rows_after_until_wait_for_the_next_run(self, house: House) -> None:
        house.run("one", until=BEGIN + 1000 * SECOND, keep=True)
        house.run("two", until=BEGIN + 500 * SECOND, keep=True)
        tally = house.run("two", until=BEGIN + 1000 * SECOND, keep=True).tally
        assert house.told("two") == CROWD
        assert canonical(house.log("two")).equals(canonical(house.log("one")))
        assert tally.records["entries", "outside"] == 1

    def test_tables_are_read_anew(self, house: House) -> None:
        house.write("alarms", [])
        house.write("entries", [entry(n, 30 * n, 6) for n in range(20)])
        house.run(keep=True)
        assert house.told() == [("crowd", "raised", "blue", 59_999)]
        house.write("crowded", [{"door": "north", "most": 40}])
        house.add("entries", [entry(100 + n, 600 + 30 * n, 6) for n in range(20)])
        house.run(keep=True)
        assert house.told()[-1][:2] == ("crowd", "cleared")


class TestBuckets:
    """Semantics 14."""

    @pytest.mark.parametrize("buckets", [2, 7])
    def test_any_number_of_buckets_gives_the_same(self, house: House, buckets: int) -> None:
        house.write("entries", [entry(n, n, n % 17, f"d{n % 23}") for n in range(240)])
        house.run("one")
        order = house.order("many", batch_rows=13)
        order.buckets = buckets
        carry_out(order)
        assert canonical(house.log("many")).equals(canonical(house.log("one")))
        assert house.log("one").height > 10
