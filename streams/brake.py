"""The brake: stops a run before a wrong schema drains a whole source into the dead letters.

Records are counted in blocks of a fixed number, in offset order, so where it stops does not depend on batches. A
bounded source that ends before its first good record stops the run too: a file that is all bad must not look quiet.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tocsin.errors import BrakeError
from tocsin.model.rows import POSITION, POSITION_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from streams.ingest.spec import Ingested

BLOCK = 1000
"""Records that are judged together."""
SHARE = 0.9
"""The share of dead records in a block that stops the run; a source with a tenth of good records still has a use."""


@dataclass(slots=True)
class Brake:
    """Watches one partition of a stream. Store the dead letters first, then let it `watch`: what stops is kept."""

    stream: str
    block: int = BLOCK
    share: float = SHARE
    _records: int = field(default=0, init=False)
    _good: int = field(default=0, init=False)
    _dead_in_block: int = field(default=0, init=False)
    _last: tuple[str, int] = field(default=("", 0), init=False)

    @property
    def counts(self) -> tuple[int, int, int]:
        """What a commit keeps, so that a run that goes on judges as if it had not stopped."""
        return self._records, self._good, self._dead_in_block

    def resume(self, counts: Sequence[int]) -> None:
        """Go on with the counts of a commit."""
        self._records, self._good, self._dead_in_block = counts

    def watch(self, ingested: Ingested) -> None:
        """Count a step; BrakeError if a block of records was nearly all dead."""
        good = np.sort(np.concatenate([ingested.rows[POSITION].to_numpy(), ingested.late["position"].to_numpy()]))
        dead = ingested.dead
        places = (dead["offset"] + dead["partition"] * 2**POSITION_BITS).to_numpy()
        numbers = self._records + np.searchsorted(good, places) + np.arange(len(places))
        for number, count in zip(*np.unique(numbers // self.block, return_counts=True), strict=True):
            carried = self._dead_in_block if number == self._records // self.block else 0
            if carried + count > self.share * self.block:
                raise BrakeError(self._sentence(dead, int(carried + count), self.block))
        self._count(len(good), numbers)
        if dead.height:
            self._last = _most_frequent(dead)

    def _count(self, good: int, dead: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        before = self._records // self.block
        self._records += good + len(dead)
        self._good += good
        last = self._records // self.block
        carried = self._dead_in_block if last == before else 0
        self._dead_in_block = carried + int((dead // self.block == last).sum())

    def finish(self) -> None:
        """End a bounded source; BrakeError if it had records and none of them was good."""
        if self._records and not self._good:
            reason, offset = self._last
            raise BrakeError(self._advice(f"all {self._records} records are dead letters", reason, offset))

    def _sentence(self, dead: pl.DataFrame, count: int, of: int) -> str:
        reason, offset = _most_frequent(dead)
        return self._advice(f"{count} of {of} records in a row are dead letters", reason, offset)

    def _advice(self, what: str, reason: str, offset: int) -> str:
        return (
            f"stream {self.stream!r}: {what}, most of them {reason}, for instance at offset {offset}; "
            f"compare the stream's `fields` with its source (`tocsin dlq show {self.stream} {offset}`), then run again"
        )


def _most_frequent(dead: pl.DataFrame) -> tuple[str, int]:
    """Give the most frequent reason with its field, and the first offset that has it."""
    reasons = [f"{reason} ({column})" if column else reason for reason, column in dead["reason", "field"].iter_rows()]
    ((reason, _),) = Counter(reasons).most_common(1)
    return reason, int(dead["offset"][reasons.index(reason)])
