"""From the outboxes of a worker's tasks to its sinks: one delivery per sink, a position per sink and task.

`where` belongs to a task, whose alerts move with it from worker to worker; so it is asked before the delivery, and its
memory is part of the task's state. `at_most` belongs to the delivery: it limits what one worker sends.

So does a sink's bookmark: a task that is taken over lets the sink look at what the worker before wrote since then.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from sinks.contract import HERE
from streams.chosen_sinks import offer_early
from streams.tasks.task import SinkPlace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from sinks.delivery import Delivery
    from sinks.where import Where
    from streams.faust.unit import Unit


class _Offered(NamedTuple):
    """A piece that a delivery took: confirmed when it has delivered up to `end`; the task's place is this then."""

    end: int
    unit: Unit
    place: SinkPlace


@dataclass(slots=True)
class _Outlet:
    """A sink. `offered`, `looks`: of each task what was offered, and the position behind which it has looked back."""

    delivery: Delivery
    where: Where | None
    offered: dict[int, SinkPlace] = field(default_factory=dict)
    looks: dict[int, int] = field(default_factory=dict)
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
        """Take a task up where its state says its sinks are; new ones get what is in its outbox.

        What the worker before may have written and not noted is looked at before it is offered again. A task without a
        state may be that of a group that was begun anew: then all that is there is looked at.
        """
        outbox = unit.task.outbox
        unit.inherited = outbox.end
        for outlet in self._outlets:
            name = outlet.delivery.name
            place = unit.task.places.get(name, SinkPlace(outbox.start))
            outlet.offered[id(unit)] = unit.places[name] = place
            if unit.durable is None or place.position < outbox.end:
                outlet.delivery.look_back(place.bookmark)
                outlet.looks[id(unit)] = outlet.delivery.offered
        unit.task.places = dict(unit.places)

    def drop(self, unit: Unit) -> None:
        """Forget a task that another worker has now; what is under way arrives, and is not counted."""
        for outlet in self._outlets:
            outlet.offered.pop(id(unit), None)
            outlet.looks.pop(id(unit), None)

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

    def offer_early(self, copies: pl.DataFrame) -> None:
        """Pass early copies on at once, in any thread; they may be lost."""
        offer_early(copies, ((outlet.delivery, outlet.where) for outlet in self._outlets))

    def collect(self) -> list[Unit]:
        """Note what the sinks have confirmed; give the tasks whose places have moved."""
        moved = []
        for outlet in self._outlets:
            outlet.delivery.check()
            progress = outlet.delivery.progress
            while outlet.ledger and outlet.ledger[0].end <= progress.position:
                _, unit, place = outlet.ledger.popleft()
                before = unit.places[outlet.delivery.name]
                bookmark = before.bookmark if place.position < unit.inherited else progress.bookmark
                unit.places[outlet.delivery.name] = replace(place, bookmark=bookmark)
                moved.append(unit)
        return moved

    def mark(self, unit: Unit) -> None:
        """Before a commit where nothing waits: what the task gives from now on comes behind where the sinks stand."""
        for outlet in self._outlets:
            place, progress = unit.places[outlet.delivery.name], outlet.delivery.progress
            looked = progress.position > outlet.looks.get(id(unit), -1) and progress.bookmark != HERE
            if looked and place.position == unit.task.outbox.end:
                unit.places[outlet.delivery.name] = replace(place, bookmark=progress.bookmark)

    @property
    def idle(self) -> bool:
        """Whether the sinks have confirmed all that they took."""
        return not any(outlet.ledger for outlet in self._outlets)

    def close(self, seconds: float) -> bool:
        """Flush and close; whether everything offered has arrived."""
        closed = [outlet.delivery.close(seconds) for outlet in self._outlets]
        return all(closed)
