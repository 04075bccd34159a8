"""What a worker tells of itself: how far its partitions are, how large its states are, what waits for sinks.

What is counted as it happens is counted where it does (`intake.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monitoring import registry
from streams.tasks.source_task import SourceTask
from streams.tasks.telling import Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from streams.faust.unit import Unit
    from streams.local.tally import Tally


@dataclass(slots=True)
class Telling:
    """Records gauges. `seen`: gives where the log of a partition ended as far as was heard, None if nothing was."""

    tally: Tally
    seen: Callable[[Any], int | None]
    _lags: dict[Any, registry.Gauge[registry.StreamPartition]] = field(default_factory=dict)
    _sums: Sums = field(init=False)

    def __post_init__(self) -> None:
        """Tell of nothing yet."""
        self._sums = Sums(self.tally)

    def tell(self, units: Sequence[Unit], held: Collection[Any]) -> None:
        """Say how the tasks of this worker stand; `held`: partitions that are not fetched for now."""
        sources = {unit.tp: unit.task for unit in units if isinstance(unit.task, SourceTask)}
        self._tell_partitions(sources, held)
        self._sums.watermarks(sources.values())
        self._sums.states([unit.sizes for unit in units])
        self._sums.opened([unit.opened for unit in units])
        waiting = sum(unit.task.outbox.end - unit.task.outbox.start for unit in units)
        self.tally.metrics.gauge(registry.OUTBOX_ROWS, waiting)
        ages = [time.monotonic() - max(unit.committed_at, unit.since) for unit in units if unit.dirty]
        self.tally.metrics.gauge(registry.COMMIT_TIME, self.tally.wall() - max(ages, default=0.0))

    def _tell_partitions(self, sources: dict[Any, SourceTask], held: Collection[Any]) -> None:
        metrics = self.tally.metrics
        paused = Counter({task.stream.name: 0 for task in sources.values()})
        for tp in self._lags.keys() - sources.keys():
            metrics.drop(self._lags.pop(tp))
        for tp, task in sources.items():
            stream = task.stream.name
            paused[stream] += tp in held
            end = self.seen(tp)
            if end is not None:
                lag = registry.CONSUMER_LAG.of({"stream": stream, "partition": str(tp.partition)})
                self._lags[tp] = lag
                metrics.gauge(lag, max(0, end - task.end))
        for stream, number in paused.items():
            metrics.gauge(registry.PAUSED.of({"stream": stream}), number)
