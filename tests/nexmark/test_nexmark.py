"""Nexmark's windowed queries as a topology give the rows of plain Flink SQL over the same events, each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import polars as pl
import pytest

from stack import FlinkCluster
from streams.local.assembly import make_flow, open_inputs
from streams.local.runner import Runner, Settings
from streams.pseudonyms import load_pseudonyms
from tests.adversarial.case import Case, plain_run
from tests.nexmark.events import Events, Load, generate
from tests.streams.tasks.memory_cluster import MemoryCluster
from tocsin.compiler import compile_topology
from tocsin.language import load

if TYPE_CHECKING:
    from collections.abc import Mapping

TOPOLOGY = Path(__file__).parents[2] / "topologies/nexmark.yaml"
LOAD = Load(100_000, busy=100, quiet=0.5)
"""Half an hour; in quiet turns several auctions have the most bids, and windows are empty."""
AFTER = 60_000
"""Milliseconds after the last event: all windows are over, as they are where Flink's input ends."""
GAP = 10_000
"""Of a session, ms."""
MOST = 50_000_000
"""In the second half nobody bids more, so that several bids are the highest."""
ENDS_WITHIN = 600.0
"""Seconds: only a test that fails waits so long."""
JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A JVM that lives for seconds: half the work goes into compiling otherwise."""
COLUMNS = {
    "hot_items": ("auction", "bids", "window_start", "window_end"),
    "highest_bids": ("event", "auction", "bidder", "price", "made"),
    "new_sellers": ("person", "name", "window_start"),
    "bidder_sessions": ("bidder", "bids", "window_start", "until"),
}
"""What is compared of each query, in the order of Flink's columns."""
LEAST = {"hot_items": 1_000, "highest_bids": 1_000, "new_sellers": 50, "bidder_sessions": 10_000}
"""So many rows each query has at least: two empty answers are equal, too."""


@pytest.fixture(scope="module")
def events() -> Events:
    persons, auctions, bids = generate(LOAD)
    late = pl.col("event") >= LOAD.events // 2
    capped = pl.when(late).then(pl.col("price").clip(upper_bound=MOST)).otherwise("price")
    return Events(persons, auctions, bids.with_columns(capped.alias("price")))


@pytest.fixture(scope="module")
def files(events: Events, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return events.write(tmp_path_factory.mktemp("nexmark"))


@pytest.fixture(scope="module")
def ours(files: Mapping[str, Path], events: Events) -> Mapping[str, pl.DataFrame]:
    """Give the rows of the features, by name."""
    plan = compile_topology(load(TOPOLOGY))
    stages = {plan.outputs[name]: name for name in COLUMNS}
    given: dict[str, list[pl.DataFrame]] = {name: [] for name in COLUMNS}
    flow = make_flow(plan, list(stages))
    until = max(int(rows["at"].max()) for rows in events) + AFTER  # type: ignore[arg-type]  # Int64 columns
    settings = Settings(until=until, receive=lambda stage, rows: given[stages[stage]].append(rows))
    uris = {name: f"ndjson:{path}" for name, path in files.items()}
    summary = Runner(plan, flow, open_inputs(flow, uris, load_pseudonyms()), settings=settings).run()
    assert summary.records == LOAD.events
    assert not summary.tally.aside, "none is late or dead"
    return {name: pl.concat(rows) for name, rows in given.items()}


def flinks(folder: Path) -> Mapping[str, pl.DataFrame]:
    """Give the rows of the queries in plain Flink SQL over the files of a folder, by name."""
    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("plain_flink.py"), folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN,
        env={**os.environ, "JVM_ARGS": JVM},
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return {name: _answers(folder / name) for name in COLUMNS}


def _answers(folder: Path) -> pl.DataFrame:
    """Read what Flink wrote: times are texts whose fraction of a second may be missing."""
    rows = pl.concat(pl.read_ndjson(path) for path in folder.iterdir() if path.is_file())
    times = pl.col("^window_.*$").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ms").dt.epoch("ms")
    return rows.with_columns(times)


class TestRows:
    """The features give what the queries give."""

    @pytest.mark.skipif(bool(FlinkCluster.lacking()), reason=FlinkCluster.lacking())
    def test_are_those_of_flink_each_of_them(
        self, ours: Mapping[str, pl.DataFrame], files: Mapping[str, Path], events: Events
    ) -> None:
        given = flinks(files["bids"].parent)
        assert given["bidder_sessions"]["bids"].sum() == events.bids.height, "Flink leaves none out as late"
        for query, columns in COLUMNS.items():
            wanted = given[query].rows()
            assert len(wanted) >= LEAST[query], query
            assert sorted(ours[query].select(columns).rows()) == sorted(wanted), query

    def test_several_auctions_are_hot_and_several_bids_the_highest_at_times(
        self, ours: Mapping[str, pl.DataFrame]
    ) -> None:
        for query in ("hot_items", "highest_bids"):
            assert ours[query].height > 1.2 * ours[query]["window_end"].n_unique()

    def test_bids_exactly_ten_seconds_apart_are_of_one_session(
        self, ours: Mapping[str, pl.DataFrame], events: Events
    ) -> None:
        apart = events.bids.sort("bidder", "at").select(pl.col("at").diff().over("bidder") == GAP).to_series().sum()
        assert apart > 0
        gaps = (
            ours["bidder_sessions"]
            .sort("bidder", "window_start")
            .select((pl.col("window_start") - pl.col("last_bid").shift()).over("bidder"))
            .to_series()
        )
        assert gaps.min() == GAP + 10  # events are 10 ms apart


class TestTasks:
    """Carried out by tasks that exchange packets, as on Flink, the rules raise the alerts of the plain run."""

    def test_raise_the_same_alerts(self) -> None:
        small = generate(Load(500, busy=15, quiet=0.5, turn=20))
        records = {name: rows.to_dicts() for name, rows in small._asdict().items()}
        case = Case(TOPOLOGY.read_text(encoding="utf-8"), records)
        plan = compile_topology(load(TOPOLOGY))
        wanted = plain_run(case, plan)
        for rule in plan.rules.values():
            assert wanted[rule.stage], rule.name
        given = MemoryCluster(case, plan, Random(3), shards=2, partitions=2, layered=True).run()  # noqa: S311  # chaos
        assert given == {stage: wanted[stage] for stage in given}
