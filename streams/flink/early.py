"""Early copies where records are packed: a hop through Flink before their tasks have them.

Flink runs readers and tasks of a slot in one Python process, so that what packs finds the path of whoever hosts tasks
there. Where that is not so, early copies are made of packs that come to their tasks.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from streams.chosen_sinks import deliveries, offer_early
from streams.flink.packs import Pack
from streams.tasks.early import EarlyPath

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring.metrics import Metrics
    from streams.chosen_sinks import ChosenSink
    from streams.sources.contract import Records
    from streams.tasks.intake import Intake
    from streams.tasks.making import Maker
    from streams.tasks.source_task import SourceTask

CLOSE_SECONDS = 1.0

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


class EarlyCopying:
    """Makes the early copies of a subtask, and carries them to the sinks, past everything else.

    `run`: of the job. `here`: gives the task of a partition (stream and number), None where it is hosted elsewhere.
    """

    def __init__(
        self,
        run: str,
        sinks: Sequence[ChosenSink],
        maker: Maker,
        intake: Intake,
        metrics: Metrics,
        here: Callable[[str, int], SourceTask | None],
    ) -> None:
        self._run, self._maker, self._here = run, maker, here
        self._outlets = deliveries(sinks, metrics)
        ingests = {stream: maker.ingest(stream) for stream in maker.layout.partitions}
        self.path = EarlyPath(self._task_of, ingests, intake, partial(offer_early, outlets=self._outlets))
        self._strangers: dict[tuple[str, int], SourceTask] = {}

    def start(self) -> None:
        """Open the sinks, and begin."""
        for delivery, _ in self._outlets:
            delivery.start()
        self.path.start()
        open_path(self._run, self.path)

    def arrived(self, task: SourceTask, data: bytes) -> None:
        """Take a pack that has come to a task, unless it was looked at where it was packed."""
        if not (pack := Pack(data)).looked:
            tp = task.stream.name, task.partition
            self.path.arrived(FetchedPack(tp, data, pack.end, len(pack.stamps)))

    def close(self) -> None:
        """End; sinks have a second for what they were given."""
        with ExitStack() as ending:
            for delivery, _ in self._outlets:
                ending.callback(delivery.close, CLOSE_SECONDS)
            ending.callback(self.path.close)
            ending.callback(close_path, self._run, self.path)

    def _task_of(self, tp: tuple[str, int]) -> SourceTask:
        """Give the task of a partition, or one that knows nothing of what came before."""
        if (task := self._here(*tp)) is not None:
            return task
        if tp not in self._strangers:
            self._strangers[tp] = self._maker.source(*tp)
        return self._strangers[tp]
