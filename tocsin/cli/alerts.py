"""`tocsin alerts`: what the embedded ClickHouse knows."""

from __future__ import annotations

from pathlib import Path

import click

from tocsin.cli.files import JSON


@click.command(name="alerts")
@click.option("--store", type=click.Path(path_type=Path), required=True, help="The folder of the embedded ClickHouse.")
@click.option("--rule", help="Of this rule only.")
@click.option("--open", "open_only", is_flag=True, help="Only alerts that are not cleared.")
@click.option("--sql", help="Any query over transitions, alerts and rule_minutes.")
@JSON
def command(store: Path, rule: str | None, open_only: bool, sql: str | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """List alerts, the open and worst first; or ask in SQL."""
    from sinks.clickhouse_read import ClickHouseReader, Filter  # noqa: PLC0415  # keeps --help instant

    with ClickHouseReader(store) as reader:
        if sql is not None:
            rows = reader.query(sql)
        else:
            columns = ["alert_id", "rule", "level", "open", "time", "entity", "says"]
            rows = reader.alerts(Filter(rule=rule), open_only=open_only).select(columns)
    if as_json:
        click.echo(rows.write_ndjson(), nl=False)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table()
    for name in rows.columns:
        table.add_column(name, overflow="fold")
    for row in rows.iter_rows():
        table.add_row(*(str(value) for value in row))
    Console().print(table)
