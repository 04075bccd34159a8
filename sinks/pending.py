"""What waits for a sink: a queue bounded in rows and bytes, cut into batches by rows or age."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from sinks.contract import Batching


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may wait; a batch that is larger by itself is taken when nothing else waits."""

    rows: int = 200_000
    bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Offered:
    """A batch that waits; `end`: the position after its last row, None for early copies, which have no position."""

    rows: pl.DataFrame
    end: int | None
    size: int
    since: float


@dataclass(slots=True)
class Pending:
    """The queue; one thread takes, any may offer. `clock` is monotonic, in seconds."""

    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.monotonic
    rows: int = field(default=0, init=False)
    bytes: int = field(default=0, init=False)
    _items: deque[Offered] = field(default_factory=deque, init=False)
    _closed: bool = field(default=False, init=False)
    _changed: Condition = field(default_factory=Condition, init=False, repr=False)

    def offer(self, rows: pl.DataFrame, end: int | None, wait: float = 0.0) -> bool:
        """Take a batch, waiting up to `wait` seconds for room; False: full, or closed."""
        item = Offered(rows, end, int(rows.estimated_size()), self.clock())
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(item), timeout=wait)
            if self._closed or not self._has_room(item):
                return False
            self._items.append(item)
            self._account(item, 1)
            self._changed.notify_all()
            return True

    def take(self, batching: Batching) -> list[Offered]:
        """Wait for a batch and give it, in order; [] when closed and empty. Its room is free at once."""
        with self._changed:
            while not self.due(batching):
                if self._closed:
                    return []
                self._changed.wait(self._patience(batching))
            taken = [self._pop()]
            rows = taken[0].rows.height
            while self._items and rows + self._items[0].rows.height <= batching.rows:
                taken.append(self._pop())
                rows += taken[-1].rows.height
            self._changed.notify_all()
            return taken

    def due(self, batching: Batching) -> bool:
        """Whether a batch is to be delivered now: enough rows, old enough, or nothing more will come."""
        if not self._items:
            return False
        full = self.rows >= batching.rows or not self._has_room(self._items[0])
        return full or self._closed or self._age() >= batching.seconds

    @property
    def oldest(self) -> float | None:
        """Since when the oldest waits, by `clock`; None if nothing does."""
        with self._changed:
            return self._items[0].since if self._items else None

    def close(self) -> None:
        """Take no more; what waits may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def discard(self) -> None:
        """Close and forget what waits: the outbox still has it."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self.rows = self.bytes = 0
            self._changed.notify_all()

    def _has_room(self, item: Offered) -> bool:
        fits = self.rows + item.rows.height <= self.limits.rows and self.bytes + item.size <= self.limits.bytes
        return fits or not self._items

    def _age(self) -> float:
        return self.clock() - self._items[0].since

    def _patience(self, batching: Batching) -> float | None:
        return max(0.0, batching.seconds - self._age()) if self._items else None

    def _pop(self) -> Offered:
        item = self._items.popleft()
        self._account(item, -1)
        return item

    def _account(self, item: Offered, sign: int) -> None:
        self.rows += sign * item.rows.height
        self.bytes += sign * item.size
