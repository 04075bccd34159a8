"""What a task sends to shards: gathered between two commits, sealed into numbered packets with the commit."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from streams.faust.packets import Header, cut, encode
from tocsin.model.keys import split

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from streams.faust.layout import Layout
    from streams.faust.packets import Parts

SEALED: Mapping[str, pl.DataType] = {
    "shard": pl.Int64(),
    "number": pl.Int64(),
    "packet": pl.Binary(),
}


class Sealed(NamedTuple):
    """Packets of one commit, and which of the task's commits it was."""

    serial: int
    packets: pl.DataFrame


@dataclass(slots=True)
class Outgoing:
    """Rows on their way to shards. `numbers`: of the next packet to each; `told`: the watermarks said last."""

    sender: str
    layout: Layout
    numbers: list[int] = field(init=False)
    told: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    waiting: list[Sealed] = field(default_factory=list)
    _serial: int = 0
    _parts: defaultdict[int, defaultdict[tuple[str, str], list[pl.DataFrame]]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with number 0 to each shard."""
        self.numbers = [0] * self.layout.shards
        self._parts = defaultdict(lambda: defaultdict(list))

    def add(self, node: str, rows: pl.DataFrame) -> dict[str, int]:
        """Take rows of a node for those who read it through the exchange; how many had a null key, by stage."""
        nulls = {}
        for stage, item in self.layout.exchanged.get(node, ()):
            kept, nulls[stage.name] = item.prepare(rows)
            for bucket, part in split(kept, stage.key, self.layout.shards).items():
                self._parts[bucket][stage.name, item.name].append(part)
        return nulls

    def seal(self, watermarks: Mapping[str, int], closed: Collection[str] = ()) -> None:
        """Make packets of what was gathered; to all shards, where a watermark has moved."""
        heard = {node: at for node, at in watermarks.items() if node in self.layout.exchanged}
        over = {node for node in closed if node in self.layout.exchanged}
        moved = heard != self.told or over != self.closed
        rows = []
        for shard in range(self.layout.shards if heard else 0):
            if moved or shard in self._parts:
                rows += self._packets(shard, heard, sorted(over))
        self._parts.clear()
        self.told, self.closed = heard, over
        if rows:
            sealed = pl.DataFrame(rows, schema=dict(SEALED), orient="row")
            self._serial += 1
            self.waiting.append(Sealed(self._serial, sealed))

    def _packets(self, shard: int, watermarks: dict[str, int], closed: list[str]) -> list[tuple[int, int, bytes]]:
        """Give the packets to one shard; only the last one says how far event time is."""
        parts: Parts = {place: pl.concat(frames) for place, frames in self._parts[shard].items()}
        cuts = list(cut(parts))
        made = []
        for at, part in enumerate(cuts, start=1):
            last = at == len(cuts)
            header = Header(
                self.sender,
                self.numbers[shard],
                self.layout.plan.version,
                self.layout.shards,
                watermarks if last else {},
                closed if last else [],
            )
            made.append((shard, self.numbers[shard], encode(header, part)))
            self.numbers[shard] += 1
        return made

    def published(self, serial: int) -> None:
        """Let go of packets that the broker has, up to those of a commit."""
        self.waiting = [sealed for sealed in self.waiting if sealed.serial > serial]

    def resume(self, waiting: pl.DataFrame) -> None:
        """Take back what a commit held; it is sent once more."""
        if waiting.height:
            self._serial += 1
            self.waiting = [Sealed(self._serial, waiting)]
