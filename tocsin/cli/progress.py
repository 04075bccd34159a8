"""Progress of a run on stderr, only where that is a terminal."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.local.runner import Runner

_EVERY_SECONDS = 0.2


@contextmanager
def progress(name: str) -> Iterator[Callable[[Runner], None] | None]:
    """Give a callback that shows how far a run is; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415  # start-up time
    from rich.live import Live  # noqa: PLC0415
    from rich.spinner import Spinner  # noqa: PLC0415

    started, shown = time.monotonic(), 0.0
    spinner = Spinner("dots", f"{name}: starting")
    # what a sink prints is put above the line, but where it goes to a file it must go there
    with Live(spinner, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()):

        def watch(runner: Runner) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown < _EVERY_SECONDS:
                return
            shown = now
            records = sum(n for (_, kind), n in runner.tally.records.items() if kind == "records")
            alerts = sum(n for (_, kind), n in runner.tally.transitions.items() if kind == "raised")
            rate = records / max(now - started, 0.001)
            waits = "".join(f"; waits for {trouble}" for trouble in runner.publisher.troubles)
            spinner.update(text=f"{name}: {records:,} records, {rate:,.0f} a second, {alerts:,} alerts{waits}")

        yield watch
