"""Tables out of topics while workers run: every worker reads all, and what comes later counts for all its tasks.

A change counts from its own time, or from the next moment of a task that is past it already (semantics 20).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.lookups import merge_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    import polars as pl

    from streams.kafka.tables import FollowedTable


@dataclass(slots=True)
class Following:
    """The tables of a worker. `tables`: shared with its tasks; `put_aside`: takes dead letters."""

    tables: MutableMapping[str, pl.DataFrame]
    keys: Mapping[str, tuple[str, ...]]
    followed: Sequence[FollowedTable]
    put_aside: Callable[[pl.DataFrame], None]

    def start(self) -> None:
        """Begin to fetch."""
        for table in self.followed:
            table.start()

    def look(self, passed: int) -> None:
        """Take in what has come; one thread at a time. `passed`: the watermark that all tasks have reached."""
        for table in self.followed:
            read = table.changes()
            if read is None:
                continue
            self.put_aside(read.dead)
            before, key = self.tables[table.name], self.keys[table.name]
            self.tables[table.name] = merge_versions(before, read.versions, key, passed)

    def close(self) -> None:
        """Stop fetching."""
        for table in self.followed:
            table.close()
