"""Which partitions are idle: their reader has been at the end of the log for `idle`, by the clock (semantics 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from streams.tasks.source_task import SourceTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.tasks.task import Task


class Reads(Protocol):
    """A task of a process, and the partition that it reads."""

    @property
    def tp(self) -> Any:  # noqa: ANN401  # as the host's client names it
        """The partition."""
        ...

    @property
    def task(self) -> Task:
        """The task."""
        ...


One = TypeVar("One", bound=Reads)


@dataclass(slots=True)
class Silence:
    """Where partitions stood at the last look, and since when (ms) they are at their end there."""

    _stood: dict[Any, int] = field(default_factory=dict)
    _since: dict[Any, int] = field(default_factory=dict)

    def still(self, units: Iterable[One]) -> list[tuple[One, SourceTask]]:
        """Give the partitions that have read nothing since the last look: only their ends are worth a question."""
        found = []
        for unit in units:
            task = unit.task
            if not isinstance(task, SourceTask) or task.through:
                continue
            if self._stood.get(unit.tp) == task.end:
                found.append((unit, task))
            else:
                self._stood[unit.tp] = task.end
                self._since.pop(unit.tp, None)
        return found

    def idle(
        self, still: Iterable[tuple[One, SourceTask]], left: Mapping[Any, int], clock: int
    ) -> list[tuple[One, SourceTask]]:
        """Give those that have been at their end for long enough; `left`: how far their logs went on, asked since.

        One that has read something while that was asked is not idle.
        """
        found = []
        for unit, task in still:
            if task.end != self._stood[unit.tp] or left.get(unit.tp, 1) > 0:
                self._since.pop(unit.tp, None)
            elif clock - self._since.setdefault(unit.tp, clock) >= task.stream.idle:
                found.append((unit, task))
        return found
