"""Which partitions are idle: their reader has been at the end of the log for `idle`, by the clock (semantics 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streams.faust.source_task import SourceTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.faust.unit import Unit


@dataclass(slots=True)
class Silence:
    """Since when partitions are at their end, by the clock (ms), and at which offset that is."""

    _since: dict[Any, tuple[int, int]] = field(default_factory=dict)

    def idle(self, units: Iterable[Unit], ends: Mapping[Any, int], clock: int) -> list[tuple[Unit, SourceTask]]:
        """Give the partitions that have been at their end for long enough; `ends`: of their logs, asked just now."""
        found = []
        for unit in units:
            task, at = unit.task, ends.get(unit.tp)
            if not isinstance(task, SourceTask) or at is None or task.through:
                continue
            if task.end < at:
                self._since.pop(unit.tp, None)
                continue
            offset, since = self._since.get(unit.tp, (-1, 0))
            if offset != task.end:
                self._since[unit.tp] = task.end, clock
            elif clock - since >= task.stream.idle:
                found.append((unit, task))
        return found
