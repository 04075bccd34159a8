"""How long a thread may keep Python's interpreter to itself while others wait for it.

The thread that fetches holds it while it makes objects of messages, and so does each that puts a query together. What
waits meanwhile may be an event on its way to its alert, and it waits again after every call of Polars.
"""

from __future__ import annotations

import sys

TURN_SECONDS = 0.0005
"""Python's own is 5 ms."""


def take_short_turns() -> None:
    """Let threads that wait have the interpreter sooner."""
    sys.setswitchinterval(TURN_SECONDS)
