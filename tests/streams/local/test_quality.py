"""The built-in stream `quality`: what was read, per stream, field and minute of the clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from local_runs import BEGIN, HOUR, MINUTE, SECOND, Countdown, House, entry

from streams.local.again import earlier_run, recompute
from streams.local.running import carry_out
from tocsin.errors import SourceError, StateError

if TYPE_CHECKING:
    from pathlib import Path

    from streams.local.runner import Runner

JUDGED = """
topology: {name: judged}
streams:
  entries:
    owner: the porters
    id: id
    time: {field: at, lateness: 10s}
    fields: {id: string, at: timestamp, door: string, people: int64}
    checks: {somebody: people > 0, not a crowd: {should: people < 100}}
  alarms:
    id: id
    time: {field: at, lateness: 10s}
    fields: {id: string, at: timestamp, door: string}
features:
  health:
    from: quality
    by: [stream, field]
    windows:
      tumbling 5m: {gaps: sum(missing) / sum(records), wrong: sum(failed) / sum(records)}
  pulse:
    from: quality
    by: stream
    for_all: streams
    windows: {tumbling 5m: {records: max(records)}}
rules:
  gaps:
    from: health
    measure: gaps
    levels: {yellow: 5%}
    labels: {owner: "{stream.owner}"}
    says: "{gaps:%} of {stream}.{field} missing"
  wrong:
    from: health
    measure: wrong
    levels: {yellow: 5%}
    says: "{wrong:%} of {stream}.{field} fail their checks"
  silent:
    from: pulse
    levels: {orange: "coalesce(records, 0) = 0"}
    for: 10m
    says: "{stream} is silent"
"""

MINUTES = """
  minutes:
    from: quality
    entity: [stream, field]
    levels: {blue: records >= 0}
    keep: 1m
"""
"""An alert for every row: with its values the counts can be added up."""


class Clock:
    """A wall clock that moves on by so many seconds between two batches."""

    def __init__(self, seconds: float, begin: int = BEGIN) -> None:
        self.now, self.step = begin / 1000, seconds

    def __call__(self) -> float:
        """Give the time in seconds."""
        return self.now

    def between(self) -> bool:
        """Stand where a run asks whether it shall stop."""
        self.now += self.step
        return False


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give 40 entries, every fourth without a door, every tenth without people; and no alarm at all."""
    found = House(tmp_path, JUDGED)
    doors = ["north", "north", "north", None]
    found.write("entries", [entry(n, n, 0 if n % 10 == 5 else 1, doors[n % 4]) for n in range(40)])
    found.write("alarms", [])
    return found


def told(house: House, rule: str) -> list[tuple[object, ...]]:
    """Give entity, kind and minutes after BEGIN of a rule's transitions."""
    log = house.log().filter(rule=rule).sort("time", "entity")
    return [
        ("/".join(value for _, value in sorted(json.loads(entity).items(), reverse=True)), kind, (at + 1) / MINUTE)
        for entity, kind, at in log.select("entity", "kind", "at").iter_rows()
    ]


def counts(house: House) -> pl.DataFrame:
    """Give all counts that the rule of MINUTES was told of."""
    rows = [
        {**json.loads(row["entity"]), **json.loads(row["values"]), "at": row["at"]} for row in house.log().to_dicts()
    ]
    return pl.DataFrame(rows).select("stream", "field", "records", "at")


