"""`tocsin run`: a topology over streams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import FILE, JSON, SOURCES, load_plan, moment, named

if TYPE_CHECKING:
    from streams.local.runner import Summary
    from tocsin.compiler import Plan

STATE = ".tocsin"


@click.command(name="run")
@FILE
@SOURCES
@click.option(
    "--sink",
    "sinks",
    metavar="URI",
    multiple=True,
    help="Where alerts go, instead of the topology's sinks: ndjson:PATH, console, clickhouse:FOLDER.",
)
@click.option("--runtime", type=click.Choice(["local", "faust", "flink"]), default="local", show_default=True)
@click.option("--state", type=click.Path(path_type=Path), help=f"The state folder; default {STATE}/NAME.")
@click.option("--keep-state", is_flag=True, help="Keep the state when all sources are through, to go on with more.")
@click.option("--from", "start", help="Give alerts from this time on (RFC 3339); older input is read as far as needed.")
@click.option("--until", help="Read no event after this time (RFC 3339); default: the greatest event time.")
@click.option("--buckets", default=1, show_default=True, help="Into how many parts keys are spread.")
@JSON
def command(  # noqa: PLR0913, PLR0917  # one argument per option
    file: Path,
    sources: tuple[str, ...],
    sinks: tuple[str, ...],
    runtime: str,
    state: Path | None,
    keep_state: bool,
    start: str | None,
    until: str | None,
    buckets: int,
    as_json: bool,  # noqa: FBT001  # click passes flags so
) -> None:
    """Run a topology over streams until they end.

    Killed at any moment and started again with the same words, it goes on where it was and raises every alert once.
    """
    from streams.local.runner import Settings  # noqa: PLC0415  # keeps --help instant
    from streams.local.running import Order, carry_out  # noqa: PLC0415
    from tocsin.cli.progress import progress  # noqa: PLC0415

    if runtime != "local":
        raise click.UsageError(f"the runtime {runtime} is not there yet: use local")
    plan = load_plan(file)
    folder = state if state is not None else Path(STATE) / plan.name
    emit_from = moment(start)
    if not sinks and not plan.sinks:
        sinks = ("console", f"clickhouse:{folder / 'clickhouse'}")
    with progress(plan.name) as watch:
        settings = Settings(until=moment(until), emit_from=emit_from, progress=watch)
        order = Order(plan, file, named(sources), sinks, folder, keep_state, buckets, settings)
        summary = carry_out(order)
    if as_json:
        click.echo(json.dumps(summary_json(summary), indent=2))
    else:
        show(plan, summary)
    raise SystemExit(0)


def summary_json(summary: Summary) -> dict[str, object]:
    """Give a run's numbers as JSON."""
    return {
        "records": dict(summary.records),
        "put_aside": [{"stream": s, "reason": r, "records": n} for (s, r), n in sorted(summary.dead.items())],
        "stages": [{"stage": s, "count": c, "rows": n} for (s, c), n in sorted(summary.stages.items()) if n],
        "transitions": [{"rule": r, "kind": k, "number": n} for (r, k), n in sorted(summary.transitions.items())],
        "seconds": round(summary.seconds, 3),
        "delivered": summary.flushed,
    }


def show(plan: Plan, summary: Summary) -> None:
    """Say on stderr what a run did."""
    total = sum(summary.records.values())
    rate = total / summary.seconds if summary.seconds else 0
    click.echo(f"{plan.name}: {total:,} records in {summary.seconds:.1f} s ({rate:,.0f} a second)", err=True)
    for (stream, reason), number in sorted(summary.dead.items()):
        click.echo(f"  {stream}: {number:,} put aside: {reason}", err=True)
    for (rule, kind), number in sorted(summary.transitions.items()):
        click.echo(f"  {rule}: {number:,} {kind}", err=True)
    if not summary.flushed:
        click.echo("  some alerts could not be delivered yet; the same command tries again", err=True)
