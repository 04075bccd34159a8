"""What a worker tells of itself: how far its partitions are, how large its states are, what waits for sinks.

What is counted as it happens is counted where it does (`intake.py`). A stage has a state in each task: the numbers of a
worker are the sums over its tasks, and those of a group the sums over its workers.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monitoring import registry
from streams.local.tally import StateSize
from streams.tasks.source_task import SourceTask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from streams.faust.unit import Unit
    from streams.local.tally import Tally

MEASURE_SECONDS = 10.0
"""Time between two measurements of a task's state: keys are counted by a pass over all of it."""


@dataclass(slots=True)
class Telling:
    """Records gauges. `seen`: gives where the log of a partition ended as far as was heard, None if nothing was."""

    tally: Tally
    seen: Callable[[Any], int | None]
    _lags: dict[Any, registry.Gauge[registry.StreamPartition]] = field(default_factory=dict)
    _rules: set[str] = field(default_factory=set)
    _stages: set[str] = field(default_factory=set)

    def tell(self, units: Sequence[Unit], held: Collection[Any]) -> None:
        """Say how the tasks of this worker stand; `held`: partitions that are not fetched for now."""
        sources = {unit.tp: unit.task for unit in units if isinstance(unit.task, SourceTask)}
        self._tell_partitions(sources, held)
        self._tell_states(units)
        self._tell_open(units)
        waiting = sum(unit.task.outbox.end - unit.task.outbox.start for unit in units)
        self.tally.metrics.gauge(registry.OUTBOX_ROWS, waiting)
        ages = [time.monotonic() - max(unit.committed_at, unit.since) for unit in units if unit.dirty]
        self.tally.metrics.gauge(registry.COMMIT_TIME, self.tally.wall() - max(ages, default=0.0))

    def _tell_partitions(self, sources: dict[Any, SourceTask], held: Collection[Any]) -> None:
        metrics = self.tally.metrics
        marks: dict[str, int] = {}
        paused = Counter({task.stream.name: 0 for task in sources.values()})
        for tp in self._lags.keys() - sources.keys():
            metrics.drop(self._lags.pop(tp))
        for tp, task in sources.items():
            stream = task.stream.name
            marks[stream] = min(task.watermark, marks.get(stream, task.watermark))
            paused[stream] += tp in held
            end = self.seen(tp)
            if end is not None:
                lag = registry.CONSUMER_LAG.of({"stream": stream, "partition": str(tp.partition)})
                self._lags[tp] = lag
                metrics.gauge(lag, max(0, end - task.end))
        self.tally.watermarks(marks)
        for stream, number in paused.items():
            metrics.gauge(registry.PAUSED.of({"stream": stream}), number)

    def _tell_states(self, units: Sequence[Unit]) -> None:
        self._stages.update(*(unit.sizes for unit in units))
        sizes = {}
        for stage in self._stages:
            found = [size for unit in units if (size := unit.sizes.get(stage)) is not None]
            sizes[stage] = StateSize(*map(sum, zip(StateSize(0, 0, 0), *found, strict=True)))
        self.tally.sizes(sizes)

    def _tell_open(self, units: Sequence[Unit]) -> None:
        self._rules.update(*(unit.opened for unit in units))
        for rule in self._rules:
            opened = sum(unit.opened.get(rule, 0) for unit in units)
            self.tally.metrics.gauge(registry.OPEN_ALERTS.of({"rule": rule}), opened)
