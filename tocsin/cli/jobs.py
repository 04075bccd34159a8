"""`tocsin run --runtime flink`: what of a run the command line says to a Flink job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import click

from tocsin.cli.files import named
from tocsin.cli.runtimes import Words, fields_of, needing, run_until_stopped
from tocsin.cli.serving import serving

if TYPE_CHECKING:
    from streams.flink.submitting import Run
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


class JobWords(Words, Protocol):
    """What was said of a job."""

    @property
    def parallelism(self) -> int:
        """Subtasks of each operator."""

    @property
    def cluster(self) -> str:
        """HOST:PORT of a job manager's REST."""

    @property
    def flink(self) -> tuple[str, ...]:
        """KEY=VALUE, settings of Flink."""


def run_job(words: Said) -> None:
    """Run a job until it is through `--until`, or until a signal comes."""
    with needing("flink"):
        from streams.flink.figures import Figures  # noqa: PLC0415  # the runtime is an extra
        from streams.flink.running import carry_out  # noqa: PLC0415

    run, figures = job_of(words), Figures()
    told: dict[str, object] | None = {"parallelism": words.parallelism} if words.as_json else None
    watched = carry_out if words.http is None else partial(carry_out, figures=figures)
    with serving(words.http, figures.metrics, figures.health, figures.gauges):
        run_until_stopped(run, watched, told)


def job_of(words: JobWords) -> Run:
    """Say what job the words mean."""
    from streams.flink.submitting import Run  # noqa: PLC0415  # as above

    plan, fields = fields_of(words, "flink")
    if not words.sinks and not plan.sinks:
        raise click.UsageError("say where alerts go: --sink kafka://HOST/TOPIC, or sinks in the topology")
    return Run(
        **fields,
        parallelism=words.parallelism,
        cluster=words.cluster,
        settings=named(words.flink, "--flink"),
    )
