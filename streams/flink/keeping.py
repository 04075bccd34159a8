"""The tasks of one subtask: opened from Flink's keyed state, written back before each checkpoint.

PyFlink tells a function nothing of checkpoints, but it commits the keyed state whenever it ends a bundle, and ends the
bundle before each checkpoint. So the state is written then, once per bundle, whatever has come in it: this rests on
what is private in PyFlink (`StatefulOperation.finish`), which is why its version is pinned.

A state is written as in Faust's tables (`streams.tasks.values`): only what has changed since the last bundle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import msgspec

from streams.tasks import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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

    `fresh`: whether something may have come since it settled, at `settled_at` (monotonic seconds), `gathered`: how many
    records did. `asked_at`: when the broker was asked last whether its partition has more. `dirty`: whether its
    state is to be written. `told`: whether it was said that it is through. `tp`: the topic and partition that it reads,
    or the name and number of a shard.
    """

    task: Task
    keeper: values.Keeper
    tp: tuple[str, int]
    fresh: bool = False
    dirty: bool = True
    told: bool = False
    gathered: int = 0
    asked_at: float = 0.0
    settled_at: float = field(default_factory=monotonic)


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
        return self.kept[key]

    def write(self, store_of: Callable[[int], Store]) -> None:
        """Write the state of each task in which something has happened; `store_of`: makes a key the current one."""
        for key, kept in self.kept.items():
            if kept.dirty:
                _write(kept, store_of(key))
                kept.dirty = False


def _write(kept: Kept, store: Store) -> None:
    frames = kept.task.frames()
    write = kept.keeper.write(frames, msgspec.json.encode(kept.task.plain()))
    for key, value in [*write.values.items(), write.head]:
        store.put(key, value)
    for key in write.stale:
        store.remove(key)


def before_commit(backend: Any, write: Callable[[], None]) -> None:  # noqa: ANN401  # PyFlink's
    """Let `write` be called whenever PyFlink is about to commit a keyed state."""
    commit = backend.commit

    def written() -> None:
        write()
        commit()

    backend.commit = written
