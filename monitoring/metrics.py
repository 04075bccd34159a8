"""How code records: `Metrics`, with an implementation that forgets and one that keeps values in memory.

Exporters implement `Metrics` too; nothing else may depend on one.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from monitoring.registry import Counter, Gauge, Histogram, Metric

L = TypeVar("L", bound=str)
Labels = tuple[tuple[str, str], ...]


class Metrics(Protocol):
    """One verb per kind; safe to call from any thread, and cheap (once per batch, never per row)."""

    def count(self, metric: Counter[L], amount: float = 1) -> None:
        """Add `amount` >= 0 to a counter."""
        ...

    def gauge(self, metric: Gauge[L], value: float) -> None:
        """Set a gauge."""
        ...

    def drop(self, metric: Gauge[L]) -> None:
        """Have no value for a gauge any more: what it told of is gone, as a partition that another process reads."""
        ...

    def observe(self, metric: Histogram[L], value: float, times: int = 1) -> None:
        """Add one observation to a histogram, or several that are equal."""
        ...


class NoMetrics:
    """Forgets everything."""

    def count(self, metric: Counter[L], amount: float = 1) -> None:
        """Forget it."""

    def gauge(self, metric: Gauge[L], value: float) -> None:
        """Forget it."""

    def drop(self, metric: Gauge[L]) -> None:
        """There is nothing to drop."""

    def observe(self, metric: Histogram[L], value: float, times: int = 1) -> None:
        """Forget it."""


@dataclass(slots=True)
class Observed:
    """A histogram's content: `counts[i]` values fell into bucket i alone; the last: above all bounds."""

    counts: list[int]
    sum: float = 0.0

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)


@dataclass(slots=True)
class MemoryMetrics:
    """Keeps values in the process: for tests, `--json` summaries and exporters that read on demand.

    Raises ValueError for a metric without its labels and for a counter that falls: defects of the caller.
    """

    values: dict[tuple[str, Labels], float] = field(default_factory=dict)
    histograms: dict[tuple[str, Labels], Observed] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, metric: Counter[L], amount: float = 1) -> None:
        """Add `amount` >= 0 to a counter."""
        if amount < 0:
            raise ValueError(f"{metric.name} only grows, it cannot take {amount}")
        with self._lock:
            key = _key(metric)
            self.values[key] = self.values.get(key, 0) + amount

    def gauge(self, metric: Gauge[L], value: float) -> None:
        """Set a gauge."""
        with self._lock:
            self.values[_key(metric)] = value

    def drop(self, metric: Gauge[L]) -> None:
        """Have no value for a gauge any more."""
        with self._lock:
            self.values.pop(_key(metric), None)

    def observe(self, metric: Histogram[L], value: float, times: int = 1) -> None:
        """Add one observation to a histogram, or several that are equal."""
        with self._lock:
            empty = Observed([0] * (len(metric.buckets) + 1))
            seen = self.histograms.setdefault(_key(metric), empty)
            seen.counts[bisect_left(metric.buckets, value)] += times
            seen.sum += value * times

    def value(self, metric: Counter[L] | Gauge[L]) -> float:
        """Give a counter's or gauge's value; 0 if nothing was recorded."""
        with self._lock:
            return self.values.get(_key(metric), 0)

    def become(self, other: MemoryMetrics) -> None:
        """Have the values of another one from now on, and no others."""
        with self._lock:
            self.values, self.histograms = other.values, other.histograms

    def copy(self) -> MemoryMetrics:
        """Give all values as they are at one moment, for a reader that takes its time."""
        with self._lock:
            seen = {key: Observed(list(one.counts), one.sum) for key, one in self.histograms.items()}
            return MemoryMetrics(dict(self.values), seen)


def _key(metric: Metric[L]) -> tuple[str, Labels]:
    if len(metric.values) != len(metric.labels):
        raise ValueError(f"{metric.name} needs its labels {list(metric.labels)}: use of(...)")
    return metric.name, tuple(zip(metric.labels, metric.values, strict=True))
