"""Early copies of immediate rules (semantics 19), and what a run records of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from local_runs import DOORS, House, busy_hour, entry

if TYPE_CHECKING:
    from pathlib import Path

ROOMS = """tables:
  rooms:
    key: door
    topic: house.room.v1
    fields: {door: string, hall: string}"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give a busy hour."""
    return busy_hour(tmp_path)


class TestEarlyCopies:
    """Raised when the event arrives; the watermark says whether they were right."""

    @pytest.fixture
    def crowd(self, house: House) -> House:
        """Give groups at three doors."""
        house.write("entries", [entry(n, 60 * n, 60 if n % 10 == 5 else 1, f"d{n % 3}") for n in range(40)])
        return house

    def test_the_truth_comes_with_the_same_ids(self, crowd: House) -> None:
        crowd.run(early=True, batch_rows=7)
        log = crowd.log()
        early, truth = log.filter("early"), log.filter(~pl.col("early") & (pl.col("rule") == "group"))
        assert early.height == 3
        assert sorted(early["alert_id"]) == sorted(truth["alert_id"])

    def test_they_are_out_before_the_watermark_has_passed(self, crowd: House) -> None:
        crowd.write("entries", [entry(1, 0, 60)])
        crowd.write("alarms", [])
        given = crowd.run(early=True, keep=True)
        assert crowd.told() == [("group", "raised", "red", 0)]
        assert crowd.log()["early"].all()
        assert given.tally.early == {("group", "copies"): 1}

    def test_an_entity_that_is_looked_up_has_them_too(self, crowd: House) -> None:
        crowd.topology = DOORS.replace("entity: [door]", "entity: [rooms(door).hall]").replace("tables:", ROOMS)
        crowd.write("rooms", [{"door": "d0", "hall": "west"}, {"door": "d1", "hall": "west"}])
        crowd.run(early=True, batch_rows=7)
        log = crowd.log()
        early, truth = log.filter("early"), log.filter(~pl.col("early") & (pl.col("rule") == "group"))
        assert early["entity"].to_list() == ['{"rooms(door).hall":"west"}']  # nobody knows the hall of d2
        assert early["alert_id"].to_list() == truth["alert_id"].to_list()

    def test_there_are_none_unless_asked_for(self, crowd: House) -> None:
        crowd.run()
        assert not crowd.log()["early"].any()

    def test_those_that_the_truth_does_not_confirm_are_counted(self, crowd: House) -> None:
        copies = [entry(door, 0, people, f"d{door}") for door in range(8) for people in (60, 1)]
        crowd.write("entries", copies)
        tally = crowd.run(early=True).tally
        confirmed = tally.transitions["group", "raised"]
        assert tally.early["group", "copies"] == 8
        assert tally.early["group", "unconfirmed"] == 8 - confirmed > 0


class TestMetrics:
    """Recorded while a run goes on."""

    def test_every_count_of_the_summary_is_a_metric(self, house: House) -> None:
        house.add("entries", [entry(3000, 3600, 1), entry(3000, 3600, 1), entry(4000, 60, 1), {"people": 1}])
        house.add("entries", [entry(5000, 3600, 1, None)])
        house.run(batch_rows=11, commit_seconds=0.0)
        values = {(name, *(v for _, v in labels)): value for (name, labels), value in house.metrics.values.items()}
        assert values["tocsin_records_read_total", "entries"] == 128
        assert values["tocsin_late_records_total", "entries"] == 1
        assert values["tocsin_dead_letters_total", "entries", "missing"] == 1
        assert values["tocsin_duplicate_rows_total", "minutes"] == 1
        assert values["tocsin_null_key_rows_total", "minutes"] == 1
        assert values["tocsin_alert_transitions_total", "crowd", "raised"] == 1
        assert values["tocsin_open_alerts", "bell"] == 0
        assert values["tocsin_commits_total",] > 1
        assert values["tocsin_commit_bytes_total",] > 0
        assert values["tocsin_sink_rows_total", f"ndjson:{house.folder / 'state.alerts'}"] == house.log().height
