"""What several processes have recorded, put together in the one that is asked for it.

A process says what it has recorded as a `Snapshot`. Counters and histograms of all of them add up; what becomes of
gauges is declared with each (`registry.Together`).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from monitoring.metrics import MemoryMetrics, Observed
from monitoring.registry import Gauge, declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from monitoring.metrics import Labels
    from monitoring.registry import Together

Values = tuple[str, ...]
"""Of labels, in their order."""


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """What a process has recorded: by the name of a metric and the values of its labels."""

    values: list[tuple[str, Values, float]]
    histograms: list[tuple[str, Values, list[int], float]]

    @classmethod
    def of(cls, metrics: MemoryMetrics) -> Snapshot:
        """Give what is recorded now."""
        now = metrics.copy()
        return cls(
            [(name, _values(labels), float(value)) for (name, labels), value in now.values.items()],
            [(name, _values(labels), seen.counts, seen.sum) for (name, labels), seen in now.histograms.items()],
        )

    def metrics(self) -> MemoryMetrics:
        """Give it as it was recorded, without what only another version of Tocsin knows."""
        labels = {metric.name: metric.labels for metric in declared()}
        values = {(name, _labels(labels[name], given)): value for name, given, value in self.values if name in labels}
        histograms = {
            (name, _labels(labels[name], given)): Observed(counts, total)
            for name, given, counts, total in self.histograms
            if name in labels
        }
        return MemoryMetrics(values, histograms)


def _values(labels: Labels) -> Values:
    return tuple(value for _, value in labels)


def _labels(names: Iterable[str], values: Values) -> Labels:
    return tuple(zip(names, values, strict=True))


def merged(parts: Iterable[MemoryMetrics]) -> MemoryMetrics:
    """Give what all have recorded together."""
    parts = list(parts)
    of_gauges = {metric.name: _TOGETHER[metric.together] for metric in declared() if isinstance(metric, Gauge)}
    return MemoryMetrics(
        {
            key: of_gauges.get(key[0], sum)([part.values[key] for part in parts if key in part.values])
            for key in dict.fromkeys(chain.from_iterable(part.values for part in parts))
        },
        {
            key: _added([part.histograms[key] for part in parts if key in part.histograms])
            for key in dict.fromkeys(chain.from_iterable(part.histograms for part in parts))
        },
    )


def counted(metrics: MemoryMetrics) -> MemoryMetrics:
    """Give what stays true when a process has ended: its counters and histograms, no gauges."""
    gauges = {metric.name for metric in declared() if isinstance(metric, Gauge)}
    values = {key: value for key, value in metrics.values.items() if key[0] not in gauges}
    return MemoryMetrics(values, dict(metrics.histograms))


def _added(seen: list[Observed]) -> Observed:
    return Observed(
        [sum(counts) for counts in zip(*(one.counts for one in seen), strict=True)], sum(one.sum for one in seen)
    )


def _oldest(values: list[float]) -> float:
    return min((value for value in values if value), default=0.0)


_TOGETHER: Mapping[Together, Callable[[list[float]], float]] = {
    "sum": sum,
    "least": min,
    "greatest": max,
    "oldest": _oldest,
}
