"""What was read back from a topic and may be offered again, and so how far a bookmark may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Awaited:
    """Ids of messages with the offsets at which they stand; each partition is added to in the order of its offsets."""

    def __init__(self) -> None:
        self._partitions: dict[int, dict[str, int]] = {}

    def __bool__(self) -> bool:
        """Whether anything is awaited."""
        return any(self._partitions.values())

    def add(self, identity: str, partition: int, offset: int) -> None:
        """Await a message."""
        self._partitions.setdefault(partition, {})[identity] = offset

    def came(self, identity: str) -> None:
        """Take note that a message was offered again, if it was awaited."""
        for offsets in self._partitions.values():
            offsets.pop(identity, None)

    def clear(self) -> None:
        """Await nothing any more."""
        self._partitions.clear()

    def bookmark(self, ends: Mapping[int, int]) -> dict[int, int]:
        """Give by partition the first offset that is awaited, or else the one in `ends`."""
        firsts = {number: next(iter(offsets.values())) for number, offsets in self._partitions.items() if offsets}
        return {**ends, **firsts}
