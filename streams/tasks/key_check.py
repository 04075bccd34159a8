"""Whether a stream is partitioned by what it says: of a sample of keys, none may be in two partitions (semantics 14).

The sample is taken by the key's hash, so that every process takes the same keys, and told to whoever compares all
partitions. A key that is seen in a second partition ends the run: what stands beside partitions has counted it in two
places. It may take some seconds until that is noticed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.tasks.layout import GROUP
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from streams.tasks.layout import Layout
    from tocsin.compiler.plan import StreamPlan

Told = list[tuple[str, int, list[int]]]
"""Stream, partition, hashes of keys that it holds."""

ONE_IN = 64
"""Keys of which one is taken."""
FEW = 1_000
"""While fewer keys than these are known of a partition, all are taken."""
MOST = 8_192
"""Keys that are remembered of a partition."""
TOLD = 500
"""Keys that are told at once; all come round."""


@dataclass(slots=True)
class KeyCheck:
    """What is known of keys.

    `streams`: those whose stages stand beside their partitions. `option`: names another place for the states.
    """

    streams: Mapping[str, StreamPlan]
    option: str = GROUP.option
    _own: defaultdict[tuple[str, int], dict[int, None]] = field(default_factory=lambda: defaultdict(dict))
    _known: defaultdict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    _round: int = 0

    @classmethod
    def of(cls, layout: Layout) -> KeyCheck:
        """Check the streams of a layout."""
        streams = {name: layout.plan.streams[name] for name, stages in layout.direct.items() if stages}
        return cls(streams, layout.holder.option)

    def note(self, stream: str, partition: int, rows: pl.DataFrame) -> None:
        """Take the keys of rows that a partition gave."""
        if stream not in self.streams:
            return
        own = self._own[stream, partition]
        if len(own) >= MOST:
            return
        hashes = rows.select(self.streams[stream].partitioned_by).drop_nulls().hash_rows()
        if len(own) >= FEW:
            hashes = hashes.filter(hashes % ONE_IN == 0)
        for key in hashes.unique(maintain_order=True).to_list()[: MOST - len(own)]:
            own[key] = None

    def tell(self) -> Told:
        """Give some of the keys of each partition of this worker, others each time."""
        told = []
        for (stream, partition), own in list(self._own.items()):
            keys = list(own)
            begin = self._round * TOLD % max(1, len(keys))
            told.append((stream, partition, keys[begin : begin + TOLD]))
        self._round += 1
        return told

    def hear(self, told: Told) -> None:
        """Take what a worker told; SourceError if a key is in two partitions."""
        for stream, partition, keys in told:
            known = self._known[stream]
            for key in keys:
                other = known.setdefault(key, partition)
                if other != partition:
                    self._refuse(stream, partition, other)

    def _refuse(self, stream: str, one: int, other: int) -> None:
        plan = self.streams.get(stream)
        by = ", ".join(plan.partitioned_by) if plan is not None else "its key"
        raise SourceError(
            f"the stream {stream} says that it is partitioned_by {by}, but one {by} has records in the partitions "
            f"{min(one, other)} and {max(one, other)}: leave partitioned_by out, or produce with that key; then begin "
            f"anew with another {self.option}"
        )
