"""Waiting for what another thread, process or server does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

WITHIN: Final = 240.0
"""Seconds: only a test that fails waits so long."""


def wait_until(condition: Callable[[], Found], why: str | Callable[[], str] = "") -> Found:
    """Ask until the answer is true, and give it; fail if that takes too long, with what did not come or `why` says."""
    deadline = time.monotonic() + WITHIN
    while not (found := condition()):
        assert time.monotonic() < deadline, why() if callable(why) else why
        time.sleep(0.02)
    return found
