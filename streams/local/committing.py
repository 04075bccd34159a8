"""When commits happen: one at a time, beside the stream, and what of the outbox each made durable."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from monitoring import registry
from monitoring.metrics import Metrics, NoMetrics
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from streams.local.snapshot import Snapshot
    from streams.local.store import Store
    from streams.sources.contract import Position


class Durable(NamedTuple):
    """What a commit made durable: transitions before `end` may leave; `positions` of the sources, by feed."""

    end: int
    positions: Mapping[str, Position]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A commit under way, and what is durable when it is done."""

    future: Future[int]
    durable: Durable
    at: float
    bytes_before: int


@dataclass(slots=True)
class Committer:
    """Commits to a store about every `seconds`. `clock`: monotonic seconds."""

    store: Store
    seconds: float
    metrics: Metrics = field(default_factory=NoMetrics)
    clock: Callable[[], float] = time.monotonic
    _begun: _Begun | None = field(init=False, default=None)
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        """The first commit is due `seconds` from now."""
        self._last = self.clock()

    @property
    def due(self) -> bool:
        """Whether it is time for a commit; never while one is under way."""
        return self._begun is None and self.clock() - self._last >= self.seconds

    def begin(self, snapshot: Snapshot) -> Future[int]:
        """Hand a snapshot over to be written; no commit may be under way. The future gives the number of the commit."""
        self._last = self.clock()
        before = self.store.bytes_written
        durable = Durable(snapshot.outbox_end, {name: at["source"] for name, at in snapshot.positions.items()})
        future = self.store.commit_async(snapshot)
        self._begun = _Begun(future, durable, self._last, before)
        return future

    def harvest(self, *, wait: bool) -> Durable | None:
        """Give what the commit under way made durable; None if there is none, or not yet.

        StateError: the commit failed; the one before is still valid.
        """
        begun = self._begun
        if begun is None or not (wait or begun.future.done()):
            return None
        self._begun = None
        try:
            begun.future.result()
        except StateError:
            self.metrics.count(registry.COMMIT_FAILURES)
            raise
        self.metrics.count(registry.COMMITS)
        self.metrics.count(registry.COMMIT_BYTES, self.store.bytes_written - begun.bytes_before)
        self.metrics.observe(registry.COMMIT_SECONDS, self.clock() - begun.at)
        return begun.durable
