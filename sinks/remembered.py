"""Remembers the last identities that passed, in bounded memory."""

from __future__ import annotations


class Remembered:
    """Knows at least the `most` last of what was added, and at most twice as many; all that was added, until `forget`.

    What is read back at a start may be more than `most`, and is known until `forget` has been called twice.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._new: set[object] = set()
        self._old: set[object] = set()

    def __contains__(self, identity: object) -> bool:
        """Whether it was added lately."""
        return identity in self._new or identity in self._old

    def __len__(self) -> int:
        """How many are known."""
        return len(self._new) + len(self._old)

    def add(self, identity: object) -> None:
        """Remember one."""
        self._new.add(identity)

    def clear(self) -> None:
        """Know nothing any more."""
        self._new, self._old = set(), set()

    def forget(self) -> None:
        """Drop the oldest, if there are enough others."""
        if len(self._new) > self._most:
            self._new, self._old = set(), self._new
