"""What a run did, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streams.local.tally import MISSES

if TYPE_CHECKING:
    from collections import Counter

    from monitoring.metrics import MemoryMetrics
    from streams.local.runner import Summary
    from tocsin.compiler import Plan


def as_json(summary: Summary, metrics: MemoryMetrics) -> dict[str, object]:
    """Give a run's numbers as JSON; `metrics` are of this process, everything else of the run over all its lives."""
    tally = summary.tally
    return {
        "records": _of_streams(summary, "records"),
        "outside": _of_streams(summary, "outside"),
        "put_aside": [{"stream": s, "reason": r, "records": n} for (s, r), n in sorted(tally.aside.items())],
        "stages": [
            {"stage": s, "count": c, "rows": n} for (s, c), n in sorted(tally.stages.items()) if n and c != MISSES
        ],
        "misses": {table: n for (table, c), n in sorted(tally.stages.items()) if n and c == MISSES},
        "transitions": [{"rule": r, "kind": k, "number": n} for (r, k), n in sorted(tally.transitions.items()) if n],
        "early": [{"rule": r, "kind": k, "number": n} for (r, k), n in sorted(tally.early.items()) if n],
        "held_back": [{"sink": s, "alerts": n} for s, n in summary.held_back.items()],
        "until": summary.until,
        "seconds": round(summary.seconds, 3),
        "stopped": summary.stopped,
        "delivered": summary.flushed,
        "metrics": dict(_metrics(metrics)),
    }


def show(plan: Plan, summary: Summary, letters: str = "") -> None:
    """Say on stderr what a run did; `letters` is the command that shows what was put aside."""
    tally, total = summary.tally, summary.records
    rate = total / summary.seconds if summary.seconds else 0
    click.echo(f"{plan.name}: {total:,} records in {summary.seconds:.1f} s ({rate:,.0f} a second)", err=True)
    _show_streams(summary, letters)
    for (stage, name), number in sorted(tally.stages.items()):
        if number and name != MISSES:  # a table of few rows is missed all the time
            rows = "row" if number == 1 else "rows"
            click.echo(f"  {stage}: {number:,} {rows} dropped: {name.replace('_', ' ')}", err=True)
    for rule, kinds in _by_rule(tally.transitions).items():
        click.echo(
            f"  {rule}: " + ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in kinds), err=True
        )
    for rule, kinds in _by_rule(tally.early).items():
        click.echo(f"  {rule}: early " + ", ".join(f"{number:,} {kind}" for kind, number in kinds), err=True)
    for sink, number in summary.held_back.items():
        click.echo(f"  {sink}: {number:,} alert{'s' if number > 1 else ''} held back by at_most", err=True)
    if not summary.flushed:
        why = f" ({'; '.join(summary.troubles)})" if summary.troubles else ""
        click.echo(f"  some alerts could not be delivered yet{why}; the same command tries again", err=True)


def _show_streams(summary: Summary, letters: str) -> None:
    """Say what was wrong with records, and which streams had none."""
    aside = summary.tally.aside
    for (stream, reason), number in sorted(aside.items()):
        click.echo(f"  {stream}: {number:,} put aside: {reason}", err=True)
    if letters and any(aside.values()):
        click.echo(f"  what was put aside, and why: {letters}", err=True)
    for stream, number in _of_streams(summary, "records").items():
        if not number:
            click.echo(f"  {stream}: no records", err=True)


def show_metrics(metrics: MemoryMetrics) -> None:
    """Print metrics as Prometheus names them, one on a line."""
    for name, value in _metrics(metrics):
        click.echo(f"{name} {value:g}")


def _metrics(metrics: MemoryMetrics) -> list[tuple[str, float]]:
    values = [(_named(name, labels), value) for (name, labels), value in metrics.values.items()]
    for (name, labels), seen in metrics.histograms.items():
        values += [(_named(f"{name}_count", labels), seen.count), (_named(f"{name}_sum", labels), round(seen.sum, 6))]
    return sorted(values)


def _named(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in labels)
    return f"{name}{{{inside}}}" if inside else name


def _of_streams(summary: Summary, kind: str) -> dict[str, int]:
    return {stream: number for (stream, name), number in sorted(summary.tally.records.items()) if name == kind}


def _by_rule(counts: Counter[tuple[str, str]]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for (rule, kind), number in sorted(counts.items()):
        if number:
            found.setdefault(rule, []).append((kind, number))
    return found
