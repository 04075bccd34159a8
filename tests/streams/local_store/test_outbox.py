"""The outbox: positions that only grow, pieces that stay as they came."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.local.outbox import Outbox


def rows(first: int, count: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(first, first + count)}, schema={"n": pl.Int64})


class TestOutbox:
    """Row n has position n throughout."""

    @given(
        counts=st.lists(st.integers(0, 4), max_size=6),
        trimmed=st.integers(0, 25),
        since=st.integers(0, 25),
        until=st.integers(0, 25),
    )
    @settings(max_examples=60, deadline=None)
    def test_it_gives_back_what_is_asked_for_and_not_yet_trimmed(
        self, counts: list[int], trimmed: int, since: int, until: int
    ) -> None:
        outbox = Outbox()
        for count in counts:
            outbox.append(rows(outbox.end, count))
        outbox.trim(trimmed)
        assert outbox.end == sum(counts)
        assert outbox.start <= max(trimmed, 0) or outbox.start == outbox.end
        given_back = [n for chunk in outbox.since(since, until) for n in chunk.rows["n"]]
        asked = [n for n in range(since, min(until, outbox.end)) if n >= outbox.start]
        assert given_back == asked
        restored = Outbox(outbox.chunks, outbox.end)
        assert (restored.start, restored.end) == (outbox.start, outbox.end)

    def test_a_piece_is_the_same_object_in_every_snapshot(self) -> None:
        """So a commit writes it once."""
        outbox = Outbox()
        piece = rows(0, 3)
        outbox.append(piece)
        outbox.append(rows(3, 1))
        outbox.trim(1)
        assert outbox.chunks[0].rows is piece
        assert next(outbox.since(0)).rows is piece
