"""`tocsin simulate`: labelled streams, as files or on Kafka."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import JSON, load_plan, moment
from tocsin.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.simulator import Simulation

NOW = "now"
_HOUR = 3_600_000
_EVERY_SECONDS = 0.5


@click.command(name="simulate")
@click.argument("scenario", default="city")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How large the city is.",
)
@click.option("--format", "form", type=click.Choice(["ndjson", "parquet"]), default="ndjson", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder to write.")
@click.option(
    "--to",
    "address",
    metavar="kafka://HOST:PORT[/PREFIX]",
    help="Send to the topics of the topology, PREFIX before their names.",
)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="With --to: records a second over all streams, at most."
)
@click.option(
    "--from",
    "begin",
    metavar=f"TIME|{NOW}",
    help="The hour in which event times begin; `now` runs in real time. Default: the scenario's own, of 2026.",
)
@click.option(
    "--topology",
    type=click.Path(path_type=Path),
    help="With --to: the topology whose topics are meant; default: the scenario's own.",
)
@JSON
def command(  # noqa: PLR0913, PLR0917  # one argument per option
    scenario: str,
    seed: int,
    scale: float,
    form: str,
    out: Path | None,
    address: str | None,
    rate: float | None,
    begin: str | None,
    topology: Path | None,
    as_json: bool,  # noqa: FBT001  # click passes flags so
) -> None:
    """Write the streams, tables and labels of a SCENARIO (`city`, or the id of one system).

    Prints the arguments with which `tocsin run` reads them. With --to, a record is never sent before it has arrived by
    the clock, so that `--from now` is a live city; what lies in the past comes as fast as --rate allows.

    \b
    tocsin run topologies/wangiri.yaml $(tocsin simulate wangiri --out sim) --sink console
    tocsin simulate city --to kafka://localhost:9092 --rate 20000
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    from streams.simulator import SCENARIOS, generate  # noqa: PLC0415  # keeps --help instant

    if scenario not in SCENARIOS:
        known = ", ".join(SCENARIOS) + did_you_mean(scenario, SCENARIOS)
        raise click.BadParameter(f"no scenario is called {scenario!r}, only {known}", param_hint="SCENARIO")
    if out is None and address is None:
        raise click.UsageError("where to? Name a folder with --out, or brokers with --to kafka://HOST:PORT")
    if address is None and (rate is not None or topology is not None):
        raise click.UsageError("--rate and --topology say how to send with --to: leave them out")
    simulation = generate(scenario, seed, scale=scale, start=_hour(begin))
    sources: dict[str, str] = {}
    if address is not None:
        sources |= _send(simulation, address, topology or Path(SCENARIOS[scenario].topology), rate)
    if out is not None:
        written = _write(simulation, out, form)
        sources = written | {name: uri for name, uri in sources.items() if name in simulation.streams}
    _tell(simulation, sources, out, as_json=as_json)


def _hour(begin: str | None) -> int | None:
    """Give the hour of a moment: what is labelled keeps its place in quarters and hours."""
    at = time.time_ns() // 1_000_000 if begin == NOW else moment(begin)
    return None if at is None else at - at % _HOUR


def _write(simulation: Simulation, out: Path, form: str) -> dict[str, str]:
    """Write files; give the sources by name."""
    from streams.simulator import source_arguments, write  # noqa: PLC0415  # keeps --help instant
    from tocsin.errors import SinkError  # noqa: PLC0415

    try:
        write(simulation, out, "parquet" if form == "parquet" else "ndjson")
    except OSError as error:
        raise SinkError(f"{out} cannot be written: {error.strerror or error}") from error
    return dict(source.split("=", 1) for source in source_arguments(out)[1::2])


def _send(simulation: Simulation, address: str, topology: Path, rate: float | None) -> dict[str, str]:
    """Send to Kafka; give the sources by name."""
    from streams.kafka.writer import TopicWriter  # noqa: PLC0415  # keeps --help instant
    from streams.simulator.sending import Pace, send, targets  # noqa: PLC0415
    from tocsin.kafka import SCHEME  # noqa: PLC0415

    servers, prefix = _place(address)
    if not topology.exists():
        raise click.UsageError(f"{topology} is not here: name the topology whose topics are meant with --topology")
    to = targets(load_plan(topology), simulation, prefix)
    began = time.monotonic()
    with TopicWriter(servers) as writer:
        sent = send(simulation, to, writer, Pace(rate), _watch(sum(map(len, simulation.streams.values())), began))
    seconds = time.monotonic() - began
    begin = "\r" if sys.stderr.isatty() else ""  # over the line that showed progress
    speed = sent / max(seconds, 0.001)
    click.echo(f"{begin}sent {sent:,} records in {seconds:.1f} s, {speed:,.0f} a second", err=True)
    return {name: f"{SCHEME}://{servers}/{target.topic}" for name, target in to.items()}


def _place(address: str) -> tuple[str, str]:
    """Split an address into servers and prefix."""
    from tocsin.errors import SinkError  # noqa: PLC0415  # keeps --help instant
    from tocsin.kafka import parse_address  # noqa: PLC0415

    _, _, prefix = address.removeprefix("kafka://").partition("/")
    if not prefix:
        return parse_address(f"{address.removesuffix('/')}/any", SinkError).servers, ""
    found = parse_address(address, SinkError)
    found.refuse_options_but(error=SinkError)
    return found.servers, found.topic


def _watch(total: int, began: float) -> Callable[[int], None]:
    """Give what shows progress on a terminal."""
    if not sys.stderr.isatty():
        return lambda _: None
    shown = 0.0

    def watch(sent: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= _EVERY_SECONDS:
            shown = now
            rate = sent / max(now - began, 0.001)
            click.echo(f"\r{sent:,} of {total:,} records, {rate:,.0f} a second ", err=True, nl=False)

    return watch


def _tell(simulation: Simulation, sources: dict[str, str], out: Path | None, *, as_json: bool) -> None:
    records = {name: rows.height for name, rows in simulation.streams.items()}
    named = [f"{name}={uri}" for name, uri in sources.items()]
    if as_json:
        labels = simulation.labels.height
        click.echo(json.dumps({"records": records, "labels": labels, "sources": named}, indent=2))
        return
    for name, number in records.items():
        click.echo(f"{name}: {number:,} records", err=True)
    if out is not None:
        click.echo(f"{simulation.labels.height} labels in {out / 'labels.ndjson'}", err=True)
    click.echo(" ".join(argument for source in named for argument in ("--source", source)))
