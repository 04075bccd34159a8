"""Which partitions are too far ahead in event time: they are not fetched until the others have come (semantics 8).

Rows ahead of the slowest input wait in the shards; `skew` bounds how many. Workers tell one another on the clock topic
where their partitions stand. Stages beside partitions wait for nobody, so where all of them are, nothing is held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.local.dataflow import BEGINNING
from streams.tasks.source_task import SourceTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.faust.unit import Unit


def standings(units: Iterable[Unit]) -> dict[str, int]:
    """Give the watermarks of the partitions that have one, by task."""
    tasks = [unit.task for unit in units if isinstance(unit.task, SourceTask)]
    return {task.name: task.watermark for task in tasks if task.watermark > BEGINNING}


@dataclass(slots=True)
class Skew:
    """What is held back. `exchanged`: whether any rows meet those of other partitions."""

    exchanged: bool
    held: frozenset[Any] = frozenset()

    def look(self, units: Iterable[Unit], marks: Mapping[str, int]) -> frozenset[Any]:
        """Give the partitions to hold back for now; `marks`: of the whole group."""
        known = {**marks, **standings(units := list(units))}
        least = min(known.values(), default=BEGINNING)
        self.held = frozenset(
            unit.tp
            for unit in units
            if self.exchanged and isinstance(unit.task, SourceTask) and self._ahead(unit.task, least)
        )
        return self.held

    @staticmethod
    def _ahead(task: SourceTask, least: int) -> bool:
        return not task.passed and task.watermark > least + task.stream.skew
