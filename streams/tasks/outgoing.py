"""What a task sends to shards: gathered while it takes, sealed into numbered packets when it settles."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from streams.tasks.packets import Header, cut, encode
from tocsin.model.keys import split

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from streams.tasks.layout import Layout
    from streams.tasks.packets import Parts

SEALED: Mapping[str, pl.DataType] = {
    "slot": pl.Int64(),
    "number": pl.Int64(),
    "packet": pl.Binary(),
}


class Sealed(NamedTuple):
    """Packets of one commit, and which of the task's commits it was."""

    serial: int
    packets: pl.DataFrame


@dataclass(slots=True)
class Outgoing:
    """Rows on their way to shards.

    `numbers`: of the next packet to each slot; `told`: the watermarks said last. `since`: from when on (ms) `quality`
    is counted.
    """

    sender: str
    layout: Layout
    numbers: list[int] = field(init=False)
    told: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    waiting: list[Sealed] = field(default_factory=list)
    since: int = 0
    _serial: int = 0
    _parts: defaultdict[int, defaultdict[tuple[str, str], list[pl.DataFrame]]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with number 0 to each shard."""
        self.numbers = [0] * len(self.layout.slots)
        self._parts = defaultdict(lambda: defaultdict(list))

    def add(self, node: str, rows: pl.DataFrame) -> dict[str, int]:
        """Take rows of a node for those who read it through the exchange; how many had a null key, by stage."""
        nulls = {}
        for stage, item in self.layout.exchanged.get(node, ()):
            kept, nulls[stage.name] = item.prepare(rows)
            first = self.layout.layer_of[stage.name] * self.layout.shards
            for bucket, part in split(kept, stage.key, self.layout.shards).items():
                self._parts[first + bucket][stage.name, item.name].append(part)
        return nulls

    def seal(self, watermarks: Mapping[str, int], closed: Collection[str] = ()) -> None:
        """Make packets of what was gathered; to all shards of a layer, where a watermark has moved that it reads."""
        heard = {node: at for node, at in watermarks.items() if node in self.layout.exchanged}
        over = {node for node in closed if node in self.layout.exchanged}
        rows = []
        for layer, read in enumerate(self.layout.read):
            known = {node: at for node, at in heard.items() if node in read}
            moved = over & read != self.closed & read or any(self.told.get(node) != at for node, at in known.items())
            first = layer * self.layout.shards
            for slot in range(first, first + self.layout.shards if known else first):
                if moved or slot in self._parts:
                    rows += self._packets(slot, known, sorted(over & read))
        self._parts.clear()
        self.told, self.closed = heard, over
        if rows:
            sealed = pl.DataFrame(rows, schema=dict(SEALED), orient="row")
            self._serial += 1
            self.waiting.append(Sealed(self._serial, sealed))

    def _packets(self, slot: int, watermarks: dict[str, int], closed: list[str]) -> list[tuple[int, int, bytes]]:
        """Give the packets to one shard; only the last one says how far event time is."""
        parts: Parts = {place: pl.concat(frames) for place, frames in self._parts[slot].items()}
        cuts = list(cut(parts))
        made = []
        for at, part in enumerate(cuts, start=1):
            last = at == len(cuts)
            header = Header(
                self.sender,
                self.numbers[slot],
                self.layout.plan.version,
                self.layout.shards,
                watermarks if last else {},
                closed if last else [],
                self.since,
            )
            made.append((slot, self.numbers[slot], encode(header, part)))
            self.numbers[slot] += 1
        return made

    def gathered(self) -> Iterator[tuple[int, str, str, pl.DataFrame]]:
        """Give what was not sealed yet, for a commit in between: slot, stage, input, rows."""
        for slot, places in self._parts.items():
            for (stage, item), parts in places.items():
                if len(parts) > 1:
                    parts[:] = [pl.concat(parts)]
                yield slot, stage, item, parts[0]

    def gather(self, slot: int, stage: str, item: str, rows: pl.DataFrame) -> None:
        """Take back what was not sealed."""
        self._parts[slot][stage, item].append(rows)

    def published(self, serial: int) -> None:
        """Let go of packets that the broker has, up to those of a commit."""
        self.waiting = [sealed for sealed in self.waiting if sealed.serial > serial]

    def resume(self, waiting: pl.DataFrame) -> None:
        """Take back what a commit held; it is sent once more."""
        if waiting.height:
            self._serial += 1
            self.waiting = [Sealed(self._serial, waiting)]
