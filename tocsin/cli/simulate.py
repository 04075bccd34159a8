"""`tocsin simulate`: labelled streams."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="simulate")
@click.argument("scenario", default="city")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--scale", default=1.0, show_default=True, help="How large the city is.")
@click.option("--format", "form", type=click.Choice(["ndjson", "parquet"]), default="ndjson", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
def command(scenario: str, seed: int, scale: float, form: str, out: Path) -> None:
    """Write the streams, tables and labels of a SCENARIO (`city`, or the id of one system)."""
    from streams.simulator import SCENARIOS, simulate, source_arguments  # noqa: PLC0415  # keeps --help instant

    if scenario not in SCENARIOS:
        raise click.BadParameter(f"no scenario is called {scenario!r}, only {', '.join(SCENARIOS)}")
    simulation = simulate(scenario, seed, out, scale=scale, format="parquet" if form == "parquet" else "ndjson")
    for name, rows in simulation.streams.items():
        click.echo(f"{name}: {rows.height:,} records", err=True)
    click.echo(f"{simulation.labels.height} labels in {out / 'labels.ndjson'}", err=True)
    click.echo(" ".join(source_arguments(out)))
