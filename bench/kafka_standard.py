"""The standard job from a topic to the alert topic: `local`, `faust`, and peers that do the same in the same run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.events import Load
from bench.kafka_job import Order, Took, carried_out
from bench.kafka_topologies import on_topic
from bench.kafka_worker import COMMAND, notes_of
from bench.peer import LATENESS, Alert
from bench.peers import quix_environment
from bench.rows import Row
from bench.standard import WrongError, alerts
from bench.topologies import STANDARD_MOST, standard
from streams.faust.running import Run
from streams.faust.running import carry_out as carry_out_faust
from tocsin.cli.files import load_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.context import Bench
    from bench.kafka_cluster import Cluster

EVENTS = 4_000_000
FEW, FEWEST = Load(300_000), Load(60_000, keys=2_500, per_second=5_000)
LOCAL_LEAST, FAUST_LEAST = 400e3, 150e3
PEER = "Kafka, plain loop"


@dataclass(slots=True)
class Topic:
    """Events in a topic, and what is to be found in them. `until`: where runs over it end (ms)."""

    cluster: Cluster
    folder: Path
    topology: Path
    name: str
    records: int
    until: int

    def order(self, alerts: str = "") -> Order:
        """Give an order whose alerts have a topic of their own, made here if none is given."""
        server = self.cluster.servers
        where = (str(self.folder), str(self.topology))
        return Order(
            server, self.name, alerts or self.cluster.alerts(), self.until, self.records, STANDARD_MOST, *where
        )

    def told(self, order: Order) -> list[Alert]:
        """Read the alerts that a peer gave."""
        decode = msgspec.json.Decoder(Alert).decode
        return sorted(map(decode, self.cluster.values(order.alerts)))

    def complete(self, alert: Alert) -> bool:
        """Whether an alert was raised by a window that is over at the end of the run."""
        return alert.kind == "raised" and alert.time <= self.until

    def said(self, order: Order) -> list[Alert]:
        """Read the alerts that a runtime gave, as peers tell them."""
        lines = self.folder / "alerts.ndjson"
        lines.write_bytes(b"".join(value + b"\n" for value in self.cluster.values(order.alerts)))
        return alerts(lines)


def rows(bench: Bench, cluster: Cluster) -> Iterator[Row]:
    """Give the rows: a bare consume, the loop, the runtimes over as much; then what is slower, over less."""
    many = filled(bench, cluster, "many", Load(bench.sized(EVENTS)))
    bare = carried_out(many.order(), "bench.peers.consume")
    order = many.order()
    loop = carried_out(order, "bench.peers.loop")
    wanted = many.told(order)
    if not wanted:
        raise WrongError("the plain loop found no alert: take more events")
    yield _row("Kafka, bare consume", bare, loop, note="nothing is decoded")
    yield _row(PEER, loop, loop, note=f"{len(wanted)} alerts, nothing kept")
    yield _checked("Kafka, local", many, _local, wanted, loop, LOCAL_LEAST)
    yield _checked("Kafka, faust, one worker", many, _faust, wanted, loop, FAUST_LEAST)
    cluster.remove(many.name)
    yield from _slower(bench, cluster, loop)


def _slower(bench: Bench, cluster: Cluster, loop: Took) -> Iterator[Row]:
    """Give the rows of what takes event by event, over fewer events, each key with as many in a window."""
    topic = filled(bench, cluster, "few", FEW)
    yield _quix(topic, _found(topic), loop)
    for name, kept in (("Kafka, plain Faust, per event", False), ("Kafka, plain Faust, with a table", True)):
        topic = filled(bench, cluster, "fewest", FEWEST)
        order = msgspec.structs.replace(topic.order(), kept=kept)
        took = carried_out(order, "bench.peers.plain_faust")
        wanted = _found(topic)
        compare(name, topic.told(order), wanted)
        what = "a changelog keeps its state" if kept else "nothing kept"
        yield _row(
            name, took, loop, note=f"{took.records:,} events; {len(wanted)} alerts, the same as the loop; {what}"
        )


def _found(topic: Topic) -> list[Alert]:
    """Give what the loop finds."""
    order = topic.order()
    carried_out(order, "bench.peers.loop")
    return topic.told(order)


def filled(bench: Bench, cluster: Cluster, name: str, load: Load) -> Topic:
    """Give a topic with the events of a load."""
    topic = cluster.topic(name)
    cluster.fill(topic, load)
    folder = bench.folder / topic
    folder.mkdir()
    topology = folder / "topology.yaml"
    topology.write_text(on_topic(standard(), topic), encoding="utf-8")
    return Topic(cluster, folder, topology, topic, load.events, cluster.end(topic, LATENESS))


def _row(name: str, took: Took, peer: Took, least: float | None = None, note: str = "") -> Row:
    each = f"{took.cpu / took.records * 1e6:.2f} us of CPU per event"
    told = f"{note}; {each}" if note else each
    return Row(name, took.rate, "events/s", least, ratio=took.rate / peer.rate, base=PEER, cpu=took.cpu, note=told)


def _checked(
    name: str, topic: Topic, carry_out: Callable[[Order], Took], wanted: list[Alert], peer: Took, least: float
) -> Row:
    order = topic.order()
    took = carry_out(order)
    compare(name, topic.said(order), wanted)
    return _row(name, took, peer, least, f"{len(wanted)} alerts, the same as the loop")


def _quix(topic: Topic, wanted: list[Alert], peer: Took) -> Row:
    name = f"Kafka, Quix Streams {quix_environment.VERSION}"
    try:
        python = quix_environment.python()
    except quix_environment.MissingError as missing:
        return Row(name, None, "events/s", note=str(missing))
    order = topic.order()
    took = carried_out(order, "bench.peers.quix", python)
    wanted = list(filter(topic.complete, wanted))
    compare(name, list(filter(topic.complete, topic.told(order))), wanted)
    what = f"{len(wanted)} raised by complete windows, the same as the loop"
    return _row(name, took, peer, note=f"{took.records:,} events; {what}")


def _local(order: Order) -> Took:
    return carried_out(order, "bench.kafka_local")


def _faust(order: Order) -> Took:
    """Run one worker; its clock runs from when it may fetch to the last alert that the topic's sink has confirmed."""
    folder = Path(order.folder) / "faust"
    sink, source = f"kafka://{order.servers}/{order.alerts}", f"kafka://{order.servers}/{order.topic}"
    topology = Path(order.topology)
    run = Run(load_plan(topology), topology, folder, {"payments": source}, [sink], group=f"faust-{order.topic}")
    run.until, run.web, run.command = order.until, False, COMMAND
    if not carry_out_faust(run):
        raise WrongError(f"the Faust worker is not through; see {folder}")
    notes = notes_of(folder, 0)
    begun = next(note for note in notes if note.what == "fetching")
    ended = [note for note in notes if note.what == "delivered"][-1]
    read = sum(note.records for note in notes if note.what == "taken")
    return Took(read, ended.at - begun.at, ended.cpu - begun.cpu)


def compare(name: str, found: list[Alert], wanted: list[Alert]) -> None:
    """Raise WrongError where alerts differ."""
    if found != wanted:
        only = sorted(set(found) ^ set(wanted))[:3]
        raise WrongError(f"{name} found {len(found)} alerts, the loop {len(wanted)}; they differ in {only}")
