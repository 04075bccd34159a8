"""`tocsin flink`: jobs that run on a cluster without a command that waits for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tocsin.cli.files import FILE, JSON, SOURCES, load_plan, named
from tocsin.cli.jobs import FLINK, PARALLELISM, job_of
from tocsin.cli.run import BUCKETS, EARLY, KAFKA, SINKS, STATE, sources_on_kafka
from tocsin.cli.runtimes import GROUP, needing
from tocsin.cli.serving import serving
from tocsin.cli.signals import stoppable
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.flink.remote import Job
    from streams.flink.submitting import Run, Submitted

CLUSTER = click.option(
    "--cluster", metavar="HOST:PORT", required=True, help="The REST address of the Flink cluster, that of its web page."
)
JOB = click.argument("job")
TO = click.option("--to", "folder", metavar="URI", help="Where it is written; default: the job's state folder.")


class Said(NamedTuple):
    """What was said of a job to be submitted, by the names of the options."""

    file: Path
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    servers: str
    state: Path | None
    early: bool
    buckets: int
    group: str
    parallelism: int
    flink: tuple[str, ...]
    cluster: str
    as_json: bool
    origin: str | None = None
    until: str | None = None


def _job_words(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the words that say what job is meant: those of `tocsin run`."""
    for word in (JSON, CLUSTER, FLINK, PARALLELISM, GROUP, BUCKETS, EARLY, STATE, KAFKA, SINKS, SOURCES, FILE):
        command = word(command)
    return command


@click.group(name="flink")
def command() -> None:
    """Submit jobs to a Flink cluster, save, stop, move and rescale them.

    Such a job runs on until it is stopped; `tocsin run --runtime flink --cluster HOST:PORT` stays with its job instead,
    and ends it at --until. All but submit, restore and rescale need no Java.
    """


