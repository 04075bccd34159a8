"""`tocsin demo`: two hours of a small city, watched, and scored against what really happened."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from tocsin.cli.files import FILE, JSON, load_plan, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from streams.local.runner import Summary
    from streams.scoring import RuleScore
    from tocsin.compiler import Plan

LEAST_RECALL = 0.95
LEAST_PRECISION = 0.90
QUESTION = "select rule, level, count() from alerts group by all order by all"


class Shown(NamedTuple):
    """What the demo has to show."""

    plan: Plan
    summary: Summary
    transitions: pl.DataFrame
    scores: Mapping[str, RuleScore]

    @property
    def good(self) -> bool:
        """Whether every rule found what it had to, and little else."""
        scores = self.scores.values()
        return bool(scores) and all(s.recall >= LEAST_RECALL and s.precision >= LEAST_PRECISION for s in scores)


@click.command(name="demo")
@FILE
@click.option("--seed", default=1, show_default=True, help="Another seed is another city.")
@click.option(
    "--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, help="Size of the city."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/demo"),
    show_default=True,
    help="The folder to write; what an earlier demo left there is removed.",
)
@JSON
def command(file: Path, seed: int, scale: float, out: Path, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Simulate a small city, watch it with the shipped topology, and score the alerts.

    Exits 1 if a rule finds less than 95 % of its incidents, or less than 90 % of its alerts are true.
    """
    from tocsin.cli.demo_tables import print_alerts, print_scores  # noqa: PLC0415  # keeps --help instant
    from tocsin.cli.summary import show  # noqa: PLC0415

    plan = load_plan(file)
    city, state = out / "city", out / "state"
    for folder in (city, state):
        shutil.rmtree(folder, ignore_errors=True)
    (out / "alerts.ndjson").unlink(missing_ok=True)
    began = time.monotonic()
    events = _simulate(city, seed, scale)
    click.echo(f"simulated {events:,} events of two hours in {time.monotonic() - began:.1f} s", err=True)
    shown = _watch(plan, file, out)
    if as_json:
        click.echo(json.dumps(_as_json(shown), indent=2))
    else:
        show(plan, shown.summary)
        print_alerts(shown.transitions, plan.zone)
        print_scores(shown.scores, LEAST_RECALL, LEAST_PRECISION)
        _ask_for_more(shown.transitions, state)
    raise SystemExit(0 if shown.good else 1)


def _simulate(city: Path, seed: int, scale: float) -> int:
    from streams.simulator import simulate  # noqa: PLC0415
    from tocsin.errors import SinkError  # noqa: PLC0415

    try:
        return sum(rows.height for rows in simulate("city", seed, city, scale=scale).streams.values())
    except OSError as error:
        raise SinkError(f"{city} cannot be written: {error.strerror or error}") from error


def _watch(plan: Plan, file: Path, out: Path) -> Shown:
    from sinks.ndjson import decode  # noqa: PLC0415
    from streams.local.runner import Settings  # noqa: PLC0415
    from streams.local.running import Order, carry_out  # noqa: PLC0415
    from streams.pseudonyms import load_pseudonyms  # noqa: PLC0415
    from streams.scoring import score  # noqa: PLC0415
    from streams.simulator import read_labels, source_arguments  # noqa: PLC0415
    from tocsin.cli.progress import progress  # noqa: PLC0415

    city, alerts, state = out / "city", out / "alerts.ndjson", out / "state"
    sources = named(tuple(source_arguments(city)[1::2]))
    sinks = (f"ndjson:{alerts}", f"clickhouse:{state / 'clickhouse'}")
    with progress(plan.name) as watch:
        summary = carry_out(Order(plan, file, sources, sinks, state, settings=Settings(progress=watch)))
    with alerts.open("rb") as lines:
        transitions = decode(lines)
    return Shown(plan, summary, transitions, score(transitions, read_labels(city), pseudonyms=load_pseudonyms()))


def _as_json(shown: Shown) -> dict[str, object]:
    summary = shown.summary
    return {
        "records": summary.records,
        "seconds": round(summary.seconds, 3),
        "records_per_second": round(summary.records / summary.seconds),
        "transitions": shown.transitions.height,
        "rules": {
            rule: {
                "incidents": s.incidents,
                "found": s.found,
                "recall": s.recall,
                "alerts": s.alerts,
                "false_alarms": s.false_alarms,
                "precision": s.precision,
                "near_misses": s.near_misses,
                "quiet": s.quiet,
            }
            for rule, s in shown.scores.items()
        },
        "good": shown.good,
    }


def _ask_for_more(transitions: pl.DataFrame, state: Path) -> None:
    """Print commands that work as they are printed, from where the demo was started."""
    store = str(state / "clickhouse")
    asks = [
        ("what is open now", ["alerts", "--store", store, "--open"]),
        ("anything in SQL", ["alerts", "--store", store, "--sql", QUESTION]),
        ("what was put aside", ["dlq", "list", "--state", str(state)]),
    ]
    if transitions.height:
        asks.insert(2, ("why this alert", ["explain", "--state", str(state), transitions["alert_id"][0]]))
    click.echo("\nask for more:")
    for what, words in asks:
        click.echo(f"  {what + ':':<20} {shlex.join([*_program(), *words])}")


def _program() -> list[str]:
    """Give the words that start this program again, from here."""
    program = Path(sys.argv[0])
    if program.name != "tocsin":
        return [sys.executable, "-m", "tocsin.cli"]
    found = shutil.which("tocsin")
    if found is not None and Path(found).resolve() == program.resolve():
        return ["tocsin"]
    return [str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)]
