"""A worker without Faust and Kafka: real tasks of the shop, its table is a dictionary, its exchange a list."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from shop_runs import TOPOLOGY, records, topology_in

from monitoring.metrics import MemoryMetrics
from streams.faust.assembly import Around, make_hosting
from streams.faust.batches import Batch
from streams.faust.order import Order
from streams.faust.outlets import Outlets
from streams.local.tally import Tally
from streams.pseudonyms import DEVELOPMENT_KEY, Pseudonyms
from tocsin.compiler import compile_topology
from tocsin.language import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence
    from pathlib import Path

    import polars as pl

    from sinks.delivery import Delivery
    from streams.faust.batches import Record
    from streams.faust.hosting import Hosting


class Tp(NamedTuple):
    """A partition, as Faust names it."""

    topic: str
    partition: int


@dataclass(slots=True)
class Cluster:
    """What outlives workers (`wire.Wire`). `heads`: the table of the stream as it was after each commit."""

    tables: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    held: frozenset[Any] = frozenset()
    log_ends: dict[Any, int] = field(default_factory=dict)
    generation: int = 1
    heads: list[dict[bytes, bytes]] = field(default_factory=list)

    def table(self, topic: str) -> MutableMapping[bytes, bytes]:
        return self.tables.setdefault(topic, {})

    async def put(self, topic: str, partition: int, entries: Mapping[bytes, bytes | None]) -> None:
        del partition
        await asyncio.sleep(0)
        for key, value in entries.items():
            if value is None:
                self.table(topic).pop(key, None)
            else:
                self.table(topic)[key] = value
                if topic == PAYMENTS.topic and key.endswith(b"|head"):
                    self.heads.append(dict(self.tables[topic]))

    async def send(self, shard: int, packet: bytes) -> asyncio.Future[Any]:
        self.sent.append((shard, packet))
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def left(self, taken: Mapping[Any, int]) -> Mapping[Any, int]:
        return {tp: self.log_ends[tp] - offset for tp, offset in taken.items()}

    def hold(self, held: frozenset[Any]) -> None:
        self.held = held

    def seen(self, tp: object) -> int | None:
        return self.log_ends.get(tp)

    def committed(self, tp: object) -> int | None:
        del tp


@dataclass(slots=True)
class Letters:
    """Dead letters that were put aside."""

    put_aside: list[pl.DataFrame] = field(default_factory=list)

    def put(self, letters: pl.DataFrame, recorded_at: int) -> None:
        del recorded_at
        self.put_aside.append(letters)


@dataclass
class LoneWorker:
    """One worker of a cluster of the shop. `failed`: what would have ended it."""

    folder: Path
    cluster: Cluster
    deliveries: Sequence[Delivery] = ()
    pseudonyms: Pseudonyms = field(default_factory=lambda: Pseudonyms(DEVELOPMENT_KEY))
    commit_seconds: float = 0.0
    text: str = TOPOLOGY
    until: int | None = None
    early: bool = False
    group: str = "g"
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    failed: list[BaseException] = field(default_factory=list)
    hosting: Hosting = field(init=False)

    def __post_init__(self) -> None:
        """Put it together as `worker.build` does."""
        path = topology_in(self.folder, self.text)
        plan = compile_topology(loads(self.text, str(path)))
        order = Order(
            topology=path,
            group=self.group,
            servers="",
            topics={"payments": "payments"},
            partitions={"payments": 1},
            shards=1,
            folder=self.folder,
            until=self.until,
            early=self.early,
            commit_seconds=self.commit_seconds,
        )
        around = Around(
            self.cluster,
            Letters(),
            Outlets([(delivery, None) for delivery in self.deliveries]),
            Tally(self.metrics),
            self._fail,
        )
        self.hosting = make_hosting(plan, order, self.pseudonyms, around)

    async def _fail(self, error: BaseException) -> None:
        self.failed.append(error)

    async def begin(self, *tps: Tp) -> None:
        """Get an assignment."""
        positions = await self.hosting.load(tps)
        for tp in tps:
            self.hosting.begin(tp, positions.get(tp, 0))

    async def give(self, tp: Tp, begin: int, end: int) -> None:
        """Bring records of the shop as one batch; wait until the worker has room for it."""
        await self.hosting.take(event(tp, begin, end))


PAYMENTS = Tp("payments", 0)
LINES = [(card.encode(), line) for card, line in records()]


def event(tp: Tp, begin: int, end: int) -> SimpleNamespace:
    """Give the records of the shop from `begin` to `end` as Faust's event."""
    made = [
        SimpleNamespace(offset=offset, timestamp=-1, key=key, value=value)
        for offset, (key, value) in enumerate(LINES[begin:end], start=begin)
    ]
    value = Batch(tp, [cast("Record", one) for one in made], end)
    return SimpleNamespace(message=SimpleNamespace(tp=tp), value=value, ack=lambda: None)


async def become(true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while not true():  # noqa: ASYNC110  # what is waited for tells nobody
        await asyncio.sleep(0.01)


async def settled(worker: LoneWorker, end: int) -> None:
    """Wait until a partition is durable up to an offset."""
    await become(lambda: worker.hosting.durable(PAYMENTS) == end or bool(worker.failed))
    assert not worker.failed, worker.failed
