"""Early copies where records are packed: a hop through Flink before their tasks have them.

Flink runs readers and tasks of a slot in one Python process, so that what packs finds the path of whoever hosts tasks
there. Where that is not so, early copies are made of packs that come to their tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from streams.flink.packs import Pack

if TYPE_CHECKING:
    from streams.sources.contract import Records
    from streams.tasks.early import EarlyPath

_PATHS: dict[str, list[EarlyPath]] = {}
_CHANGING = Lock()


@dataclass(frozen=True, slots=True)
class FetchedPack:
    """A pack of a partition. `tp`: stream and number. `end`: behind its last record. `count`: of its records."""

    tp: tuple[str, int]
    data: bytes
    end: int
    count: int

    def raw_from(self, offset: int) -> Records | None:
        """Give the records, if any comes from an offset on; a pack is not cut."""
        return Pack(self.data).records() if offset < self.end else None


def open_path(run: str, path: EarlyPath) -> None:
    """Let readers of this process find the path of a run."""
    with _CHANGING:
        _PATHS.setdefault(run, []).append(path)


def close_path(run: str, path: EarlyPath) -> None:
    """Let them find it no more."""
    with _CHANGING:
        _PATHS[run].remove(path)
        if not _PATHS[run]:
            del _PATHS[run]


def path_here(run: str) -> EarlyPath | None:
    """Give the newest path of a run in this process; None if there is none."""
    with _CHANGING:
        return _PATHS[run][-1] if run in _PATHS else None
