"""Whether a process lives and is ready, as it says itself."""

from __future__ import annotations

from monitoring.health import BEAT_SECONDS, SINKS, SOURCES, TABLES, Health


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def opened() -> Health:
    health = Health()
    for name in (SOURCES, TABLES, SINKS):
        health.ready(name, ok=True)
    return health


class TestLiving:
    def test_it_lives_until_the_last_beat_is_too_old(self) -> None:
        clock = Clock()
        health = Health(clock=clock)
        clock.now += BEAT_SECONDS
        assert health.alive.good
        clock.now += 1
        assert not health.alive.good
        assert health.alive.checks == {"beat": "the main loop has not moved for 61 s"}
        health.beat()
        assert health.alive.good

    def test_while_it_drains_no_beat_is_expected(self) -> None:
        clock = Clock()
        health = Health(clock=clock)
        health.drain("told to stop")
        clock.now += 10 * BEAT_SECONDS
        assert health.alive.good

    def test_something_that_opens_is_a_sign_of_life(self) -> None:
        clock = Clock()
        health = Health(clock=clock)
        clock.now += BEAT_SECONDS + 1
        health.ready(TABLES, ok=True)
        assert health.alive.good


class TestReadiness:
    def test_it_is_ready_when_everything_it_needs_has_said_so(self) -> None:
        health = Health()
        assert health.at_work.checks == dict.fromkeys((SOURCES, TABLES, SINKS), "not open yet") | {"draining": ""}
        health.ready(SOURCES, ok=True)
        health.ready(TABLES, ok=True)
        assert not health.at_work.good
        health.ready(SINKS, ok=True)
        assert health.at_work.good

    def test_what_fails_later_says_why_until_it_is_back(self) -> None:
        health = opened()
        health.ready(SINKS, ok=False, why="down and tried again: redis")
        assert not health.at_work.good
        assert health.at_work.checks[SINKS] == "down and tried again: redis"
        health.ready(SINKS, ok=True)
        assert health.at_work.good

    def test_what_can_be_asked_is_asked_each_time(self) -> None:
        health, down = opened(), ["redis"]
        health.watch(SINKS, lambda: ", ".join(down))
        assert health.at_work.checks[SINKS] == "redis"
        down.clear()
        assert health.at_work.good

    def test_a_failure_without_a_reason_is_one(self) -> None:
        health = opened()
        health.ready(SINKS, ok=False)
        assert not health.at_work.good

    def test_a_check_of_the_hosts_own_counts_too(self) -> None:
        health = opened()
        health.ready("recovery", ok=False, why="the changelog is being read")
        assert not health.at_work.good

    def test_a_process_that_drains_is_not_ready(self) -> None:
        health = opened()
        health.drain("told to stop")
        assert not health.at_work.good
        assert health.at_work.checks["draining"] == "told to stop"
