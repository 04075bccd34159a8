"""The built-in stream `quality` of tasks: each record is counted once, and judged as a plain run judges it."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_cluster import MemoryCluster

from streams.ingest.spec import Counts
from streams.tasks.hosted import Hosted, Marks
from streams.tasks.layout import lay_out, streams_of
from streams.tasks.quality import PARTS, Counting
from streams.tasks.source_task import SourceTask
from tests.adversarial.case import Case, as_records, make_ingest, outcome_of, plain_flow
from tocsin.compiler import compile_topology
from tocsin.language import loads
from tocsin.model.quality import COUNTED, FIELDS, MINUTE, QUALITY, quality_rows
from tocsin.model.types import INT64

if TYPE_CHECKING:
    from streams.local.dataflow import Dataflow
    from tests.adversarial.case import Event, Outcome

TEXT = """
topology: {name: judged}
streams:
  entries:
    topic: entries.v1
    id: id
    time: {field: at, lateness: 10s, idle: 1m}
    fields: {id: string, at: timestamp, door: string, people: int64}
  alarms:
    topic: alarms.v1
    id: id
    time: {field: at, lateness: 10s, idle: 1m}
    fields: {id: string, at: timestamp, door: string}
features:
  doors: {from: entries, by: door, windows: {tumbling 1m: {people: sum(people)}}}
  health:
    from: quality
    by: [stream, field]
    windows: {tumbling 2m: {gaps: sum(missing) / sum(records), records: sum(records)}}
  pulse:
    from: quality
    by: stream
    for_all: streams
    windows: {tumbling 1m: {records: max(records)}}
rules:
  crowded: {from: doors, levels: {red: people > 8}, says: "{people}"}
  gaps: {from: health, measure: gaps, levels: {yellow: 10%}, says: "{gaps:%} of {records}"}
  silent:
    from: pulse
    levels: {orange: "coalesce(records, 0) = 0"}
    for: 2m
    says: "{stream} is silent"
  minutes:
    from: quality
    entity: [stream, field]
    levels: {blue: records + missing + failed + late >= 0}
    keep: 1m
