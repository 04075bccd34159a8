"""`tocsin run --runtime flink`: what of a run the command line says to a Flink job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import STATES, load_plan, moment, named, warn

if TYPE_CHECKING:
    from tocsin.cli.run import Said

PARALLELISM = click.option(
    "--parallelism", type=click.IntRange(1, 1024), default=2, show_default=True, help="Of the runtime flink."
)
CLUSTER = click.option(
    "--cluster",
    metavar="HOST:PORT",
    default="",
    help="The REST address of a Flink cluster; without it the runtime flink starts a mini-cluster of its own.",
)

FLINK = click.option(
    "--flink", "flink", metavar="KEY=VALUE", multiple=True, help="A setting of Flink; it counts before those of ours."
)


def run_job(words: Said) -> None:
    """Run a job until it is through `--until`, or until a signal comes."""
    try:
        from streams.flink.running import Run, carry_out  # noqa: PLC0415  # the runtime is an extra
    except ModuleNotFoundError as error:
        raise click.UsageError(f"the runtime flink needs {error.name}: pip install 'tocsin[flink,kafka]'") from error
    from tocsin.cli.signals import stoppable  # noqa: PLC0415

    plan = load_plan(words.file)
    if not words.sinks and not plan.sinks:
        raise click.UsageError("say where alerts go: --sink kafka://HOST/TOPIC, or sinks in the topology")
    group = words.group or f"tocsin-{plan.name}"
    run = Run(
        plan,
        words.file,
        words.state or Path(STATES) / plan.name / "flink",
        named(words.sources),
        words.sinks,
        group=group,
        parallelism=words.parallelism,
        shards=words.buckets if words.buckets > 1 else None,
        until=moment(words.until),
        early=words.early,
        cluster=words.cluster,
        settings=named(words.flink, "--flink"),
        warn=warn,
    )
    with stoppable() as stop:
        run.stop = stop
        through = carry_out(run)
    if words.as_json:
        click.echo(json.dumps({"group": group, "parallelism": words.parallelism, "through": through}))
    if not through:
        click.echo("stopped; the same command goes on from here", err=True)
        raise SystemExit(stop.exit_code)
