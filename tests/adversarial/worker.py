"""One bucket of one stage in the adversarial host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.contract import Instant
from operators.lookups import merge_versions
from operators.stage import own_part
from tocsin.model.rows import TIME

from .network import BEGINNING, TABLE, Actor, Packet, Parts

if TYPE_CHECKING:
    import polars as pl

    from operators.stage import Stage

    from .host import Host


@dataclass(slots=True, kw_only=True)
class Worker(Actor):
    """One bucket of one stage."""

    host: Host
    stage: Stage

    @property
    def sends_ahead(self) -> bool:
        """A stage gives rows up to its watermark."""
        return False

    def act(self) -> None:
        """Read some of the inbox, perhaps step, perhaps commit, perhaps die."""
        random, chaos = self.host.random, self.host.chaos
        waiting = self.host.inboxes[self.address][self.memory.position :]
        for packet in waiting[: random.choice([len(waiting), len(waiting), random.randint(0, len(waiting))])]:
            self._hear(packet)
        if random.random() < 0.8:
            self._step()
        if chaos.crashes and random.random() < 0.15:
            self.die()
        elif random.random() < 0.8:
            self.commit(flush=not (chaos.crashes and random.random() < 0.1))
            if self.memory.outbox:
                self.die()

    def _hear(self, packet: Packet) -> None:
        self.memory.position += 1
        heard = self.memory.heard[packet.sender]
        if packet.number < heard.expected:
            return
        assert packet.number == heard.expected, f"{self.address} misses a packet of {packet.sender}"
        assert packet.watermark >= heard.watermark, f"{packet.sender} takes its word back"
        heard.expected, heard.watermark, heard.closed = packet.number + 1, packet.watermark, packet.closed
        node = packet.sender[0]
        for number, rows in packet.parts.get(self.address, {}).items():
            if node.startswith(TABLE):
                self._change(node.removeprefix(TABLE), rows)
            else:
                self.memory.arrived.setdefault(number, []).append(rows)

    def _change(self, table: str, rows: pl.DataFrame) -> None:
        tables, key = self.memory.tables, self.host.plan.tables[table].key
        tables[table] = merge_versions(tables[table], rows, key, self.memory.watermark)

    def _step(self) -> None:
        memory, random = self.memory, self.host.random
        if memory.closed:
            return
        reached = min(heard.watermark for heard in memory.heard.values())
        if all(heard.closed for heard in memory.heard.values()):
            self._close(reached)
        elif reached > memory.watermark:
            delayed = self.host.chaos.delays and random.random() < 0.3 and memory.watermark > BEGINNING
            self._advance(random.randint(memory.watermark + 1, reached) if delayed else reached)
        elif self.host.chaos.wakeups and memory.watermark > BEGINNING and random.random() < 0.5:
            self._take(Instant(memory.watermark, tables=self._tables), {})

    def _advance(self, watermark: int) -> None:
        memory = self.memory
        due = memory.next_due is not None and memory.next_due <= watermark
        woken = self.host.chaos.wakeups and self.host.random.random() < 0.5
        parts: Parts = {}
        if due or woken or any(memory.arrived.values()):
            arrived, memory.arrived = memory.arrived, {}
            parts = self._take(Instant(watermark, tables=self._tables), arrived)
        self.give(parts, watermark)

    def _close(self, reached: int) -> None:
        end = self.host.case.end
        assert reached == end, f"{self.address} closes at {reached}, not at {end}"
        if not self.host.chaos.straight and self.memory.watermark < end:
            self._advance(end)
        arrived, self.memory.arrived = self.memory.arrived, {}
        self.give(self._take(Instant(end, end, self._tables), arrived), end, closed=True)

    @property
    def _tables(self) -> dict[str, pl.DataFrame]:
        """All tables that the stage looks up, and beside them the rows that hold keys of this bucket."""
        tables = dict(self.memory.tables)
        for name, key in self.stage.own.items():
            tables[own_part(name)] = tables[name].filter(self.host.bucket(self.stage, key) == self.address[1])
        return tables

    def _take(self, instant: Instant, arrived: dict[int, list[pl.DataFrame]]) -> Parts:
        named = {self.stage.inputs[number].name: parts for number, parts in arrived.items()}
        due = self.memory.next_due
        taken = self.stage.step(named, self.memory.state, instant)
        self.memory.state, self.memory.next_due = dict(taken.state), taken.next_due
        if not (arrived or instant.closing):
            least = taken.rows[TIME].min()
            assert least is None or (due is not None and due <= least), f"{self.address} was due at {least}, not {due}"
        assert taken.rows[TIME].is_sorted(), f"{self.address} gives rows out of order"
        return self.host.spread(self.stage.name, taken.rows)
