"""`tocsin run --runtime faust`: what of a run the command line says to workers on Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import STATES, load_plan, moment, named, warn

if TYPE_CHECKING:
    from tocsin.cli.run import Said

WORKERS = click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes of the runtime faust."
)
GROUP = click.option("--group", default="", help="Consumer group of faust and flink; default tocsin-NAME.")


def run_workers(words: Said) -> None:
    """Run workers until they are through `--until`, or until a signal comes."""
    try:
        from streams.faust.running import Run, carry_out  # noqa: PLC0415  # the runtime is an extra
    except ModuleNotFoundError as error:
        raise click.UsageError(f"the runtime faust needs {error.name}: pip install 'tocsin[faust,kafka]'") from error
    from tocsin.cli.signals import stoppable  # noqa: PLC0415

    plan = load_plan(words.file)
    group = words.group or f"tocsin-{plan.name}"
    run = Run(
        plan,
        words.file,
        words.state or Path(STATES) / plan.name / "faust",
        named(words.sources),
        words.sinks or (() if plan.sinks or words.as_json else ("console",)),
        group=group,
        workers=words.workers,
        shards=words.buckets if words.buckets > 1 else None,
        until=moment(words.until),
        early=words.early,
        warn=warn,
    )
    if words.http is not None:
        from monitoring.exporter import parse_address  # noqa: PLC0415  # as above

        run.web_host, run.web_port = parse_address(words.http)
    with stoppable() as stop:
        run.stop = stop
        through = carry_out(run)
    if words.as_json:
        click.echo(json.dumps({"group": group, "workers": words.workers, "through": through}))
    if not through:
        click.echo("stopped; the same command goes on from here", err=True)
        raise SystemExit(stop.exit_code)
