"""What holds for all tests: quick property tests that are the same in every run, and a plain word on real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from stack import shared
from tests.chaos import cases
from tests.servers.fixtures import (
    clickhouse_server,
    flink_cluster,
    kafka,
    kafka_secured,
    kafka_topics,
    redis_url,
    unique,
)

__all__ = ["clickhouse_server", "flink_cluster", "kafka", "kafka_secured", "kafka_topics", "redis_url", "unique"]

settings.register_profile(
    "suite",
    derandomize=True,  # a red run must mean a changed program
    deadline=None,  # the machines are shared: a slow moment is no failure
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("quick", settings.get_profile("suite"), phases=[Phase.explicit, Phase.generate])
"""Does not shrink what fails: while one works on it, a long example now is better than a short one in five minutes."""
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

NOT_RUN = "real data: NOT RUN"


OWNED = pytest.StashKey[Path | None]()
"""The folder of the servers that end with this process; none in workers of xdist."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make chaos` ask for all of tests/chaos."""
    parser.addoption(
        "--all-cases", action="store_true", help="all cases of tests/chaos, not only those drawn by a seed"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Be the process with which the servers of this run end, unless one above us is; settle the seed of the chaos."""
    cases.settle()
    config.stash[OWNED] = shared.claim()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers that tests asked for."""
    folder = config.stash.get(OWNED, None)
    if folder is not None:
        shared.end(folder)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end how many tests did not run because the real data is not there; nothing counts as shown by them."""
    skipped = [report for report in terminalreporter.getreports("skipped") if NOT_RUN in str(report.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{NOT_RUN} ({len(skipped)})", red=True)


def pytest_report_header() -> list[str]:
    """Say where real data is looked for, and by which seed cases of chaos are drawn."""
    return [f"real data: {os.environ.get('TOCSIN_DATA', '../shared/data')}", f"chaos: {cases.SEED}={cases.seed()}"]
