"""Time passes in silence too: where a partition stands whose reader waits at the end of its log (semantics 5)."""

from __future__ import annotations

from streams.ingest.lateness import State, greatest_of, state_of


def idled(state: State, clock: int, idle: int) -> State:
    """Give the state of a partition that had no record for `idle` ms when the clock showed `clock` (ms).

    Its watermark is then at least the clock less idle and lateness; records that come at or below it are late, by the
    rule that always holds.
    """
    greatest = greatest_of(state)
    reached = clock - idle + 1  # the watermark is 1 ms below the greatest time less the lateness
    return state if greatest is not None and greatest >= reached else state_of(reached)
