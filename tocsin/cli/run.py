"""`tocsin run`: a topology over streams."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tocsin.cli.files import FILE, JSON, SOURCES, STATES, load_plan, moment, named, warn
from tocsin.cli.jobs import CLUSTER, FLINK, PARALLELISM, run_job
from tocsin.cli.runtimes import GROUP, given_options
from tocsin.cli.serving import HTTP, serving
from tocsin.cli.workers import WORKERS, run_workers
from tocsin.kafka import SCHEME, SERVERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.local.runner import Settings
    from tocsin.compiler import Plan

UNDELIVERED = 1

WORDS_OF: Mapping[str, frozenset[str]] = {
    "local": frozenset({"keep_state", "start", "batch_rows", "commit_seconds", "with_metrics", "http"}),
    "faust": frozenset({"workers", "group", "http"}),
    "flink": frozenset({"parallelism", "cluster", "flink", "group", "http"}),
}
"""Options that not all runtimes have."""


class Said(NamedTuple):
    """What was said on the command line, by the names of the options."""

    file: Path
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    servers: str
    runtime: str
    state: Path | None
    keep_state: bool
    start: str | None
    until: str | None
    early: bool
    buckets: int
    batch_rows: int
    commit_seconds: float
    with_metrics: bool
    workers: int
    group: str
    parallelism: int
    cluster: str
    flink: tuple[str, ...]
    http: str | None
    as_json: bool


SINKS = click.option(
    "--sink",
    "sinks",
    metavar="URI",
    multiple=True,
    help="Where alerts go, instead of the topology's sinks: ndjson:PATH, console, clickhouse:FOLDER, "
    "clickhouse://HOST/DATABASE, redis://HOST/DB, kafka://HOST/TOPIC. Without any: "
    "the console (but with --json) and a ClickHouse in the state folder, for `tocsin alerts`.",
)
KAFKA = click.option(
    "--kafka",
    "servers",
    metavar="HOST:PORT",
    envvar=SERVERS,
    default="",
    help="The brokers whose topics are read for all streams and tables without --source; such a run goes on until it "
    f"is stopped, or has come to --until. Default: ${SERVERS}.",
)
STATE = click.option("--state", type=click.Path(path_type=Path), help=f"The state folder; default {STATES}/NAME.")
UNTIL = click.option("--until", help="Take no event after this time (RFC 3339); default: the greatest event time.")
EARLY = click.option(
    "--early", is_flag=True, help="Raise alerts of immediate rules when the event arrives; the watermark confirms them."
)
BUCKETS = click.option(
    "--buckets", type=click.IntRange(1, 4096), default=1, show_default=True, help="Into how many parts keys are spread."
)


@click.command(name="run")
@FILE
@SOURCES
@SINKS
@KAFKA
@click.option("--runtime", type=click.Choice(["local", "faust", "flink"]), default="local", show_default=True)
@STATE
@click.option(
    "--keep-state",
    is_flag=True,
    help="Leave windows open at the end; the same command goes on with what was added to the input.",
)
@click.option("--from", "start", help="Give alerts from this time on (RFC 3339); older input is read as far as needed.")
@UNTIL
@EARLY
@BUCKETS
@click.option(
    "--batch-rows", type=click.IntRange(min=1), default=131_072, show_default=True, help="Records read at once."
)
@click.option(
    "--commit-seconds", type=click.FloatRange(min=0), default=2.0, show_default=True, help="Time between two commits."
)
@click.option("--metrics", "with_metrics", is_flag=True, help="Print the metrics of the run.")
@WORKERS
@GROUP
@PARALLELISM
@CLUSTER
@FLINK
@HTTP
@JSON
def command(**said: Any) -> None:  # noqa: ANN401  # what click read, by the names of Said
    """Run a topology over streams until they end: files at their end, topics at --until or when told to stop.

    Killed at any moment and started again with the same words, it goes on where it was and raises every alert once.
    Exits 1 if a sink could not be reached.

    \b
    tocsin run my.yaml --source payments=parquet:payments.parquet --sink ndjson:alerts.ndjson
    tocsin run my.yaml --source payments=ndjson:day.ndjson --source terminals=csv:terminals.csv --sink console
    tocsin run my.yaml --source payments=ndjson:inbox/ --keep-state      and again when files were added
    tocsin run my.yaml --kafka localhost:9092 --http localhost:9100
    tocsin run my.yaml --runtime faust --workers 3 --sink kafka://localhost:9092/alerts
    tocsin run my.yaml --runtime flink --parallelism 2 --sink kafka://localhost:9092/alerts
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    words = Said(**said)
    _refuse_words_of_others(words.runtime)
    if words.runtime == "faust":
        run_workers(words._replace(sources=sources_on_kafka(words.file, words.sources, words.servers)))
    elif words.runtime == "flink":
        run_job(words._replace(sources=sources_on_kafka(words.file, words.sources, words.servers)))
    else:
        _run_local(words)


