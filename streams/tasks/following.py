"""Tables out of topics while tasks run: every process reads all, and what comes later counts for all its tasks.

A change counts from its own time, or from the next moment of a task that is past it already (semantics 20).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from operators.lookups import merge_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    import polars as pl

    from streams.kafka.tables import FollowedTable
    from streams.tables import TableRead


@dataclass(slots=True)
class Following:
    """The tables of a process. `tables`: shared with its tasks; `changed`: told the name of a table and what has come.

    Threads may look and close; one at a time, since a client does not bear two.
    """

    tables: MutableMapping[str, pl.DataFrame]
    keys: Mapping[str, tuple[str, ...]]
    followed: Sequence[FollowedTable]
    changed: Callable[[str, TableRead], None]
    _one: Lock = field(default_factory=Lock)
    _closed: bool = False

    def start(self) -> None:
        """Begin to fetch."""
        for table in self.followed:
            table.start()

    def look(self, passed: int) -> None:
        """Take in what has come. `passed`: the watermark that all tasks have reached."""
        with self._one:
            for table in () if self._closed else self.followed:
                self._take_in(table, passed)

    def _take_in(self, table: FollowedTable, passed: int) -> None:
        read = table.changes()
        if read is None:
            return
        self.changed(table.name, read)
        before, key = self.tables[table.name], self.keys[table.name]
        self.tables[table.name] = merge_versions(before, read.versions, key, passed)

    def close(self) -> None:
        """Stop fetching, once a look is over."""
        with self._one:
            self._closed = True
            for table in self.followed:
                table.close()
