"""A shard: one key bucket of the stages behind the exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.tasks.packets import decode
from streams.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from streams.tasks.task import Plain
    from streams.tasks.upstreams import Upstreams


@dataclass(slots=True, kw_only=True)
class ShardTask(Task):
    """One shard. The closing step is taken at `until`."""

    upstreams: Upstreams

    def take(self, packets: Iterable[bytes], end: int) -> int:
        """Take packets up to the offset `end` of the exchange; give how many rows were new."""
        rows = 0
        for data in packets:
            header, parts = decode(data)
            if not self.upstreams.take(header):
                continue
            for (stage, item), part in parts.items():
                self.hosted.arrive(stage, item, part)
                rows += part.height
        self.end = end
        return rows

    def settle(self) -> None:
        """Step the stages, seal packets."""
        self.outgoing.since = self.upstreams.since
        self.hosted.count_from(self.upstreams.since)
        self.carry(self.hosted.advance(self.upstreams.watermarks, self.upstreams.closed, self.until))
        self.outgoing.seal(self.hosted.marks.watermarks, self.hosted.marks.closed)
        self.through = self.hosted.through

    def plain(self) -> Plain:
        """Give what a commit says beside its frames."""
        plain = Task.plain(self)
        plain.heard = self.upstreams.heard
        return plain

    def take_back(self, plain: Plain, frames: Mapping[tuple[str, ...], pl.DataFrame]) -> None:
        """Go on with what came from each sender; one that is not there any more would begin anew if it came back."""
        del frames
        tasks = self.layout.tasks
        self.upstreams.heard = {sender: heard for sender, heard in plain.heard.items() if sender in tasks}