class TestOverFiles:
    """The minutes are those in which the records are read, whatever the times in them."""

    def test_shares_of_missing_and_failed_fields_are_judged_per_window(self, house: House) -> None:
        clock = Clock(0)
        house.run(wall=clock, stop=clock.between, batch_rows=7)
        assert told(house, "gaps") == [("entries/door", "raised", 5)]
        assert told(house, "wrong") == [("entries/", "raised", 5), ("entries/people", "raised", 5)]
        gap = house.log().filter(rule="gaps")
        assert gap["says"].item() == "25% of entries.door missing"
        assert json.loads(gap["labels"].item()) == {"owner": "the porters"}

    def test_a_stream_without_records_is_told_of_by_for_all_streams(self, house: House) -> None:
        clock = Clock(60)
        house.run(wall=clock, stop=clock.between, batch_rows=1)
        assert told(house, "silent") == [("alarms", "raised", 15)]

    def test_event_times_may_lie_anywhere(self, house: House) -> None:
        clock = Clock(60, BEGIN + 1000 * 24 * HOUR)
        house.run(wall=clock, stop=clock.between, batch_rows=1)
        assert told(house, "silent") == [("alarms", "raised", 15 + 1000 * 24 * 60)]

    def test_records_that_all_die_are_counted_too(self, house: House) -> None:
        house.write("entries", [{"id": "x"}] * 20)
        house.run(wall=Clock(0), brakes=False)
        assert ("entries/", "raised", 5) in told(house, "wrong")

    def test_every_stream_needs_a_source(self, house: House) -> None:
        order = house.order()
        order.sources = {"entries": order.sources["entries"]}
        with pytest.raises(SourceError, match="no source for alarms"):
            carry_out(order)

    def test_its_alerts_are_not_computed_again(self, house: House) -> None:
        house.run(wall=Clock(0))
        with pytest.raises(StateError, match="gaps judges how records were read, minute by minute"):
            recompute(earlier_run(house.folder / "state"), "gaps")


class TestMinutes:
    """Each record is counted once, in one minute."""

    @pytest.fixture
    def counting(self, house: House) -> House:
        """Tell every count."""
        house.topology = JUDGED[: JUDGED.index("rules:")] + "rules:" + MINUTES
        return house

    @pytest.mark.parametrize("step", [0, 7, 60, 200])
    def test_a_minute_is_given_once_and_all_records_are_in_one(self, counting: House, step: int) -> None:
        clock = Clock(step)
        counting.run(wall=clock, stop=clock.between, batch_rows=3)
        found = counts(counting)
        assert found.select("stream", "field", "at").is_duplicated().sum() == 0
        assert found.group_by("field").agg(pl.col("records").sum())["records"].unique().to_list() == [40]

    def test_a_clock_that_goes_back_stands_still(self, counting: House) -> None:
        clock = Clock(-30, BEGIN + 30 * MINUTE)
        counting.run(wall=clock, stop=clock.between, batch_rows=3)
        assert counts(counting)["at"].unique().to_list() == [30 * MINUTE + MINUTE - 1]

    @pytest.mark.parametrize("dies_at", [3, 9, 20])
    def test_a_run_that_is_killed_neither_loses_nor_doubles_counts(self, counting: House, dies_at: int) -> None:
        clock, batches = Clock(13), iter(range(1000))

        def die(_: Runner) -> None:
            if next(batches) == dies_at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            counting.run(wall=clock, stop=clock.between, batch_rows=1, commit_seconds=0.0, progress=die)
        counting.run(wall=clock, stop=clock.between, batch_rows=1, commit_seconds=0.0)
        found = counts(counting)
        assert found.group_by("field").agg(pl.col("records").sum())["records"].unique().to_list() == [40]


class TestGoingOn:
    """A run that goes on later."""

    def test_time_in_which_nobody_read_is_no_silence(self, house: House) -> None:
        clock = Clock(30)
        house.run(wall=clock, stop=clock.between, batch_rows=10, keep=True)
        house.add("entries", [entry(n, n, 1) for n in range(40, 60)])
        later = Clock(30, BEGIN + 3 * HOUR)
        house.run(wall=later, stop=later.between, batch_rows=2, keep=True)
        assert told(house, "silent") == []

    def test_silence_is_counted_from_the_restart(self, house: House) -> None:
        clock = Clock(30)
        house.run(wall=clock, stop=clock.between, batch_rows=10, keep=True)
        house.add("entries", [entry(n, n, 1) for n in range(40, 80)])
        later = Clock(60, BEGIN + 3 * HOUR)
        house.run(wall=later, stop=later.between, batch_rows=1, keep=True)
        assert told(house, "silent") == [("alarms", "raised", 180 + 15)]

    def test_it_ends_at_until_though_the_clock_is_past_that(self, house: House) -> None:
        how = {"wall": Clock(0, BEGIN + 3 * HOUR), "until": BEGIN + 30 * SECOND, "batch_rows": 3}
        assert house.run(stop=Countdown(4), **how).stopped
        assert house.run(**how).until == BEGIN + 30 * SECOND
