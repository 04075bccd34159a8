"""One case on its stage: topics, files, sinks, the command line, and records that come before and while it runs."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stack.ports import free_port
from tests.chaos.orders import closing, ordered
from tests.chaos.processes import Processes
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.chaos.cases import Case
    from tests.chaos.material import Material
    from tests.chaos.orders import Record

PATIENT, QUICKLY = "10m", "8s"
"""How long a partition is silent until it is idle: for ever, or soon where one has no records at all."""
PARALLELISM: Final = "--parallelism"
TRICKLE_SECONDS: Final = 6.0
PIECES: Final = 60
ALERT_PARTITIONS: Final = 3
PRODUCER: Final = {"compression.type": "lz4", "enable.idempotence": True, "linger.ms": 5, "log_level": 0}


def idle_of(case: Case) -> str:
    """Say what `idle` is: all records must have come before it (semantics 5)."""
    return QUICKLY if case.order == "silent" else PATIENT


@dataclass
class Stage:
    """Where a case is carried out. `store`: of ClickHouse."""

    case: Case
    material: Material
    folder: Path
    servers: str
    name: str
    store: str
    records: list[Record] = field(init=False)
    fed: threading.Event = field(default_factory=threading.Event)
    more_words: list[str] = field(default_factory=list)
    refused: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write what the command line names, and make topics."""
        self.records = ordered(self.material, self.case)
        self.producer = Producer({"bootstrap.servers": self.servers, **PRODUCER})
        self.topology = self.material.write_topology(self.folder, idle=idle_of(self.case), direct=self.case.host.direct)
        for table, lines in self.material.tables.items():
            (self.folder / f"{table}.ndjson").write_text("".join(f"{line}\n" for line in lines))
        if self.case.host.partitions:
            self._make({self.topic(stream): self.case.host.partitions for stream in self.material.streams})
        else:
            self._write_files()
        self._make({self.alerts: ALERT_PARTITIONS})

    @property
    def alerts(self) -> str:
        """The alert topic."""
        return f"{self.name}.alerts"

    @property
    def file(self) -> Path:
        """The sink of lines."""
        return self.folder / "alerts.ndjson"

    def topic(self, stream: str) -> str:
        """Name the topic of a stream."""
        return f"{self.name}.{stream}"

    def words(self, state: str = "state") -> list[str]:
        """Give the command line; a second group of workers has a state folder of its own."""
        until = datetime.fromtimestamp(self.material.until / 1000, UTC).isoformat(timespec="milliseconds")
        sinks = [f"kafka://{self.servers}/{self.alerts}", self.store]
        if self.case.writes_file:
            sinks.append(f"ndjson:{self.file}")
        sources = [f"{table}=ndjson:{self.folder / f'{table}.ndjson'}" for table in self.material.tables]
        sources += [f"{stream}={self._source(stream)}" for stream in self.material.streams]
        words = ["run", str(self.topology), "--until", until, "--state", str(self.folder / state), "--json"]
        words += [word for source in sources for word in ("--source", source)]
        return words + [word for sink in sinks for word in ("--sink", sink)] + self._of_host() + self.more_words

    def feed_all(self, *, to_the_end: bool = True) -> None:
        """Let all records come at once, and those that end each partition."""
        self._produce([*self.records, *(closing(self.material, self.case) if to_the_end else ())])
        self.fed.set()

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """Let the first records come at once, the others while the body goes on once a run has begun to give alerts."""
        begun = int(len(self.records) * self.material.before)
        self._produce(self.records[:begun])
        end, errors = threading.Event(), list[BaseException]()

        def trickle() -> None:
            try:
                wait_until(lambda: end.is_set() or self.told() > 0, lambda: "no alert came of the first records")
                self.fed.set()
                self._trickle(self.records[begun:], end)
            except BaseException as error:  # noqa: BLE001  # raised where the thread is joined
                errors.append(error)
            finally:
                self.fed.set()

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            yield
        except BaseException:
            end.set()
            raise
        finally:
            thread.join()
        for error in errors:
            raise error

    def told(self) -> int:
        """Count the messages of the alert topic; 0 while the broker is away."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.name, "log_level": 0})
        try:
            places = [TopicPartition(self.alerts, number) for number in range(ALERT_PARTITIONS)]
            return sum(consumer.get_watermark_offsets(place, timeout=5)[1] for place in places)
        finally:
            consumer.close()

    def run(self) -> Processes:
        """Give the process, not yet started."""
        dice = None if self.case.host.runtime == "faust" else self.case.dice("hashes")
        return Processes(self.words(), self.folder, dice=dice)

    def _trickle(self, records: Sequence[Record], end: threading.Event) -> None:
        size = len(records) // PIECES + 1
        for at in range(0, len(records), size):
            self._produce(records[at : at + size])
            if end.wait(TRICKLE_SECONDS / PIECES):
                return
        self._produce(closing(self.material, self.case))

    def _produce(self, records: Sequence[Record]) -> None:
        """Write records and wait until the broker has them, though it be away for a while."""
        for record in records:
            self.producer.produce(
                self.topic(record.stream), record.line.encode(), record.key, record.partition, on_delivery=self._refused
            )
            self.producer.poll(0)
        assert self.producer.flush(120) == 0
        assert self.refused == []

    def _refused(self, error: object, _: object) -> None:
        if error is not None:
            self.refused.append(error)

    def _of_host(self) -> list[str]:
        host = self.case.host
        if host.runtime == "faust":
            return [
                *("--runtime", "faust", "--workers", str(host.workers), "--group", self.name),
                *("--http", f"127.0.0.1:{free_port()}"),
            ]
        if host.runtime == "flink":
            return ["--runtime", "flink", PARALLELISM, str(host.workers), "--group", self.name]
        small = self.case.disturbance != "calm"
        return ["--batch-rows", "200", "--commit-seconds", "0"] if small else []

    def _source(self, stream: str) -> str:
        if self.case.host.partitions:
            return f"kafka://{self.servers}/{self.topic(stream)}"
        return f"ndjson:{self.folder / f'{stream}.records.ndjson'}"

    def _write_files(self) -> None:
        for stream in self.material.streams:
            lines = [f"{record.line}\n" for record in self.records if record.stream == stream]
            (self.folder / f"{stream}.records.ndjson").write_text("".join(lines))

    def _make(self, topics: dict[str, int]) -> None:
        """Make topics; they go with the broker, which is of this test run."""
        admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        wanted = [NewTopic(topic, number, 1) for topic, number in topics.items()]
        for made in admin.create_topics(wanted).values():
            made.result(60)
        wait_until(lambda: set(topics) <= set(admin.list_topics(timeout=30).topics), lambda: f"no {topics}")
