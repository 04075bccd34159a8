"""`tocsin application`: the program of a Flink application; Flink starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tocsin.cli.files import FILE, SOURCES, load_plan, named
from tocsin.cli.run import EARLY, KAFKA, SINKS, STATE, UNTIL, with_topics
from tocsin.cli.runtimes import GROUP, fields_of, needing

if TYPE_CHECKING:
    from pathlib import Path


class Said(NamedTuple):
    """What was said, by the names of the options."""

    file: Path
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    servers: str
    state: Path | None
    until: str | None
    early: bool
    buckets: int
    group: str


@click.command(name="application")
@FILE
@SOURCES
@SINKS
@KAFKA
@STATE
@UNTIL
@EARLY
@click.option(
    "--buckets",
    type=click.IntRange(1, 4096),
    required=True,
    help="Into how many parts keys are spread: once for a state, and no fewer than its parallelism will ever be.",
)
@GROUP
def command(**said: Any) -> None:  # noqa: ANN401  # what click read, by the names of Said
    """Be the program of a Flink application: Flink starts this, in its own environment and with its own settings.

    \b
    flink run -pyclientexec python -pym tocsin.cli application my.yaml --buckets 8 --sink kafka://HOST/alerts
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    words = Said(**said)
    with needing("flink"):
        from streams.flink.application import start, started_by_flink  # noqa: PLC0415  # the runtime is an extra
        from streams.flink.submitting import Run  # noqa: PLC0415  # as above
    if not started_by_flink():
        raise click.UsageError("Flink starts this (docs/flink-deployment.md); by hand: tocsin run --runtime flink")
    sources = with_topics(load_plan(words.file), named(words.sources), words.servers)
    plan, fields = fields_of(words._replace(sources=tuple(f"{name}={uri}" for name, uri in sources.items())), "flink")
    if not words.sinks and not plan.sinks:
        raise click.UsageError("say where alerts go: --sink kafka://HOST/TOPIC, or sinks in the topology")
    job = start(Run(**{**fields, "shards": words.buckets}), lasting=words.state is not None)
    click.echo(f"the job is {job.job}")
