"""A silent partition moves on with the clock, and never back."""

from streams.ingest.idling import idled
from streams.ingest.lateness import initial, state_of, watermark_of

CLOCK, IDLE, LATENESS = 1_000_000, 30_000, 5_000


def test_an_idle_partition_stands_at_the_clock_less_idle_and_lateness() -> None:
    """The same watermark before the first record and after old ones."""
    for state in (initial(), state_of(7)):
        assert watermark_of(idled(state, CLOCK, IDLE), LATENESS) == CLOCK - IDLE - LATENESS


def test_idling_never_moves_a_partition_back() -> None:
    """A partition whose events are ahead of the clock keeps its place."""
    state = state_of(CLOCK)
    assert idled(state, CLOCK, IDLE) is state
