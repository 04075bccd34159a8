"""`tocsin explain`: why an alert was raised, recomputed from its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.files import JSON, STATE, state_of

if TYPE_CHECKING:
    import polars as pl


@click.command(name="explain")
@click.argument("alert_id")
@STATE
@click.option(
    "--alerts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The NDJSON file of the alerts; default: the ClickHouse of the state folder.",
)
@click.option(
    "--store",
    metavar="FOLDER|clickhouse://HOST/DATABASE",
    help="Another ClickHouse that has the alerts, a folder or a server.",
)
@JSON
def command(alert_id: str, state: Path | None, alerts: Path | None, store: str | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Show what an alert went through, with its values, and compute them again from the source.

    Exits 1 if the source gives other numbers now. The run may still go on, if another process may read its alerts: from
    a file or a server.

    \b
    tocsin explain 5df1c8e0a6c84a4f8f1ac57bd1c9c9d1
    tocsin explain 5df1c8e0a6c84a4f8f1ac57bd1c9c9d1 --alerts alerts.ndjson
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    from streams.local.again import earlier_run, recompute  # noqa: PLC0415  # keeps --help instant
    from tocsin.errors import StateError  # noqa: PLC0415

    folder = state_of(state)
    if alerts is not None and store is not None:
        raise click.UsageError("--alerts and --store both say where the alerts are: give one of them")
    asked = store or str(folder / "clickhouse")
    log = _log(alert_id, asked, alerts)
    if log.is_empty():
        raise click.UsageError(f"no alert {alert_id} in {alerts or asked}")
    try:
        run = earlier_run(folder, known=max(log["time"]))
        again = recompute(run, log["rule"][0]).filter(alert_id=alert_id)
    except StateError:
        if not as_json:
            _show(log)  # what is known of it does not depend on that
        raise
    same = _values(log) == _values(again)
    if as_json:
        shown = [{**row, "values": json.loads(row["values"])} for row in log.to_dicts()]
        click.echo(json.dumps({"transitions": shown, "recomputed_equal": same}, indent=2, ensure_ascii=False))
    else:
        _show(log)
        _show_again(again, same=same)
    raise SystemExit(0 if same else 1)


def _log(alert_id: str, store: str, alerts: Path | None) -> pl.DataFrame:
    """Give the transitions of an alert in order; early copies only where no truth came."""
    if alerts is None:
        from sinks.clickhouse_read import ClickHouseReader  # noqa: PLC0415

        with ClickHouseReader(store) as reader:
            return reader.history(alert_id)
    from sinks.ndjson import decode  # noqa: PLC0415

    with alerts.open("rb") as lines:
        told = decode(lines).filter(alert_id=alert_id)
    return told.sort("sequence", "early").unique("sequence", keep="first", maintain_order=True)


def _values(log: pl.DataFrame) -> list[tuple[object, ...]]:
    return list(log.sort("sequence").select("sequence", "kind", "level", "time", "rule_version", "values").iter_rows())


def _show(log: pl.DataFrame) -> None:
    from sinks.console import entity  # noqa: PLC0415

    first = log.row(0, named=True)
    about = f" {entity(first['entity'])} (rule version {first['rule_version']})"
    click.echo(click.style(first["rule"], bold=True) + about)
    for row in log.sort("sequence").iter_rows(named=True):
        _show_transition(row)


def _show_again(again: pl.DataFrame, *, same: bool) -> None:
    if same:
        click.echo(f"\ncomputed again from the source: the same {again.height} transitions, the same numbers")
        return
    click.echo("\ncomputed again from the source: other numbers", err=True)
    for row in again.sort("sequence").iter_rows(named=True):
        click.echo(f"   {row['sequence']}. {row['kind']} {row['level']} {row['values']}", err=True)
    if again.is_empty():
        click.echo("   no such alert", err=True)


def _show_transition(row: dict[str, Any]) -> None:
    from sinks.console import sentence  # noqa: PLC0415
    from tocsin.model.display import display  # noqa: PLC0415
    from tocsin.model.types import TIMESTAMP  # noqa: PLC0415

    why = f" ({row['reason']})" if row["reason"] else ""
    click.echo(f"\n{row['sequence']}. {display(row['time'], TIMESTAMP)} {row['kind']} {row['level']}{why}")
    click.echo(f"   {sentence(row['says'], 'en')}")
    for name, value in json.loads(row["values"]).items():
        click.echo(f"   {name} = {json.dumps(value, ensure_ascii=False)}")
    if row["evidence"]:
        click.echo(f"   evidence {', '.join(str(item['id']) for item in row['evidence'])}")
    if row["runbook"]:
        click.echo(f"   runbook {row['runbook']}")
