"""Where packets begin in the adversarial host: partitions of streams, changes of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.model.rows import TIME

from .case import as_records, make_ingest, up_to
from .network import BEGINNING, Actor, Parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from .case import Event
    from .host import Host


@dataclass(slots=True, kw_only=True)
class Partition(Actor):
    """A partition of a stream: records in the order of arrival, through the ingest stage."""

    host: Host
    stream: str
    events: Sequence[Event]

    def act(self) -> None:
        """Read on, and say how far event time is; less than is known, if delays are on."""
        host, memory = self.host, self.memory
        if memory.closed:
            return
        ingest = make_ingest(host.plan, self.stream, self.address[1])
        most = host.random.randint(1, max(1, len(self.events) // 2))
        batch = self.events[memory.position : memory.position + most]
        done = ingest.step(as_records(batch, memory.position), memory.state.get("ingest", ingest.initial()))
        assert not done.late.height, "a case has no late records"
        memory.state["ingest"], memory.position = done.state, memory.position + len(batch)
        over = memory.position >= len(self.events)
        known = BEGINNING if done.watermark is None else min(done.watermark, host.case.end)
        rows = up_to(done.rows, host.case.end)
        self.give(host.spread(self.stream, rows), host.case.end if over else self._said(known), closed=over)

    def _said(self, known: int) -> int:
        delay = self.host.random.choice([0, 0, 1, 5000, 3_600_000]) if self.host.chaos.delays else 0
        return max(self.memory.watermark, known - delay)


@dataclass(slots=True, kw_only=True)
class TableFeed(Actor):
    """The changes of a table, sent to everybody who looks it up; the watermark is just before the next change."""

    host: Host
    table: str
    versions: pl.DataFrame

    def act(self) -> None:
        """Send the next changes."""
        host, memory = self.host, self.memory
        if memory.closed:
            return
        rest = self.versions[memory.position :]
        rows = rest[: host.random.randint(0, rest.height)]
        memory.position += rows.height
        over = memory.position >= self.versions.height
        known = host.case.end if over else min(self.versions[TIME][memory.position] - 1, host.case.end)
        readers = [worker.address for worker in host.workers.values() if self.table in worker.stage.tables]
        parts: Parts = {address: {0: rows} for address in readers} if rows.height else {}
        self.give(parts, max(memory.watermark, known), closed=over)