"""
PLAN = compile_topology(loads(TEXT, "judged.yaml"))
BEGIN = 1_772_442_000_000
NOON = BEGIN + 1000 * 24 * 60 * MINUTE
"""By the clock: the events are old."""
HOUR = 60 * MINUTE

some = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def crowd(random: Random) -> Case:
    """Draw entries: some without a door, some that cannot be read; nobody raises an alarm."""
    events: list[Event] = []
    for number in range(random.randint(1, 80)):
        people: object = random.choice([1, 2, 9, 9, "x", None])
        door = random.choice(["north", "south", "west", None])
        events.append(
            {"id": f"e{number}", "at": str(BEGIN + random.randint(0, 5 * MINUTE)), "door": door, "people": people}
        )
    return Case(TEXT, {"entries": events})


def told(cluster: MemoryCluster) -> pl.DataFrame:
    """Give the rows of `quality` that the rule of minutes was told of."""
    log = pl.concat(cluster.given.values()).filter(pl.col("rule") == "minutes")
    rows = [
        {**json.loads(row["entity"]), **json.loads(row["values"]), "at": row["time"] + 1 - MINUTE}
        for row in log.to_dicts()
    ]
    return pl.DataFrame(rows, schema={name: type_.physical for name, type_ in FIELDS.items()})


def judged(cluster: MemoryCluster, counted: pl.DataFrame) -> Outcome:
    """Carry the case out in the plainest way, with these counts of `quality`."""
    case, plan = cluster.case, cluster.plan
    flow: Dataflow = plain_flow(case, plan)
    flow.count_from(NOON)
    for name in sorted(flow.streams):
        ingest = make_ingest(plan, name)
        events = sorted(case.events.get(name, ()), key=lambda event: int(str(event["at"])))
        flow.feed(name, ingest.step(as_records(events, 0), ingest.initial()).rows)
    if counted.height:
        flow.feed(QUALITY, quality_rows(counted))
    last = ends(cluster)
    steps = [
        flow.advance({**dict.fromkeys(flow.streams, case.end), QUALITY: last}),
        flow.close(case.end, last),
    ]
    return outcome_of(plan, [given for step in steps for given in step.items()])


def ends(cluster: MemoryCluster) -> int:
    """Give the last moment that was counted."""
    tasks = [member.task for member in cluster.members.values()]
    found = [task.counting.end for task in tasks if isinstance(task, SourceTask) and task.counting is not None]
    return max(end for end in found if end is not None)


class TestTasksThatCount:
    """Partitions, shards, restarts and repeated packets change neither what is counted nor what is made of it."""

    @some
    @given(st.integers(1, 4), st.integers(1, 3), st.sampled_from(["", "door"]), st.booleans(), st.integers(0, 1 << 32))
    def test_count_each_record_once_and_judge_the_counts_as_the_plain_run_does(
        self,
        shards: int,
        partitions: int,
        by: str,
        layered: bool,  # noqa: FBT001  # what hypothesis draws
        seed: int,
    ) -> None:
        random = Random(seed)  # noqa: S311  # chaos, not secrets
        case = crowd(random)
        cluster = MemoryCluster(case, PLAN, random, shards, partitions, by, layered, clock=NOON)
        outcome = cluster.run()
        rows = told(cluster)
        assert not rows.select("stream", "field", "at").is_duplicated().any()
        ingest = make_ingest(PLAN, "entries")
        counts = ingest.step(as_records(case.events["entries"], 0), ingest.initial()).counts
        sums = rows.group_by("stream", "field").agg(pl.col(COUNTED).sum()).sort("field")
        whole = counts.frame.with_columns(late=pl.lit(0, INT64.physical))  # in whole batches in no order some are late
        assert sums.rows() == whole.select(sums.columns).sort("field").rows()
        assert outcome == {stage: text for stage, text in judged(cluster, rows).items() if stage in outcome}

    @pytest.mark.parametrize("seed", range(4))
    def test_time_in_which_nobody_read_is_nobodys_silence(self, seed: int) -> None:
        random = Random(seed)  # noqa: S311  # as above
        cluster = MemoryCluster(crowd(random), PLAN, random, 2, 2, clock=NOON, pause=3 * HOUR)
        cluster.run()
        log = pl.concat(cluster.given.values()).filter(pl.col("rule") == "silent")
        assert not log.filter(pl.col("time") <= NOON + 3 * HOUR).height


class TestMinutes:
    """What a partition counts, by the clock."""

    def counts(self, records: int) -> Counts:
        return Counts("entries", records, 1, 0, (("door", 2, 0),))

    def test_a_minute_is_given_when_the_clock_has_left_it(self) -> None:
        counting = Counting()
        counting.count(self.counts(3))
        assert counting.over(NOON + 5)
        assert counting.turn(NOON + 5, 0).is_empty(), "what was read before the clock belongs to its first minute"
        counting.count(self.counts(4))
        assert (counting.over(NOON + MINUTE - 1), counting.watermark) == (False, NOON - 1)
        given = counting.turn(NOON + MINUTE, 1)
        assert given.select("field", "at", *COUNTED).rows() == [
            ("", NOON, 7, 0, 2, 0),
            ("door", NOON, 7, 4, 0, 0),
        ]
        assert given["__id"].to_list() == [f"entries//{NOON}/1", f"entries/door/{NOON}/1"]
        assert counting.watermark == NOON + MINUTE - 1
        assert counting.turn(NOON + 2 * MINUTE, 1).is_empty(), "a minute without records has no rows"

    def test_the_clock_does_not_go_back(self) -> None:
        counting = Counting()
        counting.turn(NOON, 0)
        assert not counting.over(NOON - HOUR)

    def test_it_counts_anew_since_a_minute_in_which_nobody_looked(self) -> None:
        counting = Counting()
        counting.turn(NOON, 0)
        counting.turn(NOON + MINUTE, 0)
        assert counting.since == NOON
        counting.turn(NOON + 3 * MINUTE, 0)
        assert counting.since == NOON + 3 * MINUTE

    def test_the_minute_at_hand_ends_with_the_run(self) -> None:
        counting = Counting()
        assert counting.close(0).is_empty()
        assert counting.end is None, "nothing can end before the clock was read"
        counting.turn(NOON, 0)
        counting.count(self.counts(5))
        assert counting.close(0)["records"].to_list() == [5, 5]
        assert counting.watermark == counting.end == NOON + MINUTE - 1
        assert not counting.over(NOON + HOUR)
        assert counting.close(0).is_empty()


class TestWhereItStands:
    def test_all_streams_are_read_and_their_counts_come_together_in_shards(self) -> None:
        layout = lay_out(PLAN, {"entries": 2, "alarms": 1}, 3)
        assert streams_of(PLAN) == {"entries", "alarms"}
        assert layout.layers[0][0].name == QUALITY
        assert layout.senders(0)[PARTS] == {"entries/0", "entries/1", "alarms/0"}
        assert layout.clocked == {QUALITY, "health", "pulse", "rule gaps", "rule silent", "rule minutes"}

    def test_where_nobody_judges_it_nobody_counts(self) -> None:
        text = TEXT[: TEXT.index("  gaps: {from")]
        plan = compile_topology(loads(text, "t.yaml"))
        assert streams_of(plan) == {"entries"}
        assert not lay_out(plan, {"entries": 2}, 3).counts_quality

    def test_a_rule_that_comes_later_misses_streams_from_then_on(self) -> None:
        layout = lay_out(PLAN, {"entries": 1, "alarms": 1}, 1)
        rows = plain_flow(crowd(Random(1)), PLAN).tables["streams"]  # noqa: S311  # any crowd
        hosted = Hosted(layout.layers[0], layout.near, {"streams": rows}, clocked=layout.clocked)
        hosted.restore([], Marks(since=NOON))  # what others know: that partitions were looked at all the time
        hosted.count_from(NOON)
        given = hosted.advance({"entries": 0, PARTS: NOON + HOUR - 1})
        assert not [stage for stage, _ in given]
        ((_, silent),) = [
            one for one in hosted.advance({"entries": 0, PARTS: NOON + HOUR + MINUTE - 1}) if one[1].height
        ]
        assert silent.select("stream", "window_end").sort("stream").rows() == [
            ("alarms", NOON + HOUR + MINUTE),
            ("entries", NOON + HOUR + MINUTE),
        ]
