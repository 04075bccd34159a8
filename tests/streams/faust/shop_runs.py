"""A small shop on Kafka: its records in a topic, workers that judge them, and what a run over the same file gives."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl
import polars.selectors as cs
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from operators.alerting.canonical import canonical
from sinks import ndjson
from streams.faust.app import changelog_of
from streams.faust.running import Run, carry_out
from streams.faust.topics import clock_of, exchange_of
from streams.local.runner import Settings
from streams.local.running import Order
from streams.local.running import carry_out as carry_out_local
from streams.tasks import values
from streams.tasks.packets import decode
from tests.sinks.alert_topic import key, messages, value
from tests.waiting import WITHIN
from tocsin.compiler import compile_topology
from tocsin.language import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.servers.fixtures import Topics

TOPOLOGY = """
topology: {name: shop}
streams:
  payments:
    topic: shop.payment.v1
    id: payment_id
    time: {field: at, lateness: 10s, idle: 2s}
    partitioned_by: card
    fields: {payment_id: string, at: timestamp, card: person(card), shop: shops, amount: decimal(2)}
    checks: {positive: amount > 0}
tables:
  shops:
    key: shop
    file: shops.csv
    fields: {shop: string, most: int64}
features:
  minutes:
    from: payments
    by: card
    windows: {tumbling 1m: {payments: count(), most: max(shop.most)}}
  pace:
    from: payments
    by: card
    windows: {trailing 10m: {payments: count(), spent: sum(amount)}}
  places:
    from: payments
    by: shop
    windows: {hopping 5m every 1m: {cards: count(distinct card), taken: sum(amount)}}
rules:
  busy:
    from: minutes
    levels: {blue: "payments >= coalesce(most, 3)"}
    says: "{payments} payments in a minute"
  pace:
    from: pace
    parameters: {many: 6 payments}
    levels: {yellow: {when: payments >= many, reset: payments < 3}, red: spent > 2000}
    keep: 20m
    says: "{payments} payments, {spent} spent"
  crowded:
    from: places
    levels: {orange: {when: cards >= 6, reset: cards < 5}}
    says: "{cards} cards"
  large:
    from: payments
    entity: [card]
    levels: {red: amount >= 490}
    keep: 1h
    says: "one payment of {amount}"
"""
"""`places` needs the exchange; the others run beside the partitions, while cards are what those are cut by."""
COUNTED = """
  counted:
    from: quality
    entity: [stream, field]
    levels: {blue: records + missing + failed + late >= 0}
    keep: 1m
"""
"""An alert for each row of `quality`, with its counts as values."""
BEGIN = 1_772_442_000_000
EVENTS = 6_000
UNTIL = BEGIN + EVENTS * 200 + 3_600_000
SHOPS = {f"s{number}": 2 + number % 4 for number in range(0, 30, 2)}
QUICK: dict[str, float | int | str | bool] = {"broker_session_timeout": 6.0, "broker_heartbeat_interval": 1.0}


def records() -> Iterator[tuple[str, bytes]]:
    """Give cards and records, out of order within the lateness, some twice and a few of no use."""
    chance = random.Random(7)  # noqa: S311  # a fixed crowd
    at = BEGIN
    for number in range(EVENTS):
        at += chance.randint(0, 400)
        card = f"4000{int(chance.random() ** 3 * 300):04}"
        amount = "x" if number % 997 == 996 else f"{chance.randint(1, 50_000) / 100:.2f}"
        record = {"payment_id": f"p{number}", "at": at - chance.randint(0, 4_000), "card": card}
        line = json.dumps(record | {"shop": f"s{chance.randint(0, 30)}", "amount": amount}).encode()
        yield card, line
        if number % 500 == 499:
            yield card, line


@cache
def expected(folder: Path, text: str) -> pl.DataFrame:
    """Give the canonical form of a run over the records as a file, each topology in a folder of its own."""
    folder /= f"{zlib.crc32(text.encode()):08x}"
    folder.mkdir()
    file, alerts = folder / "payments.ndjson", folder / "alerts.ndjson"
    file.write_bytes(b"".join(line + b"\n" for _, line in records()))
    topology = topology_in(folder, text)
    plan = compile_topology(loads(text, str(topology)))
    sources = {"payments": f"ndjson:{file}"}
    carry_out_local(Order(plan, topology, sources, [f"ndjson:{alerts}"], settings=Settings(until=UNTIL)))
    return canonical(ndjson.decode(alerts.read_bytes().splitlines()))


def topology_in(folder: Path, text: str) -> Path:
    """Put the topology and its table into a folder."""
    (folder / "shops.csv").write_text("shop,most\n" + "".join(f"{shop},{most}\n" for shop, most in SHOPS.items()))
    path = folder / "shop.yaml"
    path.write_text(text)
    return path


def topics_of(servers: str) -> Topics:
    """Give what makes topics on a test's own broker."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})

    def make(name: str = "", partitions: int = 1, **settings: str) -> str:
        assert not settings
        (made,) = admin.create_topics([NewTopic(name, partitions, 1)]).values()
        made.result(30)
        return name

    return make


