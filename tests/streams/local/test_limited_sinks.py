"""Runs into a sink with `at_most`: what it gets does not depend on how the run went, and what it lacks is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from local_runs import DOORS, Countdown, House, busy_hour, entry

from operators.alerting.canonical import canonical
from sinks.at_most import NOTICE
from sinks.ndjson import decode
from streams.local.running import carry_out

if TYPE_CHECKING:
    from pathlib import Path

    from streams.local.runner import Summary


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give doors at which groups come, one every other minute."""
    found = busy_hour(tmp_path)
    found.write("entries", [entry(n, 60 * n, 60 if n % 2 else 1, f"d{n}") for n in range(40)])
    return found


def run(house: House, name: str, **how: object) -> tuple[Summary, pl.DataFrame]:
    """Run into the topology's sinks; give the summary and what the limited one has got so far."""
    file = house.folder / f"{name}.limited"
    house.topology = f"{DOORS}\nsinks:\n  room: {{file: {file}, where: rule = 'group', at_most: 2 per 10m}}\n"
    order = house.order(name, **how)
    order.sinks = []
    summary = carry_out(order)
    return summary, decode(file.read_bytes().splitlines())


class TestLimitedSinks:
    """Two groups in any ten minutes."""

    def test_no_more_alerts_than_that_arrive_and_the_rest_is_told(self, house: House) -> None:
        summary, got = run(house, "plain")
        alerts = got.filter(pl.col("rule") == "group").sort("time")
        assert alerts.height == 8
        assert alerts["time"].diff(2).drop_nulls().min() >= 600_000  # type: ignore[operator]  # Int64 column
        held = summary.tally.transitions["group", "raised"] - alerts.height
        assert summary.held_back == {"room": held}
        assert got.filter(rule=NOTICE)["kind"].to_list()[:2] == ["raised", "cleared"]

    def test_it_is_the_same_after_any_number_of_stops(self, house: House) -> None:
        summary, plain = run(house, "plain")
        often, stops = run(house, "often", batch_rows=3, commit_seconds=0.0, stop=Countdown(4)), 0
        while often[0].stopped:
            often, stops = run(house, "often", batch_rows=3, commit_seconds=0.0, stop=Countdown(4)), stops + 1
        assert stops > 2
        assert canonical(often[1]).equals(canonical(plain))
        assert often[0].held_back == summary.held_back

    def test_it_gets_no_early_copies(self, house: House) -> None:
        assert not run(house, "early", early=True)[1]["early"].any()
