"""`tocsin demo`: two hours of a small city, watched, and scored against what really happened."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import FILE, load_plan, named
from tocsin.cli.summary import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from streams.scoring import RuleScore

LEAST_RECALL = 0.95
LEAST_PRECISION = 0.90
_SHOWN = 12


@click.command(name="demo")
@FILE
@click.option("--seed", default=1, show_default=True)
@click.option("--scale", default=1.0, show_default=True, help="How large the city is.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/demo"), show_default=True)
def command(file: Path, seed: int, scale: float, out: Path) -> None:
    """Simulate a small city, watch it with the shipped topology, and score the alerts.

    Exits 1 if a rule finds less than 95 % of its incidents, or less than 90 % of its alerts are true.
    """
    from streams.local.runner import Settings  # noqa: PLC0415  # keeps --help instant
    from streams.local.running import Order, carry_out  # noqa: PLC0415
    from streams.pseudonyms import load_pseudonyms  # noqa: PLC0415
    from streams.scoring import score  # noqa: PLC0415
    from streams.simulator import read_labels, simulate, source_arguments  # noqa: PLC0415
    from tocsin.cli.progress import progress  # noqa: PLC0415

    shutil.rmtree(out, ignore_errors=True)
    began = time.monotonic()
    city = simulate("city", seed, out / "city", scale=scale)
    events = sum(rows.height for rows in city.streams.values())
    click.echo(f"simulated {events:,} events of two hours in {time.monotonic() - began:.1f} s", err=True)
    plan, sources = load_plan(file), named(tuple(source_arguments(out / "city")[1::2]))
    alerts, store = out / "alerts.ndjson", out / "state" / "clickhouse"
    with progress(plan.name) as watch:
        sinks = (f"ndjson:{alerts}", f"clickhouse:{store}")
        summary = carry_out(Order(plan, file, sources, sinks, out / "state", settings=Settings(progress=watch)))
    show(plan, summary)
    transitions = _read(alerts)
    _show_alerts(transitions)
    scores = score(transitions, read_labels(out / "city"), pseudonyms=load_pseudonyms())
    _show_scores(scores)
    question = "select rule, level, count() from alerts group by all order by all"
    click.echo(f'\nask for more: .venv/bin/tocsin alerts --store {store} --sql "{question}"')
    click.echo(
        f"or for one:   .venv/bin/tocsin explain --state {out / 'state'} {transitions.get_column('alert_id')[0]}"
    )
    good = all(s.recall >= LEAST_RECALL and s.precision >= LEAST_PRECISION for s in scores.values())
    raise SystemExit(0 if good and scores else 1)


def _read(alerts: Path) -> pl.DataFrame:
    from sinks.ndjson import decode  # noqa: PLC0415

    with alerts.open("rb") as lines:
        return decode(lines)


def _show_alerts(transitions: pl.DataFrame) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=f"the last {_SHOWN} of {transitions.height} transitions", title_justify="left")
    for column in ("time", "rule", "kind", "level"):
        table.add_column(column, no_wrap=True)
    table.add_column("says")
    for row in transitions.sort("time", "alert_id", "sequence").tail(_SHOWN).iter_rows(named=True):
        table.add_row(_moment(row["time"]), row["rule"], row["kind"], row["level"], row["says"])
    Console().print(table)


def _moment(time_ms: int) -> str:
    from tocsin.model.display import display  # noqa: PLC0415
    from tocsin.model.types import TIMESTAMP  # noqa: PLC0415

    return display(time_ms, TIMESTAMP, "%H:%M:%S")


def _show_scores(scores: Mapping[str, RuleScore]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title="against what really happened", title_justify="left")
    for column in ("rule", "incidents", "found", "recall", "alerts", "false", "precision", "near misses", "quiet"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for rule, s in scores.items():
        table.add_row(
            rule,
            str(s.incidents),
            str(s.found),
            f"{s.recall:.2f}",
            str(s.alerts),
            str(s.false_alarms),
            f"{s.precision:.2f}",
            str(s.near_misses),
            str(s.quiet),
        )
    Console().print(table)
