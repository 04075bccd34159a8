"""From the outboxes of a worker's tasks to its sinks: one delivery per sink, a position per sink and task.

`where` belongs to a task, whose alerts move with it from worker to worker; so it is asked before the delivery, and its
memory is part of the task's state. `at_most` belongs to the delivery: it limits what one worker sends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from streams.faust.task import SinkPlace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from sinks.delivery import Delivery
    from sinks.where import Where
    from streams.faust.unit import Unit


class _Offered(NamedTuple):
    """A piece that a delivery took: confirmed when it has delivered up to `end`; then the task's place is this."""

    end: int
    unit: Unit
    place: SinkPlace


@dataclass(slots=True)
class _Outlet:
    delivery: Delivery
    where: Where | None
    offered: dict[int, SinkPlace] = field(default_factory=dict)
    ledger: deque[_Offered] = field(default_factory=deque)


class Outlets:
    """All sinks of a worker."""

    def __init__(self, deliveries: Sequence[tuple[Delivery, Where | None]]) -> None:
        self._outlets = [_Outlet(delivery, where) for delivery, where in deliveries]

    @property
    def names(self) -> list[str]:
        """The names of the sinks."""
        return [outlet.delivery.name for outlet in self._outlets]

    @property
    def troubles(self) -> Mapping[str, str]:
        """Which sinks are down now, and why."""
        return {
            outlet.delivery.name: str(outlet.delivery.trouble)
            for outlet in self._outlets
            if outlet.delivery.trouble is not None
        }

    def start(self) -> None:
        """Open the sinks; SinkError if one refuses for good."""
        for outlet in self._outlets:
            outlet.delivery.start()

    def adopt(self, unit: Unit) -> None:
        """Take a task up where its state says its sinks are; new ones get what is in its outbox."""
        chunks = unit.task.outbox.chunks
        start = chunks[0].start if chunks else unit.task.outbox.end
        for outlet in self._outlets:
            place = unit.task.places.get(outlet.delivery.name, SinkPlace(start))
            outlet.offered[id(unit)] = unit.places[outlet.delivery.name] = place
        unit.task.places = dict(unit.places)

    def drop(self, unit: Unit) -> None:
        """Forget a task that another worker has now; what is under way arrives, and is not counted."""
        for outlet in self._outlets:
            outlet.offered.pop(id(unit), None)

    def offer(self, unit: Unit) -> None:
        """Offer what is durable of a task, as far as the sinks take it; SinkError if one failed for good."""
        for outlet in self._outlets:
            self._offer(outlet, unit)

    def _offer(self, outlet: _Outlet, unit: Unit) -> None:
        for chunk in unit.chunks:
            place = outlet.offered[id(unit)]
            if chunk.end <= place.position:
                continue
            rows = chunk.rows.slice(max(0, place.position - chunk.start))
            passed = place.passed
            if outlet.where is not None:
                rows, passed = outlet.where.through(rows, passed)
            end = outlet.delivery.offered + rows.height
            if rows.height and not outlet.delivery.offer(rows, end):
                return
            outlet.offered[id(unit)] = SinkPlace(chunk.end, passed)
            outlet.ledger.append(_Offered(end, unit, SinkPlace(chunk.end, passed)))

    def offer_early(self, copies: pl.DataFrame, unit: Unit) -> None:
        """Pass early copies on at once; they may be lost."""
        for outlet in self._outlets:
            rows = copies
            if outlet.where is not None:
                rows, _ = outlet.where.through(copies, outlet.offered[id(unit)].passed)
            outlet.delivery.offer_early(rows)

    def collect(self) -> list[Unit]:
        """Note what the sinks have confirmed; give the tasks whose places have moved."""
        moved = []
        for outlet in self._outlets:
            outlet.delivery.check()
            while outlet.ledger and outlet.ledger[0].end <= outlet.delivery.delivered:
                _, unit, place = outlet.ledger.popleft()
                unit.places[outlet.delivery.name] = place
                moved.append(unit)
        return moved

    def close(self, seconds: float) -> bool:
        """Flush and close; whether everything offered has arrived."""
        closed = [outlet.delivery.close(seconds) for outlet in self._outlets]
        return all(closed)