@command.command()
@_job_words
def submit(**said: Any) -> None:  # noqa: ANN401  # what click read, by the names of Said
    """Submit a topology, and return. It goes on from the last savepoint or checkpoint in the state folder.

    \b
    tocsin flink submit my.yaml --cluster jobs:8081 --parallelism 4 --state /shared/my --sink kafka://HOST/alerts
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    _submitted(Said(**said))


@command.command()
@_job_words
@click.option("--from", "origin", metavar="SAVEPOINT", required=True, help="A savepoint or checkpoint: a path or URI.")
def restore(**said: Any) -> None:  # noqa: ANN401  # as above
    """Submit a topology from a savepoint or checkpoint of its state folder that need not be the last.

    What comes after it is decided again: sinks that are idempotent get nothing new, an alert topic gets those alerts a
    second time. At any parallelism, and with other rules beside those that are the same.

    \b
    tocsin flink restore my.yaml --from .tocsin/my/flink/savepoints/savepoint-1a2b3c-0 --cluster jobs:8081 ...
    """  # noqa: D301  # as above
    _submitted(Said(**said))


@command.command()
@_job_words
def rescale(**said: Any) -> None:  # noqa: ANN401  # as above
    """Stop the job of a topology with a savepoint, and submit it from there with another --parallelism.

    \b
    tocsin flink rescale my.yaml --parallelism 8 --cluster jobs:8081 --state /shared/my --sink kafka://HOST/alerts
    """  # noqa: D301  # as above
    words = Said(**said)
    run = _run(words)
    with needing("flink"):
        from streams.flink.detached import stop_to_rescale  # noqa: PLC0415  # an extra
    run.origin = stop_to_rescale(run)
    click.echo(f"stopped with the savepoint {run.origin}", err=True)
    _tell(run, _hand_over(run), as_json=words.as_json)


@command.command()
@JOB
@CLUSTER
@TO
@JSON
def savepoint(job: str, cluster: str, folder: str | None, *, as_json: bool) -> None:
    """Write a savepoint of a job, which runs on; JOB is its id or name. Prints where the savepoint is."""
    _saved(job, cluster, folder, stop=False, as_json=as_json)


@command.command()
@JOB
@CLUSTER
@TO
@JSON
def stop(job: str, cluster: str, folder: str | None, *, as_json: bool) -> None:
    """Stop a job with a savepoint, with which its last alerts are committed; JOB is its id or name."""
    _saved(job, cluster, folder, stop=True, as_json=as_json)


@command.command(name="list")
@CLUSTER
@JSON
def list_jobs(cluster: str, *, as_json: bool) -> None:
    """List the jobs of topologies, the newest first, and why they failed or were started again."""
    from streams.flink.remote import jobs, trouble  # noqa: PLC0415  # keeps --help instant

    found = [(job, trouble(cluster, job.id)) for job in jobs(cluster)]
    if as_json:
        click.echo(json.dumps([_as_json(job, why) for job, why in found], indent=2))
        return
    for job, why in found:
        click.echo(f"{job.id}  {job.state:<10}  {_moment(job)}  {job.name}")
        if why:
            click.echo(f"    {why}")
    if not found:
        click.echo(f"{cluster} knows no job of a topology")


@command.command()
@FILE
@SOURCES
@KAFKA
@GROUP
@CLUSTER
@click.option("--http", metavar="HOST:PORT", required=True, help="Serve /metrics, /healthz and /readyz there.")
def metrics(file: Path, sources: tuple[str, ...], servers: str, group: str, cluster: str, http: str) -> None:
    """Serve the metrics of the job of a topology, until a signal comes or the job ends, which exits with 1.

    \b
    tocsin flink metrics my.yaml --kafka localhost:9092 --cluster jobs:8081 --http :9464
    """  # noqa: D301  # as above
    from streams.flink.figures import Figures  # noqa: PLC0415  # as above
    from streams.flink.watching import find, watch  # noqa: PLC0415
    from streams.tasks.inputs import group_of  # noqa: PLC0415

    plan, figures = load_plan(file), Figures()
    place = find(plan, named(sources_on_kafka(file, sources, servers)), group or group_of(plan), cluster)
    with stoppable() as stop, serving(http, figures.metrics, figures.health, figures.gauges):
        if watch(place, figures, stop):
            raise SourceError(f"the job has ended: Flink says it is {figures.state.lower()}")


def _as_json(job: Job, why: str) -> dict[str, str]:
    return {"job": job.id, "name": job.name, "state": job.state, "begun": _moment(job), "trouble": why}


def _moment(job: Job) -> str:
    return datetime.fromtimestamp(job.begun / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _saved(job: str, cluster: str, folder: str | None, *, stop: bool, as_json: bool) -> None:
    from streams.flink import remote  # noqa: PLC0415  # as above

    found = remote.running(cluster, job)
    where = remote.savepoint(cluster, found.id, folder or remote.savepoints_of(cluster, found.id), stop=stop)
    if as_json:
        click.echo(json.dumps({"job": found.id, "savepoint": where}))
        return
    click.echo(where)
    if stop and folder is not None:
        click.echo(
            f"stopped; `tocsin flink restore … --from {where}` with the words of then goes on from here", err=True
        )
    elif stop:
        click.echo("stopped; `tocsin flink submit` with the words of then goes on from here", err=True)


def _run(words: Said) -> Run:
    with needing("flink"):
        import streams.flink.submitting  # noqa: F401, PLC0415  # the runtime is an extra
    run = job_of(words._replace(sources=sources_on_kafka(words.file, words.sources, words.servers)))
    run.origin = words.origin
    return run


def _submitted(words: Said) -> None:
    run = _run(words)
    _tell(run, _hand_over(run), as_json=words.as_json)


def _hand_over(run: Run) -> Submitted:
    from streams.flink.detached import submit_detached  # noqa: PLC0415  # as above

    return submit_detached(run)


def _tell(run: Run, submitted: Submitted, *, as_json: bool) -> None:
    what = {name: f"tocsin flink {name} {submitted.job} --cluster {run.cluster}" for name in ("savepoint", "stop")}
    if as_json:
        click.echo(json.dumps({"job": submitted.job, "name": run.name, "state": str(run.folder), "commands": what}))
        return
    click.echo(f"{submitted.job}  {run.name}, state in {run.folder}")
    click.echo(f"save it:  {what['savepoint']}\nstop it:  {what['stop']}")
    click.echo(f"list all: tocsin flink list --cluster {run.cluster}")
