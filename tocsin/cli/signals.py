"""Ctrl-C and `kill`: a run ends at the next batch with a commit; a second signal ends it at once."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a signal has come; `received` is its number."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __call__(self) -> bool:
        """Say whether to stop."""
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells report it."""
        return 128 + (self.received or 0)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take a signal; the second one interrupts whatever goes on."""
        del frame
        if self.received is not None:
            raise SystemExit(self.exit_code)
        self.received = number


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Give what a run asks between two batches."""
    stop = Stop()
    before = {number: signal.signal(number, stop.note) for number in STOPPING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell_stopped(stop: Stop) -> NoReturn:
    """End a run that a signal has stopped."""
    click.echo("stopped; the same command goes on from here", err=True)
    raise SystemExit(stop.exit_code)
