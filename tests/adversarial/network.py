"""What travels between the workers of the adversarial host, and what each of them must not forget."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from operators import state as state_bytes
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from operators.contract import State

BEGINNING = -(1 << 62)
TABLE = "table "
"""What the name of a node begins with that sends the changes of a table."""
Address = tuple[str, int]
"""A node and the number of its instance: a partition of a stream, a bucket of a stage."""
Parts = dict[Address, dict[int, pl.DataFrame]]
"""Rows per receiver and number of its input."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One message. `number`: among those of its sender. `closed`: the sender has taken its closing step."""

    sender: Address
    number: int
    watermark: int
    closed: bool
    parts: Parts


@dataclass(slots=True)
class Heard:
    """What a receiver knows of one sender."""

    expected: int = 0
    watermark: int = BEGINNING
    closed: bool = False


@dataclass(slots=True)
class Memory:
    """All that an actor must not forget. Commits copy it; frames are never changed in place, so references do.

    `arrived`: rows since the last step, by number of the input. `position`: how far the inbox, or the source, was read.
    `watermark`: up to where it has stepped and promised that nothing more comes. `sent`: number of the next packet.
    """

    state: dict[str, State] = field(default_factory=dict)
    arrived: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    heard: dict[Address, Heard] = field(default_factory=dict)
    next_due: int | None = None
    watermark: int = BEGINNING
    position: int = 0
    sent: int = 0
    outbox: list[Packet] = field(default_factory=list)
    closed: bool = False

    def copy(self) -> Memory:
        """Give a copy that later changes do not reach."""
        return replace(
            self,
            state=dict(self.state),
            arrived={number: list(parts) for number, parts in self.arrived.items()},
            tables=dict(self.tables),
            heard={sender: replace(heard) for sender, heard in self.heard.items()},
            outbox=list(self.outbox),
        )

    def through_bytes(self) -> Memory:
        """Give what another process would find: every frame of the state was bytes in between."""
        copy = self.copy()
        copy.state = {name: state_bytes.restore(state_bytes.dump(state)) for name, state in self.state.items()}
        copy.tables = dict(state_bytes.restore(state_bytes.dump(self.tables)))
        return copy


@dataclass(slots=True, kw_only=True)
class Actor:
    """What all that send have in common: numbers, an outbox, commits. `post` puts a packet into the inboxes."""

    address: Address
    post: Callable[[Packet], None]
    memory: Memory = field(default_factory=Memory)
    committed: Memory = field(default_factory=Memory)

    def give(self, parts: Parts, watermark: int, *, closed: bool = False) -> None:
        """Put a packet into the outbox; nothing in it may be older than what was promised before."""
        memory = self.memory
        times = [int(str(rows[TIME].min())) for by_input in parts.values() for rows in by_input.values()]
        assert min(times, default=watermark + 1) > memory.watermark, f"{self.address} gave a row after its time"
        assert closed or self.sends_ahead or max(times, default=watermark) <= watermark, f"{self.address}: too early"
        memory.outbox.append(Packet(self.address, memory.sent, watermark, closed, parts))
        memory.sent += 1
        memory.watermark, memory.closed = watermark, closed

    @property
    def sends_ahead(self) -> bool:
        """Whether rows after the watermark may be sent: sources do, stages do not."""
        return True

    def commit(self, *, flush: bool = True) -> None:
        """Make durable what was done; only then may others see it. Without `flush` it dies right after."""
        self.committed = self.memory.copy()
        if flush:
            self._flush()

    def die(self) -> None:
        """Lose the memory, come back with the last commit, and send (perhaps once more) what its outbox held."""
        self.memory = self.committed.through_bytes()
        self._flush()

    def _flush(self) -> None:
        for packet in self.memory.outbox:
            self.post(packet)
        self.memory.outbox.clear()

    def revive(self, memory: Memory) -> None:
        """Be what a snapshot of everything holds."""
        self.memory = memory.through_bytes()
        self.committed = self.memory.copy()

    def act(self) -> None:
        """Do something."""
        raise NotImplementedError
