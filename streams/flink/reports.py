"""The metrics of a job: what its subtasks have told, put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitoring.metrics import MemoryMetrics
from monitoring.snapshots import counted, merged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.flink.words import Word


@dataclass(slots=True)
class Reports:
    """What was told last by each subtask of the last attempt, and what those before it had counted."""

    _run: str = ""
    _attempt: int = 0
    _before: MemoryMetrics = field(default_factory=MemoryMetrics)
    _last: dict[str, MemoryMetrics] = field(default_factory=dict)

    def hear(self, word: Word) -> None:
        """Take a word; those of an attempt that was given up come too late."""
        if word.recorded is None or (word.run == self._run and word.attempt < self._attempt):
            return
        if (word.run, word.attempt) != (self._run, self._attempt):
            self._before = merged([self._before, *map(counted, self._last.values())])
            self._last.clear()
            self._run, self._attempt = word.run, word.attempt
        self._last[word.subtask] = word.recorded.metrics()

    def together(self, *others: MemoryMetrics) -> MemoryMetrics:
        """Give all of it in one, with what others have recorded."""
        return merged([self._before, *self._last.values(), *others])

    @property
    def subtasks(self) -> Iterable[str]:
        """Who has told anything."""
        return self._last.keys()