@dataclass
class Shop:
    """One run of workers over a topic of its own.

    `direct`: the stream says that cards cut its partitions; `scattered`: that is not true. `tabled`: the table of shops
    is a topic. `idle`: nobody waits for it where a last record of each partition is beyond the end of the run. `skew`:
    of the stream. `judged`: its quality is told of, which no run over files repeats.
    """

    folder: Path
    servers: str
    topics: Topics
    group: str
    partitions: int = 1
    workers: int = 1
    direct: bool = True
    scattered: bool = False
    tabled: bool = False
    idle: str = "60s"
    skew: str = "1h"
    judged: bool = False
    command: tuple[str, ...] = ()
    topic: str = field(init=False)
    alerts: str = field(init=False)
    stopped: threading.Event = field(default_factory=threading.Event)
    warned: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make its topics."""
        self.topic = self.topics(f"{self.group}.payments", partitions=self.partitions)
        self.alerts = self.topics(f"{self.group}.alerts", partitions=2)

    @property
    def text(self) -> str:
        """The topology."""
        text = self.filed + COUNTED if self.judged else self.filed
        return text.replace("file: shops.csv", f"topic: {self.group}.shops") if self.tabled else text

    @property
    def filed(self) -> str:
        """The same with its table in a file."""
        text = TOPOLOGY.replace("idle: 2s", f"idle: {self.idle}, skew: {self.skew}")
        return text if self.direct else text.replace("    partitioned_by: card\n", "")

    def produce(self, pause: float = 0.0, until: threading.Event | None = None) -> None:
        """Write all records, in about `pause` seconds; then, but not before `until`, those that end the run.

        That is one in each partition, beyond the end.
        """
        kept_in_order = {"enable.idempotence": True}  # also where a broker that has just begun refuses some at first
        producer = Producer({"bootstrap.servers": self.servers, "compression.type": "lz4", **kept_in_order})
        for number, (card, line) in enumerate(records()):
            place = number // 7 if self.scattered or not self.direct else zlib.crc32(card.encode())
            producer.produce(self.topic, line, card.encode(), place % self.partitions)
            if pause and number % 100 == 99:
                producer.flush(30)
                time.sleep(pause * 100 / EVENTS)
        assert until is None or until.wait(WITHIN)
        for place in range(self.partitions):
            last = {"payment_id": f"end{place}", "at": UNTIL + 60_000, "card": f"end{place}", "amount": "1.00"}
            producer.produce(self.topic, json.dumps(last).encode(), b"end", place)
        assert producer.flush(30) == 0

    def produce_in_transactions(self) -> None:
        """Write all records to the first partition; before each part of them comes one that is given up."""
        producer = self._transactional()
        written = list(records())
        for begin in range(0, len(written), 1500):
            self._give_up(producer, begin)
            producer.begin_transaction()
            for card, line in written[begin : begin + 1500]:
                producer.produce(self.topic, line, card.encode(), 0)
            producer.commit_transaction(30)

    def give_up_a_transaction(self) -> None:
        """Let the first partition end with what nobody is to read."""
        self._give_up(self._transactional(), EVENTS)

    def _transactional(self) -> Producer:
        producer = Producer({"bootstrap.servers": self.servers, "transactional.id": self.group})
        producer.init_transactions(30)
        return producer

    def _give_up(self, producer: Producer, begin: int) -> None:
        producer.begin_transaction()
        for number in range(50):
            record = {"payment_id": f"x{begin + number}", "at": BEGIN + 200 * begin, "card": f"c{number}", "shop": "s1"}
            producer.produce(self.topic, json.dumps({**record, "amount": "499.00"}).encode(), b"1", 0)
        producer.flush(30)
        producer.abort_transaction(30)

    def run(self, **more: object) -> bool:
        """Run the workers until they are through."""
        path = topology_in(self.folder, self.text)
        plan = compile_topology(loads(self.text, str(path)))
        sources = {"payments": f"kafka://{self.servers}/{self.topic}"}
        run = Run(
            plan,
            path,
            self.folder / "state",
            sources,
            [f"kafka://{self.servers}/{self.alerts}"],
            group=self.group,
            workers=self.workers,
            until=UNTIL,
            commit_seconds=0.2,
            web=False,
            settings=QUICK,
            stop=self.stopped.is_set,
            warn=self.warned.append,
        )
        for name, given in {**({"command": self.command} if self.command else {}), **more}.items():
            setattr(run, name, given)
        return carry_out(run)

    def produce_table(self) -> None:
        """Write the rows of the table into its topic, valid before the first record."""
        topic = self.topics(f"{self.group}.shops", partitions=2, cleanup_policy="compact")
        producer = Producer({"bootstrap.servers": self.servers})
        for shop, most in SHOPS.items():
            row = json.dumps({"shop": shop, "most": most})
            producer.produce(topic, row, shop, timestamp=BEGIN - 86_400_000)
        assert producer.flush(30) == 0

    @property
    def crashes(self) -> list[str]:
        """What was said of workers that crashed."""
        return [sentence for sentence in self.warned if "is started again" in sentence]

    def told(self) -> int:
        """Count the messages of the alert topic."""
        return len(messages(self.servers, self.alerts))

    def given(self) -> pl.DataFrame:
        """Give the canonical form of the alert topic, copies, early ones too, and what was told of quality left out.

        Without the version of rules where the table is a topic, since that is part of it.
        """
        found = canonical(self._log().filter(pl.col("rule") != "counted"))
        return found.drop("rule_version") if self.tabled else found

    def _log(self) -> pl.DataFrame:
        rows = ndjson.decode([value(message) for message in messages(self.servers, self.alerts)])
        return rows.filter(~pl.col("early")).unique(["alert_id", "sequence"], maintain_order=True)

    def counted(self) -> dict[str, tuple[int, ...]]:
        """Give what was counted over all minutes, by field: records, missing, failed, late."""
        words, sums = ("records", "missing", "failed", "late"), dict[str, tuple[int, ...]]()
        told = self._log().filter(pl.col("rule") == "counted")
        for name, given in zip(told["entity"], told["values"], strict=True):
            field_, counts = json.loads(name)["field"], json.loads(given)
            sums[field_] = tuple(map(sum, zip(sums.get(field_, (0, 0, 0, 0)), map(counts.get, words), strict=True)))
        return sums

    @property
    def quality(self) -> dict[str, tuple[int, ...]]:
        """What there is to be counted, by field, when `produce` is through."""
        number = EVENTS + EVENTS // 500 + self.partitions
        none, bad = (number, 0, 0, 0), EVENTS // 997
        return {"payment_id": none, "at": none, "card": none} | {
            "": (number, 0, bad, 0),
            "shop": (number, self.partitions, 0, 0),
            "amount": (number, 0, bad, 0),
        }

    def unlike(self, wanted: pl.DataFrame) -> str:
        """Tell what differs from the canonical form that was wanted."""
        given = self.given()
        rows = [
            f"{side} {row}"
            for side, some, other in (("+", given, wanted), ("-", wanted, given))
            for row in some.join(other, on=some.columns, how="anti", nulls_equal=True).rows()
        ]
        return "\n".join([*rows[:20], f"{len(rows)} rows"])

    def logs(self) -> str:
        """Give what workers said."""
        return "\n".join(path.read_text()[-4000:] for path in sorted((self.folder / "state").glob("worker-*.log")))


def stored_texts(shop: Shop) -> Iterator[str]:
    """Give all texts that the group has in Kafka, unpacked: packets, states as they were from time to time, alerts."""
    for topic in (shop.alerts, clock_of(shop.group)):
        yield from (value(message).decode() for message in messages(shop.servers, topic))
    for message in messages(shop.servers, exchange_of(shop.group)):
        yield from _texts(decode(value(message)).parts.values())
    for topic in (shop.topic, exchange_of(shop.group)):
        table: dict[bytes, bytes] = {}
        for number, message in enumerate(messages(shop.servers, changelog_of(shop.group, topic))):
            table[key(message)] = message.value() or b""
            if key(message).endswith(b"|head") and number % 7 == 0:
                loaded = values.load({name: data for name, data in table.items() if data}, message.partition() or 0)
                assert loaded is not None
                yield loaded.head.plain.__repr__()
                yield from _texts(loaded.frames.values())


def _texts(frames: Iterable[pl.DataFrame]) -> Iterator[str]:
    """Give what frames hold as texts; bytes, which JSON has no word for, as if each was a letter."""
    for frame in frames:
        yield frame.select(~cs.binary()).write_json()
        for column in frame.select(cs.binary()):
            yield "\n".join((value or b"").decode("latin-1") for value in column)


@dataclass
class Aside:
    """Something that is done in a thread beside the run, whose errors count."""

    what: Callable[[], None]
    error: BaseException | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        return self

    def _work(self) -> None:
        try:
            self.what()
        except BaseException as error:  # noqa: BLE001  # raised where the thread is joined
            self.error = error

    def __exit__(self, *_: object) -> None:
        """Wait for its end."""
        self.thread.join()
        if self.error is not None:
            raise self.error


def workers_of(folder: Path) -> dict[int, int]:
    """Find the worker processes of a run: number to process id."""
    order = str(folder / "state" / "order.json").encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if order in words:
            found[int(words[words.index(order) + 1])] = int(process.name)
    return found


def kill(folder: Path, number: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Kill a worker, or ask it to end."""
    os.kill(workers_of(folder)[number], by)
