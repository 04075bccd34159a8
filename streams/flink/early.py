"""Early copies of what comes to the tasks of a subtask, before their stages have it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True, slots=True)
class FetchedPack:
    """A pack of a partition. `tp`: stream and number."""

    tp: tuple[str, int]
    pack: Pack

    @property
    def end(self) -> int:
        """The offset behind the last record."""
        return self.pack.end

    @property
    def count(self) -> int:
        """How many records there are."""
        return self.pack.count

    def raw_from(self, offset: int) -> Records | None:
        """Give the records, if any comes from an offset on; a pack is not cut."""
        return self.pack.records() if offset < self.end else None


class EarlyCopying:
    """Makes the early copies of a subtask, and carries them to the sinks, past everything else.

    `here`: gives the task of a partition (stream and number).
    """

    def __init__(
        self,
        sinks: Sequence[ChosenSink],
        maker: Maker,
        intake: Intake,
        metrics: Metrics,
        here: Callable[[tuple[str, int]], SourceTask],
    ) -> None:
        self._outlets = deliveries(sinks, metrics)
        ingests = {stream: maker.ingest(stream) for stream in maker.layout.partitions}
        self.path = EarlyPath(here, ingests, intake, partial(offer_early, outlets=self._outlets))

    def start(self) -> None:
        """Open the sinks, and begin."""
        for delivery, _ in self._outlets:
            delivery.start()
        self.path.start()

    def arrived(self, task: SourceTask, data: bytes) -> None:
        """Take a pack that has come to a task."""
        self.path.arrived(FetchedPack((task.stream.name, task.partition), Pack(data)))

    def close(self) -> None:
        """End; sinks have a second for what they were given."""
        with ExitStack() as ending:
            for delivery, _ in self._outlets:
                ending.callback(delivery.close, CLOSE_SECONDS)
            ending.callback(self.path.close)
