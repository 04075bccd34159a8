"""The tasks of one subtask: opened from Flink's keyed state, written back before each checkpoint.

PyFlink tells a function nothing of checkpoints, but it commits the keyed state whenever it ends a bundle, and ends the
bundle before each checkpoint. So the state is written then, once per bundle, whatever has come in it: this rests on
what is private in PyFlink (`StatefulOperation.finish`), which is why its version is pinned.

A state is written as in Faust's tables (`streams.tasks.values`): only what has changed since the last bundle. Packs and
packets that wait for the task to settle lie beside it as they came, each of them written once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, takewhile
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import msgspec

from streams.tasks import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from streams.tasks.task import Task


class Store(Protocol):
    """Flink's map state of the current key."""

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """Give all entries."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Write an entry."""
        ...

    def remove(self, key: bytes) -> None:
        """Delete an entry."""
        ...


@dataclass(slots=True)
class Kept:
    """A task in memory.

    `waiting`: packs and packets that came since it took some in; `gathered`: bytes of what came since it settled, at
    `settled_at` (monotonic seconds). `fresh`: whether something may have come since then. `behind`: whether what it
    took in last was old already. `asked_at`: when the broker was asked last whether its partition has more. `dirty`:
    whether its state is to be written. `told`: whether it was said that it is through. `tp`: the topic and partition
    that it reads, or the name and number of a shard.
    """

    task: Task
    keeper: values.Keeper
    tp: tuple[str, int]
    waiting: list[bytes] = field(default_factory=list)
    fresh: bool = False
    dirty: bool = True
    told: bool = False
    behind: bool = False
    gathered: int = 0
    asked_at: float = 0.0
    settled_at: float = field(default_factory=monotonic)
    _stored: int = 0
    """How many entries of the store are of those that wait."""
    _old: int = 0
    """How many are of such that were taken in since."""

    def take(self) -> list[bytes]:
        """Take what waits; its entries go with the next commit."""
        taken, self.waiting = self.waiting, []
        self._old, self._stored = max(self._old, self._stored), 0
        return taken

    def find(self, stored: Mapping[bytes, bytes]) -> None:
        """Go on with what waits in a store."""
        names = takewhile(stored.__contains__, map(_waiting, count()))
        self.waiting = [stored[name] for name in names]
        self._stored, self.fresh = len(self.waiting), self.fresh or bool(self.waiting)

    def write(self, store: Store) -> None:
        """Write what has changed."""
        for at in range(self._stored, len(self.waiting)):
            store.put(_waiting(at), self.waiting[at])
        for at in range(len(self.waiting), self._old):
            store.remove(_waiting(at))
        self._stored, self._old = len(self.waiting), 0
        if self.dirty:
            frames = self.task.frames()
            write = self.keeper.write(frames, msgspec.json.encode(self.task.plain()))
            for key, value in [*write.values.items(), write.head]:
                store.put(key, value)
            for key in write.stale:
                store.remove(key)
            self.dirty = False

    @property
    def unwritten(self) -> bool:
        """Whether there is something to write."""
        return self.dirty or bool(self._old) or self._stored < len(self.waiting)


def _waiting(at: int) -> bytes:
    return f"waiting|{at}".encode()


@dataclass(slots=True)
class Keeping:
    """All tasks of a subtask, by Flink key. `make`: makes the task of a key, and says which partition it reads."""

    make: Callable[[int], tuple[Task, tuple[str, int]]]
    kept: dict[int, Kept] = field(default_factory=dict)

    def of(self, key: int, store: Store) -> Kept:
        """Give the task of the current key, as its state says if there is one."""
        if key not in self.kept:
            task, tp = self.make(key)
            stored = dict(store.items())
            loaded = values.load(stored, key)
            keeper = values.Keeper(key, values.Owner(uuid4().hex[:12], 0), stale=values.keys_of(stored, key))
            if loaded is not None:
                task.resume(loaded)
                keeper.epoch = loaded.head.epoch + 1
            self.kept[key] = Kept(task, keeper, tp, fresh=loaded is not None)
            self.kept[key].find(stored)
        return self.kept[key]

    def write(self, store_of: Callable[[int], Store]) -> None:
        """Write the state of each task in which something has happened; `store_of`: makes a key the current one."""
        for key, kept in self.kept.items():
            if kept.unwritten:
                kept.write(store_of(key))


def before_commit(backend: Any, write: Callable[[], None]) -> None:  # noqa: ANN401  # PyFlink's
    """Let `write` be called whenever PyFlink is about to commit a keyed state."""
    commit = backend.commit

    def written() -> None:
        write()
        commit()

    backend.commit = written
