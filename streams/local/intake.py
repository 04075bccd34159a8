"""The thread that takes in what goes on: decodes, ingests and lets early copies out while the stages work."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from streams.local.feed import Feed

    Early = Callable[[str, pl.DataFrame], pl.DataFrame]

WAIT_SECONDS = 0.02
"""How long nothing may come before it is asked whether partitions are silent."""


class Intake:
    """Asks the live feeds in turn. `bell` is rung by readers that have something.

    `early` takes the name of a stream and rows that have just come, lets their early copies out and gives them.
    """

    def __init__(self, bell: threading.Event, most: int, early: Early | None) -> None:
        self._bell = bell
        self._most = most
        self._early = early
        self._feeds: dict[str, Feed] = {}
        self._error: BaseException | None = None
        self._stopping = False
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tocsin-intake", daemon=True)

    def add(self, feeds: Mapping[str, Feed]) -> None:
        """Ask these feeds, too."""
        self._feeds = {**self._feeds, **feeds}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until a feed has something new, at most so long."""
        if self._news.wait(seconds):
            self._news.clear()

    def check(self) -> None:
        """Raise what ended the thread."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread."""
        self._stopping = True
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stopping:
                self._bell.clear()
                if any([feed.go_on(self._most, self._early) for feed in self._feeds.values()]):  # noqa: C419  # all
                    self._news.set()
                else:
                    self._bell.wait(WAIT_SECONDS)
        except BaseException as error:  # noqa: BLE001  # raised where the stages are driven
            self._error = error
            self._news.set()
