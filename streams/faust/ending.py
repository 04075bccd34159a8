"""A worker that is told to end, or has failed, does so in time, also where a broker or a sink does not answer.

Whatever would be waited for is in Kafka already, or is read again: an end that is cut short is one more crash.
"""

from __future__ import annotations

import os
import sys
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any

import faust

if TYPE_CHECKING:
    from collections.abc import Callable

END_SECONDS = 15.0
"""From the signal to the end of the process; the supervisor waits a little longer."""


class Ending:
    """The end of a process, at the latest END_SECONDS after `begin`. `code`: gives its exit code."""

    def __init__(self, code: Callable[[], int], seconds: float = END_SECONDS) -> None:
        self._code = code
        self._seconds = seconds
        self._begun = Lock()

    def begin(self) -> None:
        """Let the time run; a second call changes nothing."""
        if self._begun.acquire(blocking=False):
            timer = Timer(self._seconds, self._end)
            timer.daemon = True
            timer.start()

    def _end(self) -> None:
        print(  # noqa: T201  # the worker's own word, beside Faust's log
            f"tocsin: not all that was to be ended answered within {self._seconds:.0f} s; the next start goes on from "
            "what is durable",
            file=sys.stderr,
            flush=True,
        )
        code = 1
        try:
            code = self._code()
        finally:
            os._exit(code)


class EndingWorker(faust.Worker):
    """Faust's worker, whose end begins with the signal: it stops its clients, which may hang, before it tells us."""

    def __init__(self, app: faust.App, ending: Ending, **settings: Any) -> None:  # noqa: ANN401  # Faust's
        super().__init__(app, **settings)
        self._ending = ending

    def _schedule_shutdown(self, number: Any) -> None:  # noqa: ANN401  # a signal
        self._ending.begin()
        super()._schedule_shutdown(number)