def _refuse_words_of_others(runtime: str) -> None:
    for option in given_options():
        others = [other for other, names in WORDS_OF.items() if option.name in names]
        if others and runtime not in others:
            raise click.UsageError(f"{option.opts[0]} is a word of the runtime {others[0]}: leave it out")


def sources_on_kafka(file: Path, sources: tuple[str, ...], servers: str) -> tuple[str, ...]:
    """Give the sources; runtimes on Kafka find the servers of the environment themselves."""
    if not servers or servers == os.environ.get(SERVERS):
        return sources
    uris = with_topics(load_plan(file), named(sources), servers)
    return tuple(f"{name}={uri}" for name, uri in uris.items())


def _run_local(words: Said) -> None:
    from monitoring.metrics import MemoryMetrics  # noqa: PLC0415  # keeps --help instant
    from streams.local.running import Order, carry_out  # noqa: PLC0415
    from tocsin.cli import summary as told  # noqa: PLC0415
    from tocsin.cli.progress import progress  # noqa: PLC0415
    from tocsin.cli.signals import stoppable, tell_stopped  # noqa: PLC0415

    plan = load_plan(words.file)
    uris = with_topics(plan, named(words.sources), words.servers)
    folder = words.state if words.state is not None else Path(STATES) / plan.name
    sinks = words.sinks
    if not sinks and not plan.sinks:
        shown = () if words.as_json else ("console",)
        sinks = (*shown, f"clickhouse:{folder / 'clickhouse'}")
    settings, metrics = _settings(words), MemoryMetrics()
    order = Order(plan, words.file, uris, sinks, folder, words.buckets, settings, metrics)
    with stoppable() as stop, serving(words.http, metrics, settings.health), progress(plan.name) as watch:
        settings.stop, settings.progress = stop, watch
        summary = carry_out(order)
    if words.as_json:
        click.echo(json.dumps(told.as_json(summary, metrics), indent=2))
    else:
        told.show(plan, summary, "tocsin dlq list" + (f" --state {words.state}" if words.state is not None else ""))
    if words.with_metrics and not words.as_json:
        told.show_metrics(metrics)
    if summary.stopped:
        tell_stopped(stop)
    raise SystemExit(0 if summary.flushed else UNDELIVERED)


def _settings(words: Said) -> Settings:
    from streams.local.runner import Settings  # noqa: PLC0415  # keeps --help instant

    return Settings(
        words.batch_rows,
        words.commit_seconds,
        moment(words.until),
        moment(words.start),
        words.keep_state,
        words.early,
        warn=warn,
    )


def with_topics(plan: Plan, sources: Mapping[str, str], servers: str) -> dict[str, str]:
    """Add the topics of the streams and tables that have no source, where brokers are named."""
    if not servers:
        return dict(sources)
    topics = {name: stream.topic for name, stream in plan.streams.items()}
    topics |= {name: table.topic for name, table in plan.tables.items()}
    return {name: f"{SCHEME}://{servers}/{topic}" for name, topic in topics.items() if topic} | dict(sources)
