"""`tocsin simulate --to`: a simulation on the topics of its topology."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from streams.kafka.writer import WAITING_MOST, TopicWriter
from streams.simulator import SCENARIOS, generate, write
from streams.simulator.sending import Pace, Target, key_texts, send, targets
from tests.sinks.alert_topic import key, messages, value
from tocsin.compiler import compile_topology
from tocsin.errors import SinkError
from tocsin.language import load

if TYPE_CHECKING:
    from conftest import Say

    from streams.simulator import Simulation
    from tests.servers.fixtures import Topics

ROOT = Path(__file__).parents[2]
HOUR = 3_600_000


@pytest.fixture(scope="module")
def wangiri() -> Simulation:
    return generate("wangiri", 7, scale=0.05)


class Clock:
    """A clock and a stopwatch that go on by `step` ms at every look."""

    def __init__(self, now: int, step: int) -> None:
        self.now, self.step, self.began = now, step, now

    def milliseconds(self) -> int:
        self.now += self.step
        return self.now

    def seconds(self) -> float:
        return (self.now - self.began) / 1000


class Paper:
    """Takes what would be sent; `sent`: how many records, by the clock's time of sending."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock, self.records = clock, list[tuple[int, str]]()

    def require(self, topics: object) -> None:
        del topics

    def put(self, topic: str, values: list[str], keys: list[str] | None = None, *, stamp: int | None = None) -> None:
        del topic, keys, stamp
        self.records += [(self.clock.now if self.clock else 0, value) for value in values]

    def wait(self, seconds: float) -> None:
        del seconds

    def settle(self) -> None:
        pass


@pytest.mark.usefixtures("cleared")
class TestOnABroker:
    def test_all_records_arrive_as_the_files_have_them(self, kafka: str, unique: str, tmp_path: Path, say: Say) -> None:
        topology, prefix = "topologies/wangiri.yaml", f"{unique}."
        assert say("topics", "apply", topology, "--kafka", kafka, "--prefix", prefix, "--partitions", 3)[0] == 0
        words = ("--seed", 7, "--scale", 0.05, "--to", f"kafka://{kafka}/{prefix}", "--out", tmp_path, "--json")
        code, said, _ = say("simulate", "wangiri", *words, "--rate", 2_000)
        assert code == 0
        told = json.loads(said)
        got = messages(kafka, f"{prefix}telecom.city.call.v1")
        assert len(got) == told["records"]["calls"] > 100
        assert {one.partition() for one in got} == {0, 1, 2}
        lines = (tmp_path / "streams/calls.ndjson").read_bytes().splitlines()
        assert sorted(value(one) for one in got) == sorted(lines)
        assert f"calls=kafka://{kafka}/{prefix}telecom.city.call.v1" in told["sources"]

    def test_records_of_one_partition_come_in_the_order_of_arrival(
        self, kafka: str, kafka_topics: Topics, wangiri: Simulation
    ) -> None:
        topic = kafka_topics()
        with TopicWriter(kafka) as writer:
            assert send(wangiri, {"calls": Target(topic)}, writer) == wangiri.streams["calls"].height
        ids = [json.loads(value(one))["call_id"] for one in messages(kafka, topic)]
        assert ids == wangiri.streams["calls"]["call_id"].to_list()

    def test_rows_of_tables_have_their_key(self, kafka: str, kafka_topics: Topics, wangiri: Simulation) -> None:
        topic = kafka_topics(cleanup_policy="compact")
        to = {"calls": Target(kafka_topics()), "phones": Target(topic, ("phone",))}
        with TopicWriter(kafka) as writer:
            send(wangiri, to, writer)
        rows = {key(one).decode(): json.loads(value(one)) for one in messages(kafka, topic)}
        assert len(rows) == wangiri.tables["phones"].height
        assert all(row["phone"] == key for key, row in rows.items())

    def test_rows_of_tables_hold_from_the_beginning_of_event_times(
        self, kafka: str, kafka_topics: Topics, wangiri: Simulation
    ) -> None:
        topic = kafka_topics(cleanup_policy="compact")
        to = {"calls": Target(kafka_topics()), "phones": Target(topic, ("phone",))}
        with TopicWriter(kafka) as writer:
            send(wangiri, to, writer)
        assert {one.timestamp()[1] for one in messages(kafka, topic)} == {SCENARIOS["wangiri"].start}
        assert wangiri.begin == SCENARIOS["wangiri"].start

    def test_records_are_stamped_when_they_are_sent(
        self, kafka: str, kafka_topics: Topics, wangiri: Simulation
    ) -> None:
        topic = kafka_topics()
        with TopicWriter(kafka) as writer:
            send(wangiri, {"calls": Target(topic)}, writer)
        newest = max(wangiri.arrivals["calls"])
        assert all(one.timestamp()[1] > newest for one in messages(kafka, topic))

    def test_more_than_the_client_holds_at_once(self, kafka: str, kafka_topics: Topics) -> None:
        topic, number = kafka_topics(), 3 * WAITING_MOST
        with TopicWriter(kafka) as writer:
            for first in range(0, number, 50_000):
                writer.put(topic, [str(n) for n in range(first, first + 50_000)])
            writer.settle()
        assert [int(value(one)) for one in messages(kafka, topic)] == list(range(number))


