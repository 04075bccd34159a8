"""`tocsin simulate`: labelled streams."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path

import click

from tocsin.cli.files import JSON


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
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to write.")
@JSON
def command(scenario: str, seed: int, scale: float, form: str, out: Path, as_json: bool) -> None:  # noqa: FBT001  # one argument per option; click passes flags so
    """Write the streams, tables and labels of a SCENARIO (`city`, or the id of one system).

    Prints the arguments with which `tocsin run` reads them.

    \b
    tocsin run topologies/wangiri.yaml $(tocsin simulate wangiri --out sim) --sink console
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    from streams.simulator import SCENARIOS, simulate, source_arguments  # noqa: PLC0415  # keeps --help instant
    from tocsin.errors import SinkError  # noqa: PLC0415

    if scenario not in SCENARIOS:
        near = get_close_matches(scenario, SCENARIOS, 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        known = ", ".join(SCENARIOS)
        raise click.BadParameter(f"no scenario is called {scenario!r}, only {known}{meant}", param_hint="SCENARIO")
    try:
        simulation = simulate(scenario, seed, out, scale=scale, format="parquet" if form == "parquet" else "ndjson")
    except OSError as error:
        raise SinkError(f"{out} cannot be written: {error.strerror or error}") from error
    records = {name: rows.height for name, rows in simulation.streams.items()}
    if as_json:
        sources = source_arguments(out)[1::2]
        click.echo(json.dumps({"records": records, "labels": simulation.labels.height, "sources": sources}, indent=2))
        return
    for name, number in records.items():
        click.echo(f"{name}: {number:,} records", err=True)
    click.echo(f"{simulation.labels.height} labels in {out / 'labels.ndjson'}", err=True)
    click.echo(" ".join(source_arguments(out)))
