"""`local` with tables out of topics: as over files, and changed while it runs (semantics 20)."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from monitoring import registry
from operators.alerting.canonical import canonical
from streams.dead_letters import DeadLetterStore
from streams.local.running import carry_out
from tests.streams.local.local_runs import BEGIN, MINUTE, House, alarm, entry
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from streams.local.runner import Summary
    from tests.servers.fixtures import Topics

UNTIL = BEGIN + 60 * MINUTE
ENTRIES = [entry(n, 4 * n, n % 3, f"door {n % 5}") for n in range(400)]
CROWDED = [{"door": f"door {n}", "most": 2 + 2 * n} for n in range(4)]
"""None for the fifth door, for which ten are many."""


class TableHouse(House):
    """The house whose streams and table are topics."""

    servers: str
    topics: dict[str, str]
    make: Topics

    @classmethod
    def over(cls, folder: Path, servers: str, topics: Topics) -> TableHouse:
        """Make the topics, with a record of alarms, since the doors wait for both streams."""
        house = cls(folder)
        house.topology = house.topology.replace("lateness: 10s}", "lateness: 10s, idle: 300ms}")
        house.servers, house.make = servers, topics
        house.topics = {name: topics(retention_ms="-1") for name in ("entries", "alarms", "crowded")}
        house.put("alarms", alarm(1, 1))
        return house

    def put(
        self, name: str, *records: Mapping[str, object] | bytes | None, key: str | None = None, at: int = 0
    ) -> None:
        """Write records; `at`: their timestamp, by default now."""
        producer = Producer({"bootstrap.servers": self.servers})
        for record in records:
            raw = record if isinstance(record, bytes) or record is None else json.dumps(record).encode()
            producer.produce(self.topics[name], raw, key, 0, timestamp=at)
        assert producer.flush(30) == 0

    def over_kafka(self, name: str = "topics", **how: object) -> Summary:
        """Run over the topics."""
        order = self.order(name, **{"until": UNTIL, "commit_seconds": 0.1, **how})
        sources = {of: f"kafka://{self.servers}/{topic}" for of, topic in self.topics.items()}
        return carry_out(replace(order, sources=sources))


class Steps:
    """Does one thing after another while a run goes on, each when what it waits for is so; then says stop."""

    def __init__(self, *steps: tuple[Callable[[], bool], Callable[[], None]]) -> None:
        self.steps, self.deadline = list(steps), time.monotonic() + 60

    def __call__(self) -> bool:
        """Do what is due, and say whether to stop."""
        assert time.monotonic() < self.deadline, f"{len(self.steps)} steps did not happen in time"
        if self.steps and self.steps[0][0]():
            self.steps.pop(0)[1]()
        return not self.steps


@pytest.fixture
def house(tmp_path: Path, kafka: str, kafka_topics: Topics) -> TableHouse:
    """Give a house on Kafka without entries and rows."""
    return TableHouse.over(tmp_path, kafka, kafka_topics)


def test_the_same_alerts_as_with_the_table_in_a_file(house: TableHouse) -> None:
    house.write("entries", ENTRIES)
    house.write("alarms", [alarm(1, 1)])
    house.write("crowded", CROWDED)
    house.run("files", until=UNTIL)
    house.put("entries", *ENTRIES)
    house.put("crowded", *CROWDED, at=BEGIN - 1)
    house.over_kafka()
    assert house.told("files")
    assert canonical(house.log("topics")).equals(canonical(house.log("files")))
    house.write("crowded", [])
    house.run("without", until=UNTIL)
    assert not canonical(house.log("without")).equals(canonical(house.log("files")))


def test_a_bounded_run_reads_it_too_and_its_bad_records_are_dead_letters(house: TableHouse) -> None:
    house.write("entries", ENTRIES)
    house.write("alarms", [alarm(1, 1)])
    house.put("crowded", CROWDED[0], b"{", at=BEGIN - 1)
    order = house.order("state", until=UNTIL)
    uri = f"kafka://{house.servers}/{house.topics['crowded']}"
    carry_out(replace(order, sources={**order.sources, "crowded": uri}))
    letters = DeadLetterStore(house.folder / "state" / "dead").letters("crowded")
    assert letters.select("partition", "offset", "reason", "raw").rows() == [(0, 1, "bad-json", b"{")]
    assert "door 0" in {entity["door"] for entity in map(json.loads, house.log("state")["entity"])}


def test_what_is_told_while_it_runs_counts_from_then_on(house: TableHouse) -> None:
    """A row, another one, a deletion: each for the minutes that come after it; what is none of these is put aside."""
    minute = iter(range(0, 600, 10))

    def crowd(people: int) -> None:
        """So many people within a minute at one door; then time goes on."""
        begin = 60 * next(minute)
        house.put("alarms", alarm(begin + 2, begin + 300))
        house.put("entries", entry(begin, begin + 1, people), entry(begin + 1, begin + 300, 0, None))

    def judged(number: int) -> Callable[[], bool]:
        """Whether the minutes of so many crowds are over and counted."""
        return lambda: house.metrics.value(registry.STAGE_ROWS.of({"stage": "minutes"})) >= number

    def told(read: int) -> Callable[[], bool]:
        return lambda: house.metrics.value(registry.TABLE_CHANGES.of({"table": "crowded"})) >= read

    house.topology = house.topology.replace("idle: 300ms", "idle: 1h")
    house.put("crowded", {"door": "north", "most": 3}, at=BEGIN - 1)
    stop = Steps(
        (lambda: True, lambda: crowd(5)),
        (judged(1), lambda: house.put("crowded", {"door": "north", "most": 8}, b"{", at=BEGIN - 1)),
        (told(1), lambda: crowd(6)),
        (judged(2), lambda: crowd(8)),
        (judged(3), lambda: house.put("crowded", None, key="north", at=BEGIN - 1)),
        (told(2), lambda: crowd(9)),
        (judged(4), lambda: crowd(10)),
        (judged(5), lambda: None),
    )
    house.over_kafka(until=None, stop=stop)
    raised = house.log("topics").filter(rule="crowd", kind="raised")
    assert [json.loads(values)["seen"] for values in raised.sort("time")["values"]] == [5, 8, 10]
    letters = DeadLetterStore(house.folder / "topics" / "dead").letters("crowded")
    assert letters.select("partition", "offset", "reason").rows() == [(0, 2, "bad-json")]


def test_no_such_topic_is_told_before_anything_is_read(house: TableHouse) -> None:
    house.topics["crowded"] += ".missing"
    with pytest.raises(SourceError, match=r"the table crowded: .*missing does not exist.*`tocsin topics apply`"):
        house.over_kafka()
    assert not (house.folder / "topics").exists()


def test_a_run_that_goes_on_takes_what_was_told_meanwhile(house: TableHouse) -> None:
    """Rows that changed count; those that the topic does not hold any more do not."""
    house.topology = house.topology.replace("idle: 300ms", "idle: 1h")
    house.put("crowded", {"door": "north", "most": 3}, {"door": "south", "most": 3}, {"door": "west", "most": 3})
    house.put("alarms", alarm(2, 300))
    house.put("entries", entry(1, 1, 5, None), entry(2, 300, 0, None))

    def read() -> bool:
        return house.metrics.value(registry.RECORDS_READ.of({"stream": "entries"})) >= 2

    assert house.over_kafka(until=None, stop=Steps((read, lambda: None))).stopped
    house.topics["crowded"] = house.make(retention_ms="-1")
    house.put("crowded", {"door": "north", "most": 8}, {"door": "west", "most": 3}, at=BEGIN - 1)
    house.put("alarms", alarm(3, 1000))
    doors = [entry(n, 600 + n, 5, door) for n, door in ((10, "north"), (11, "south"), (12, "west"))]
    house.put("entries", *doors, entry(13, 1000, 0, None))

    def judged() -> bool:
        return house.metrics.value(registry.STAGE_ROWS.of({"stage": "minutes"})) >= 3

    assert house.over_kafka(until=None, stop=Steps((judged, lambda: None))).stopped
    raised = house.log("topics").filter(rule="crowd", kind="raised")
    assert [json.loads(entity)["door"] for entity in raised["entity"]] == ["west"]
