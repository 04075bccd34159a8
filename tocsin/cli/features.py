"""`tocsin features`: the rows of one feature, for oracles and notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import FILE, SOURCES, load_plan, moment, named

if TYPE_CHECKING:
    import polars as pl

    from tocsin.compiler import Plan


@click.command(name="features")
@FILE
@click.argument("name")
@SOURCES
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .parquet, .csv or .ndjson file.")
@click.option("--until", help="Read no event after this time (RFC 3339); default: the greatest event time.")
def command(file: Path, name: str, sources: tuple[str, ...], out: Path, until: str | None) -> None:
    """Write the rows that feature NAME gives over the sources."""
    from streams.local.assembly import load_tables, make_flow, open_feeds  # noqa: PLC0415  # keeps --help instant
    from streams.local.runner import Runner, Settings  # noqa: PLC0415
    from streams.pseudonyms import load_pseudonyms  # noqa: PLC0415

    plan = load_plan(file)
    if name not in plan.outputs:
        raise click.BadParameter(
            f"{plan.name} has no feature {name!r}, only {', '.join(plan.outputs)}", param_hint="NAME"
        )
    uris, pseudonyms = named(sources), load_pseudonyms()
    flow = make_flow(plan, [plan.outputs[name]])
    load_tables(flow, uris, file.parent, pseudonyms)
    rows: list[pl.DataFrame] = []
    settings = Settings(until=moment(until), receive=lambda _, given: rows.append(given))
    summary = Runner(plan, flow, open_feeds(flow, uris, pseudonyms), settings=settings).run()
    _write(plan, name, rows, out)
    for stream, number in summary.records.items():
        click.echo(f"{stream}: {number} records", err=True)
    for (stream, reason), number in summary.dead.items():
        click.echo(f"{stream}: {number} put aside: {reason}", err=True)


def _write(plan: Plan, name: str, rows: list[pl.DataFrame], out: Path) -> None:
    import polars as pl  # noqa: PLC0415

    from streams.outside import outside  # noqa: PLC0415

    schema = next(stage.output for stage in plan.stages if stage.name == plan.outputs[name])
    table = outside(pl.concat(rows) if rows else schema.empty(), schema)
    match out.suffix:
        case ".parquet":
            table.write_parquet(out)
        case ".csv":
            table.write_csv(out)
        case ".ndjson" | ".jsonl":
            table.write_ndjson(out)
        case _:
            raise click.BadParameter(f"{out} is neither .parquet, .csv nor .ndjson", param_hint="--out")
    click.echo(f"{table.height} rows of {name} in {out}", err=True)
