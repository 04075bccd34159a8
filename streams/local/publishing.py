"""From the transition log to the sinks: nothing leaves before the state that decided it is durable (semantics 23)."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitoring.names import shown
from streams.local.outbox import Outbox
from tocsin.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from sinks.delivery import Delivery, Progress

OUTBOX_MOST = 200_000
"""Transitions that may wait for a slow sink before the run stops reading."""
PATIENCE_SECONDS = 0.05


@dataclass(slots=True)
class Publisher:
    """The outbox and the deliveries that empty it. `durable`: transitions before it may leave."""

    deliveries: Sequence[Delivery]
    outbox: Outbox = field(default_factory=Outbox)
    durable: int = 0

    def start(self) -> None:
        """Open the sinks; SinkError if one refuses for good."""
        for delivery in self.deliveries:
            delivery.start()

    def add(self, transitions: pl.DataFrame) -> None:
        """Take transitions that were decided."""
        self.outbox.append(transitions)

    def add_early(self, copies: pl.DataFrame) -> None:
        """Pass early copies on at once; they may be lost."""
        for delivery in self.deliveries:
            delivery.offer_early(copies)

    def release(self, durable: int) -> None:
        """Let out what is durable now, as far as the sinks take it; a sink's final error is raised here."""
        self.durable = max(self.durable, durable)
        for delivery in self.deliveries:
            self._offer(delivery, wait=0.0)
        self._trim()

    def hold(self, give_up: Callable[[], bool]) -> None:
        """Wait while the outbox is too full: back pressure on the reading side."""
        while self.full and self.durable > self.outbox.start and not give_up():
            for delivery in self.deliveries:
                self._offer(delivery, wait=PATIENCE_SECONDS)
            time.sleep(PATIENCE_SECONDS)  # all may be taken and none delivered yet
            self._trim()

    def flush(self, deadline: float) -> bool:
        """Give the sinks everything that is durable, and close them; whether all of it arrived in time."""
        for delivery in self.deliveries:
            while delivery.offered < self.durable and self._offer(delivery, wait=deadline):
                pass
        arrived = [delivery.close(deadline) and delivery.delivered >= self.durable for delivery in self.deliveries]
        self._trim()
        return all(arrived)

    def abandon(self) -> None:
        """Close the sinks after an error, which says more than theirs would; what they lack is in the outbox."""
        for delivery in self.deliveries:
            with suppress(SinkError):
                delivery.close(0.0)

    @property
    def full(self) -> bool:
        """Whether more transitions wait than should."""
        return self.outbox.end - self.outbox.start > OUTBOX_MOST

    @property
    def progress(self) -> Mapping[str, Progress]:
        """How far each sink is, for the next commit."""
        return {delivery.name: delivery.progress for delivery in self.deliveries}

    @property
    def held_back(self) -> Mapping[str, int]:
        """How many alerts `at_most` held back, per sink where any was."""
        return {delivery.name: delivery.held_back for delivery in self.deliveries if delivery.held_back}

    @property
    def troubles(self) -> list[str]:
        """Say which sinks are down now, and why."""
        return [f"{delivery.name}: {delivery.trouble}" for delivery in self.deliveries if delivery.trouble is not None]

    @property
    def down(self) -> str:
        """Say which sinks are down now, as anybody may read it; "" if none is."""
        names = [shown(delivery.name) for delivery in self.deliveries if delivery.trouble is not None]
        return f"down and tried again: {', '.join(names)}" if names else ""

    def _offer(self, delivery: Delivery, wait: float) -> bool:
        """Offer what is durable; False where the sink's queue is full."""
        for chunk in self.outbox.since(delivery.offered, self.durable):
            if not delivery.offer(chunk.rows, chunk.end, wait):
                return False
        return True

    def _trim(self) -> None:
        if self.deliveries:
            self.outbox.trim(min(delivery.delivered for delivery in self.deliveries))
        else:
            self.outbox.trim(self.durable)
