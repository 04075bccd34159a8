"""What the Kafka client logs, but not a hundred times a second: it does so for as long as a broker is away."""

from __future__ import annotations

import logging
from time import monotonic

PAUSE_SECONDS = 10.0
"""Time between two records of one kind, told apart by the text before anything is put into it."""


class Seldom(logging.Filter):
    """Lets one record of each kind pass in a while."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to write it."""
        kind, now = f"{record.name} {record.msg}", monotonic()
        if now < self._next.get(kind, 0.0):
            return False
        self._next[kind] = now + PAUSE_SECONDS
        return True


def spare_the_log() -> None:
    """Let the loggers of the client, which is imported by now, write seldom."""
    seldom = Seldom()
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("aiokafka"):
            logging.getLogger(name).addFilter(seldom)
