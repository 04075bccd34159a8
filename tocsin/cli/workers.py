"""`tocsin run --runtime faust`: what of a run the command line says to workers on Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tocsin.cli.runtimes import fields_of, needing, run_until_stopped

if TYPE_CHECKING:
    from tocsin.cli.run import Said

WORKERS = click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes of the runtime faust."
)


def run_workers(words: Said) -> None:
    """Run workers until they are through `--until`, or until a signal comes."""
    with needing("faust"):
        from streams.faust.running import Run, carry_out  # noqa: PLC0415  # the runtime is an extra

    plan, fields = fields_of(words, "faust")
    run = Run(**fields, workers=words.workers)
    if not run.sinks and not plan.sinks and not words.as_json:
        run.sinks = ("console",)
    if words.http is not None:
        from monitoring.exporter import parse_address  # noqa: PLC0415  # as above

        run.web_host, run.web_port = parse_address(words.http)
    run_until_stopped(run, carry_out, {"workers": words.workers} if words.as_json else None)
