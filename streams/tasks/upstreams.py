"""What a shard knows of those who send to it: which packets it has, and up to when nothing more comes (semantics 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from streams.local.dataflow import BEGINNING
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.tasks.packets import Header


class Heard(msgspec.Struct):
    """What came from one sender: the number that comes next, its nodes' watermarks, and those that are closed.

    `since`: from when on (ms) partitions count their `quality`, as far as it knew.
    """

    expected: int = 0
    watermarks: dict[str, int] = msgspec.field(default_factory=dict)
    closed: set[str] = msgspec.field(default_factory=set)
    since: int = 0


@dataclass(slots=True)
class Upstreams:
    """All senders of a shard.

    `senders`: of each node, known before the first packet: a silent one holds back. `version`: of the topology that
    packets have to be of; None if those may still come that were sent before rules came and went.
    """

    senders: Mapping[str, frozenset[str]]
    version: str | None
    shards: int
    heard: dict[str, Heard] = field(default_factory=dict)

    def take(self, header: Header) -> bool:
        """Note a packet; whether it is new.

        StateError: it is of another topology, or of another number of shards, or packets before it are missing.
        """
        self._refuse_other(header)
        heard = self.heard.setdefault(header.sender, Heard())
        if header.number < heard.expected:
            return False
        if header.number > heard.expected:
            raise StateError(
                f"the exchange has lost packets {heard.expected} to {header.number - 1} of {header.sender}: its "
                "retention is shorter than this group was away; start anew under another --group"
            )
        heard.expected += 1
        heard.watermarks |= header.watermarks
        heard.closed.update(header.closed)
        heard.since = header.since
        return True

    @property
    def watermarks(self) -> dict[str, int]:
        """The least watermark of each node over all its senders; those from whom nothing more comes hold nobody back.

        When all are through it is the greatest: senders that go by the clock end when they end.
        """
        return {
            node: self._watermark(node, [self._of(sender) for sender in senders])
            for node, senders in self.senders.items()
        }

    @staticmethod
    def _watermark(node: str, heard: Sequence[Heard]) -> int:
        marks = [one.watermarks.get(node, BEGINNING) for one in heard if node not in one.closed]
        return min(marks) if marks else max(one.watermarks.get(node, BEGINNING) for one in heard)

    @property
    def since(self) -> int:
        """From when on (ms) all partitions are known to count their `quality`."""
        return max((heard.since for heard in self.heard.values()), default=0)

    @property
    def closed(self) -> set[str]:
        """The nodes of which nothing more will come."""
        return {node for node, senders in self.senders.items() if all(node in self._of(one).closed for one in senders)}

    def _of(self, sender: str) -> Heard:
        return self.heard.get(sender) or Heard()

    def _refuse_other(self, header: Header) -> None:
        if self.version not in {None, header.version} or header.shards != self.shards:
            raise StateError(
                f"the exchange holds packets of {header.sender} made by another topology or for {header.shards} "
                f"shards, not {self.shards}: run that topology, or start anew under another --group"
            )
