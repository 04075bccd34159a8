"""`tocsin alerts`: what ClickHouse knows, embedded or on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tocsin.cli.files import JSON, state_of

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ["alert_id", "rule", "level", "open", "time", "entity", "says"]


@click.command(name="alerts")
@click.option(
    "--store",
    metavar="FOLDER|clickhouse://HOST/DATABASE",
    help="The folder of the embedded ClickHouse, or a server; default: in the state folder of the last run from here.",
)
@click.option("--rule", help="Of this rule only.")
@click.option("--open", "open_only", is_flag=True, help="Only alerts that are not cleared.")
@click.option("--sql", help="Any query over transitions, alerts and rule_minutes.")
@JSON
def command(store: str | None, rule: str | None, open_only: bool, sql: str | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """List alerts, the open and worst first; or ask in SQL.

    \b
    tocsin alerts --open
    tocsin alerts --rule card-velocity --json | head
    tocsin alerts --store clickhouse://localhost/tocsin
    tocsin alerts --sql "select rule, level, count() from alerts group by all order by all"
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    from sinks.clickhouse_read import ClickHouseReader, Filter  # noqa: PLC0415  # keeps --help instant

    with ClickHouseReader(store if store is not None else state_of(None) / "clickhouse") as reader:
        if sql is not None:
            rows = reader.query(sql)
        else:
            rows = reader.alerts(Filter(rule=rule), open_only=open_only).select(COLUMNS)
    if as_json:
        click.echo(rows.write_ndjson(), nl=False)
    else:
        _show(rows if sql is not None else _told(rows))


def _told(rows: pl.DataFrame) -> pl.DataFrame:
    """Give alerts as people read them."""
    import polars as pl  # noqa: PLC0415

    from sinks.console import entity, sentence  # noqa: PLC0415

    return rows.with_columns(
        pl.from_epoch("time", "ms").dt.to_string("%Y-%m-%d %H:%M:%SZ"),
        pl.when(pl.col("open") != 0).then(pl.lit("open")).otherwise(pl.lit("closed")).alias("open"),
        pl.col("entity").map_elements(entity, return_dtype=pl.String),
        pl.col("says").map_elements(lambda text: sentence(text, "en"), return_dtype=pl.String),
    )


def _show(rows: pl.DataFrame) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table()
    for name in rows.columns:
        table.add_column(name, overflow="fold")
    for row in rows.iter_rows():
        table.add_row(*(escape(str(value)) for value in row))
    Console().print(table)