class TestKeys:
    def test_one_field_is_its_text_and_several_are_an_array(self) -> None:
        rows = pl.DataFrame({"a": [1, 2, None], "b": ["x", 'y"\\', "z"]})
        assert key_texts(rows, ["a"]) == ["1", "2", None]
        several = key_texts(rows, ["a", "b"])
        assert [None if key is None else json.loads(key) for key in several] == [["1", "x"], ["2", 'y"\\'], None]

    def test_a_stream_has_the_key_by_which_it_is_partitioned(self, wangiri: Simulation, tmp_path: Path) -> None:
        assert targets(self.plan(tmp_path, "caller"), wangiri)["calls"].key == ("caller",)

    def test_a_key_that_no_record_has_is_told(self, wangiri: Simulation, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="partitioned by caller_range, which its records do not have"):
            targets(self.plan(tmp_path, "caller_range"), wangiri)

    def plan(self, folder: Path, by: str) -> Any:  # noqa: ANN401  # a Plan
        text = (ROOT / "topologies/telecom.yaml").read_text(encoding="utf-8")
        partitioned = text.replace("    id: call_id\n", f"    id: call_id\n    partitioned_by: {by}\n", 1)
        assert partitioned != text
        (folder / "telecom.yaml").write_text(partitioned, encoding="utf-8")
        (folder / "wangiri.yaml").write_text(
            (ROOT / "topologies/wangiri.yaml").read_text(encoding="utf-8"), encoding="utf-8"
        )
        return compile_topology(load(folder / "wangiri.yaml"))


class TestPace:
    """A clock of its own, no broker."""

    def test_nothing_is_sent_before_it_arrives(self, wangiri: Simulation) -> None:
        arrivals = dict(zip(wangiri.streams["calls"]["call_id"], wangiri.arrivals["calls"], strict=True))
        clock = Clock(SCENARIOS["wangiri"].start, 60_000)
        paper: Any = Paper(clock)
        send(wangiri, {"calls": Target("t")}, paper, Pace(None, clock.milliseconds, clock.seconds))
        first = {json.loads(value)["call_id"]: at for at, value in reversed(paper.records)}
        waited = [at - arrivals[call] for call, at in first.items()]
        assert len(first) == len(arrivals)
        assert min(waited) >= 0
        assert sorted(waited)[len(waited) // 2] <= 60_000

    def test_never_more_than_the_rate(self, wangiri: Simulation) -> None:
        clock = Clock(SCENARIOS["wangiri"].start + 24 * HOUR, 10)
        paper: Any = Paper(clock)
        send(wangiri, {"calls": Target("t")}, paper, Pace(2_000, clock.milliseconds, clock.seconds))
        seconds = clock.seconds()
        assert len(paper.records) / 2_000 <= seconds + 0.02
        assert seconds < len(paper.records) / 2_000 + 0.1

    def test_all_streams_come_in_one_order_of_arrival(self) -> None:
        city = generate("city", 1, scale=0.01)
        paper: Any = Paper(clock := Clock(SCENARIOS["city"].start, 1_000))
        send(city, {name: Target(name) for name in city.streams}, paper, Pace(None, clock.milliseconds, clock.seconds))
        assert len(paper.records) == sum(rows.height for rows in city.streams.values())
        assert clock.now - max(max(times) for times in city.arrivals.values()) < 2_000


class TestEventTimes:
    def test_they_begin_in_the_hour_that_is_named(self, tmp_path: Path, say: Say) -> None:
        code, _, _ = say("simulate", "wangiri", "--scale", 0.05, "--from", "2026-11-22T08:30:00Z", "--out", tmp_path)
        assert code == 0
        times = pl.read_ndjson(tmp_path / "streams/calls.ndjson")["at"]
        assert times.str.starts_with("2026-11-22T16:").any()
        assert not times.str.starts_with("2026-11-22T15:").any()
        assert not times.str.starts_with("2026-11-22T18:").any()

    def test_another_beginning_changes_nothing_else(self) -> None:
        start = SCENARIOS["wangiri"].start
        usual, later = (generate("wangiri", 7, scale=0.05, start=at) for at in (None, start + 24 * HOUR))
        other = usual.streams["calls"].columns
        other.remove("at")
        assert usual.streams["calls"].select(other).equals(later.streams["calls"].select(other))
        assert (later.labels["from"] - usual.labels["from"]).unique().to_list() == [24 * HOUR]

    def test_the_files_are_the_same_as_without_kafka(self, wangiri: Simulation, tmp_path: Path) -> None:
        write(wangiri, tmp_path)
        assert wangiri.streams["calls"].columns[0] == "call_id"
        assert wangiri.arrivals["calls"].is_sorted()


class TestWhatGoesWrong:
    def test_a_topic_that_is_not_there(self, kafka: str, unique: str, say: Say) -> None:
        code, _, said = say("simulate", "wangiri", "--scale", 0.05, "--to", f"kafka://{kafka}/{unique}.")
        assert code == 2
        assert f"{unique}.telecom.city.call.v1" in said
        assert "`tocsin topics apply`" in said

    def test_no_broker(self, say: Say) -> None:
        code, _, said = say("simulate", "wangiri", "--scale", 0.05, "--to", "kafka://127.0.0.1:1")
        assert code == 2
        assert "the Kafka brokers at 127.0.0.1:1 do not answer" in said

    def test_no_target(self, say: Say) -> None:
        code, _, said = say("simulate", "wangiri")
        assert code == 2
        assert "--out" in said
        assert "--to" in said

    def test_a_topology_without_the_stream(self, kafka: str, say: Say) -> None:
        words = ("--to", f"kafka://{kafka}", "--topology", "topologies/card-velocity.yaml", "--scale", 0.05)
        code, _, said = say("simulate", "wangiri", *words)
        assert code == 2
        assert "no stream calls" in said

    def test_a_record_that_is_too_large(self, kafka: str, kafka_topics: Topics) -> None:
        topic = kafka_topics(max_message_bytes="2000")
        with TopicWriter(kafka) as writer:
            writer.put(topic, [secrets.token_hex(5_000)])  # which lz4 cannot make small
            with pytest.raises(SinkError, match="too large"):
                writer.settle()
