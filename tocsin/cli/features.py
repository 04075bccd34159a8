"""`tocsin features`: the rows of one feature, for oracles and notebooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import FILE, JSON, SOURCES, load_plan, moment, named, warn
from tocsin.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from tocsin.compiler import Plan

WRITERS: Mapping[str, Callable[[pl.DataFrame, Path], object]] = {
    ".parquet": lambda table, out: table.write_parquet(out),
    ".csv": lambda table, out: table.write_csv(out),
    ".ndjson": lambda table, out: table.write_ndjson(out),
    ".jsonl": lambda table, out: table.write_ndjson(out),
}
"""How a table is written, by the ending of the file."""


@click.command(name="features")
@FILE
@click.argument("name")
@SOURCES
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .parquet, .csv or .ndjson file.")
@click.option("--until", help="Take no event after this time (RFC 3339); default: the greatest event time.")
@JSON
def command(file: Path, name: str, sources: tuple[str, ...], out: Path, until: str | None, as_json: bool) -> None:  # noqa: FBT001  # one argument per option; click passes flags so
    """Write the rows that feature NAME gives over the sources.

    \b
    tocsin features my.yaml pace --source payments=parquet:payments.parquet --out pace.parquet
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    from streams.local.assembly import load_tables, make_flow, open_inputs  # noqa: PLC0415  # keeps --help instant
    from streams.local.feed import Span  # noqa: PLC0415
    from streams.local.runner import Runner, Settings  # noqa: PLC0415
    from streams.local.running import warn_of_missing_key  # noqa: PLC0415
    from streams.pseudonyms import load_pseudonyms  # noqa: PLC0415

    plan = load_plan(file)
    _refuse_unknown(plan, name, out)
    uris, pseudonyms = named(sources), load_pseudonyms()
    flow = make_flow(plan, [plan.outputs[name]])
    load_tables(flow, uris, file.parent, pseudonyms)
    rows: list[pl.DataFrame] = []
    settings = Settings(until=moment(until), receive=lambda _, given: rows.append(given), warn=warn)
    warn_of_missing_key(plan, pseudonyms, settings.warn)
    inputs = open_inputs(flow, uris, pseudonyms, span=Span(until=settings.until))
    tally = Runner(plan, flow, inputs, settings=settings).run().tally
    height = _write(plan, name, rows, out)
    read = {stream: number for (stream, kind), number in tally.records.items() if kind == "records"}
    if as_json:
        aside = [{"stream": s, "reason": r, "records": n} for (s, r), n in sorted(tally.aside.items())]
        click.echo(json.dumps({"rows": height, "out": str(out), "records": read, "put_aside": aside}, indent=2))
        return
    for stream, number in read.items():
        click.echo(f"{stream}: {number:,} records", err=True)
    for (stream, reason), number in sorted(tally.aside.items()):
        click.echo(f"{stream}: {number:,} put aside: {reason}", err=True)
    click.echo(f"{height:,} rows of {name} in {out}", err=True)


def _refuse_unknown(plan: Plan, name: str, out: Path) -> None:
    """Refuse before hours of work what would be refused after them."""
    if name not in plan.outputs:
        known = ", ".join(plan.outputs) + did_you_mean(name, plan.outputs)
        raise click.BadParameter(f"{plan.name} has no feature {name!r}, only {known}", param_hint="NAME")
    if out.suffix not in WRITERS:
        raise click.BadParameter(f"{out} is neither .parquet, .csv nor .ndjson", param_hint="--out")
    if not out.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.absolute().parent}", param_hint="--out")


def _write(plan: Plan, name: str, rows: list[pl.DataFrame], out: Path) -> int:
    """Write the rows, give their number; SinkError if the file cannot be written."""
    import polars as pl  # noqa: PLC0415

    from streams.outside import outside  # noqa: PLC0415
    from tocsin.errors import SinkError  # noqa: PLC0415

    schema = next(stage.output for stage in plan.stages if stage.name == plan.outputs[name])
    table = outside(pl.concat(rows) if rows else schema.empty(), schema)
    try:
        WRITERS[out.suffix](table, out)
    except OSError as error:
        raise SinkError(f"{out} cannot be written: {error.strerror or error}") from error
    except pl.exceptions.ComputeError as error:
        # Lists of a feature (top_k) have no place in CSV; a full disk is an error of this kind, too, for Parquet.
        instead = "; write .parquet instead" if out.suffix == ".csv" else ""
        raise SinkError(f"{out} cannot be written: {error}{instead}") from error
    return table.height
