"""Small batches of a topic's partitions are taken in one pass: while one goes on, what comes meanwhile gathers.

A pass over columns costs nearly the same for few rows as for many, so that many small ones would take the cores from
everybody. Large batches go alone, side by side.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from streams.faust.beside import in_thread
from streams.sources.contract import Records
from streams.tasks.intake import Fresh
from streams.tasks.source_task import SourceTask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from streams.faust.batches import Batch
    from streams.faust.unit import Unit
    from streams.tasks.intake import Intake, Taken
    from streams.tasks.shard_task import ShardTask

LARGE = 5_000
"""Records of one partition that are worth a pass of their own."""


class News(NamedTuple):
    """Consecutive batches of a task's partition, at least one."""

    unit: Unit
    batches: Sequence[Batch]

    @property
    def records(self) -> int:
        """How many messages they hold."""
        return sum(len(batch.records) for batch in self.batches)


class _Waiting(NamedTuple):
    """News of a task, and what becomes of them."""

    news: News
    taken: asyncio.Future[Taken | None]


@dataclass(slots=True)
class Gathering:
    """Takes batches for the tasks of a worker, whose locks are held, in `threads`."""

    threads: Executor
    intake: Intake
    _waiting: dict[str, list[_Waiting]] = field(default_factory=dict)
    _passes: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def take(self, news: News) -> Taken | None:
        """Take batches of a task; give what there is to be done with what they gave."""
        if not isinstance(news.unit.task, SourceTask) or news.records >= LARGE:
            taken: Sequence[Taken | None] = await in_thread(self.threads, partial(self.take_in, [news]))
            return taken[0]
        topic, waiting = news.unit.tp.topic, _Waiting(news, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(topic, []).append(waiting)
        if topic not in self._passes:
            self._passes[topic] = asyncio.create_task(self._pass(topic))
        return await waiting.taken

    async def _pass(self, topic: str) -> None:
        """Take what waits of a topic until nothing does."""
        while gathered := self._waiting.pop(topic, []):
            await self._take_all(gathered)
        del self._passes[topic]

    async def _take_all(self, gathered: Sequence[_Waiting]) -> None:
        try:
            taken = await in_thread(self.threads, partial(self.take_in, [one.news for one in gathered]))
        except Exception as error:  # noqa: BLE001  # it is raised where each of them is waited for
            for one in gathered:
                one.taken.set_exception(error)
        else:
            for one, given in zip(gathered, taken, strict=True):
                one.taken.set_result(given)

    def take_in(self, news: Sequence[News]) -> Sequence[Taken | None]:
        """Take what is new, of one shard or of partitions of one stream; in a thread, with the tasks' locks held."""
        first, *_ = news
        if isinstance(first.unit.task, SourceTask):
            return self.intake.records([_fresh(cast("SourceTask", one.unit.task), one.batches) for one in news])
        shard = cast("ShardTask", first.unit.task)
        for batch in first.batches:
            self.intake.packets(shard, batch.values_from(shard.end), max(shard.end, batch.end))
        return [None]


def _fresh(task: SourceTask, batches: Sequence[Batch]) -> Fresh:
    """Give what a task has not taken yet; nothing where it is through."""
    end = max(task.end, batches[-1].end)
    parts = [part for batch in batches if (part := batch.raw_from(task.end)) is not None]
    return Fresh(task, Records.joined(parts) if parts and not task.through else None, end)
