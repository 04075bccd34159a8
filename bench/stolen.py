"""How much of its time the machine lost to others while something was measured (Linux, virtual machines)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_STAT = Path("/proc/stat")
_STEAL = 7
"""The place of stolen time in the line `cpu` (man proc_stat)."""


@dataclass(slots=True)
class Stolen:
    """Gives the part of the machine's time since the last question that a hypervisor gave to others."""

    _before: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self._before = _ticks()

    def share(self) -> float:
        """Give the part since the last question, 0 where the system does not say."""
        stolen, total = _ticks()
        before, self._before = self._before, (stolen, total)
        return (stolen - before[0]) / max(total - before[1], 1)


def _ticks() -> tuple[int, int]:
    if not _STAT.exists():
        return 0, 0
    ticks = [int(text) for text in _STAT.read_text(encoding="ascii").splitlines()[0].split()[1:]]
    return ticks[_STEAL], sum(ticks[: _STEAL + 1])
