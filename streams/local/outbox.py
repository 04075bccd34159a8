"""Transitions that were decided but are not confirmed by every sink: part of the state (semantics 23).

Every transition has a position: how many came before it since the state was new. The outbox holds those from `start` to
`end`, in the pieces in which they came, so that a commit writes each piece once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl


class Chunk(NamedTuple):
    """Consecutive transitions; `start` is the position of the first."""

    start: int
    rows: pl.DataFrame

    @property
    def end(self) -> int:
        """The position after the last row."""
        return self.start + self.rows.height


class Outbox:
    """The pieces in order. `end` is needed where there are none: positions go on."""

    def __init__(self, chunks: Sequence[Chunk] = (), end: int = 0) -> None:
        self._chunks = list(chunks)
        self._end = chunks[-1].end if chunks else end

    @property
    def start(self) -> int:
        """The position of the first transition still here."""
        return self._chunks[0].start if self._chunks else self._end

    @property
    def end(self) -> int:
        """The position that the next transition will have."""
        return self._end

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The pieces, for a snapshot: the frames themselves, never copies."""
        return tuple(self._chunks)

    def append(self, rows: pl.DataFrame) -> int:
        """Add transitions; give the position after them."""
        if rows.height:
            self._chunks.append(Chunk(self._end, rows))
            self._end += rows.height
        return self._end

    def since(self, position: int, until: int | None = None) -> Iterator[Chunk]:
        """Give the transitions in [position, until), in order; `until` defaults to `end`."""
        until = self._end if until is None else until
        for chunk in self._chunks:
            first, last = max(chunk.start, position), min(chunk.end, until)
            if first < last:
                whole = last - first == chunk.rows.height
                yield chunk if whole else Chunk(first, chunk.rows.slice(first - chunk.start, last - first))

    def trim(self, position: int) -> None:
        """Let go of the pieces that lie wholly before `position`, the least that all sinks have confirmed."""
        self._chunks = [chunk for chunk in self._chunks if chunk.end > position]
