"""What a process tells of its tasks together: a stage has a state in each of them.

The numbers of a process are the sums over its tasks, and those of a group the sums over its processes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitoring import registry
from streams.local.tally import StateSize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from streams.local.tally import Tally
    from streams.tasks.source_task import SourceTask

MEASURE_SECONDS = 10.0
"""Time between two measurements of a task's state: keys are counted by a pass over all of it."""


@dataclass(slots=True)
class Sums:
    """Records gauges that are sums over tasks; what none of them has any more is 0."""

    tally: Tally
    _rules: set[str] = field(default_factory=set)
    _stages: set[str] = field(default_factory=set)

    def watermarks(self, tasks: Iterable[SourceTask]) -> None:
        """Say how far each stream was read: as far as its slowest partition."""
        marks: dict[str, int] = {}
        for task in tasks:
            stream = task.stream.name
            marks[stream] = min(task.watermark, marks.get(stream, task.watermark))
        self.tally.watermarks(marks)

    def states(self, each: Collection[Mapping[str, StateSize]]) -> None:
        """Say how large states are; `each`: of one task, by stage."""
        self._stages.update(*each)
        sizes = {}
        for stage in self._stages:
            found = [one[stage] for one in each if stage in one]
            sizes[stage] = StateSize(*map(sum, zip(StateSize(0, 0, 0), *found, strict=True)))
        self.tally.sizes(sizes)

    def opened(self, each: Collection[Mapping[str, int]]) -> None:
        """Say how many episodes are open; `each`: of one task, by rule."""
        self._rules.update(*each)
        total = Counter(dict.fromkeys(self._rules, 0))
        for one in each:
            total.update(one)
        for rule, number in total.items():
            self.tally.metrics.gauge(registry.OPEN_ALERTS.of({"rule": rule}), number)
