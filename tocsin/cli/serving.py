"""`--http HOST:PORT`: metrics and health of a process while it runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring.exporter import Gauges
    from monitoring.health import Health
    from monitoring.metrics import MemoryMetrics

HTTP = click.option(
    "--http",
    metavar="HOST:PORT",
    help="Serve /metrics, /healthz and /readyz there while it runs; without it `local` listens nowhere.",
)


@contextmanager
def serving(http: str | None, metrics: MemoryMetrics, health: Health, *beside: Gauges) -> Iterator[None]:
    """Serve while the body runs, if an address is given; ServingError if it cannot be used. Port 0 takes a free one.

    `beside`: numbers of another program, in the same scrape.
    """
    if http is None:
        yield
        return
    from monitoring.exporter import parse_address, served  # noqa: PLC0415  # start-up time, and an extra

    with served(parse_address(http), metrics, health, *beside) as address:
        click.echo(f"metrics and health on {address}", err=True)
        yield
