"""The demo's tables: alerts in plain words, and how well each rule did."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sinks.console import STYLES, entity, sentence
from tocsin.model.alerts import CLOSED_AT_BIRTH, LEVELS, Transition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.scoring import RuleScore

SHOWN_OF_A_RULE = 3
LEAST_WIDTH = 130
"""Columns where nobody is looking; a table squeezed into 80 says little."""
_PSEUDONYM = re.compile(r"\b([a-z]+:[a-z2-7]{6})[a-z2-7]{18}\b")


def print_alerts(transitions: pl.DataFrame, zone: str) -> None:
    """Print the first alerts of each rule: when, whom, how bad, in words, and when it was over."""
    alerts = _alerts(transitions)
    some = alerts.group_by("rule", maintain_order=True).head(SHOWN_OF_A_RULE).sort("rule", "raised")
    title = f"{alerts.height:,} alerts; the first {SHOWN_OF_A_RULE} of each rule (times in {zone})"
    table = Table(title=title, title_justify="left")
    for column in ("rule", "raised", "cleared", "level", "whom"):
        table.add_column(column, no_wrap=column != "whom")
    table.add_column("what", ratio=1)
    for row in some.iter_rows(named=True):
        cleared = "at once" if row["reason"] == CLOSED_AT_BIRTH else _clock(row["cleared"], zone)
        level = f"[{STYLES.get(row['level'], '')}]{row['level']}[/]" if row["level"] in STYLES else row["level"]
        whom, what = (escape(_PSEUDONYM.sub(r"\1…", text)) for text in (entity(row["entity"]), row["says"]))
        table.add_row(row["rule"], _clock(row["raised"], zone), cleared, level, whom, what)
    console = _console()
    console.print()
    console.print(table)


def print_scores(scores: Mapping[str, RuleScore], least_recall: float, least_precision: float) -> None:
    """Print recall and precision of each rule, and below what was missed or false."""
    table = Table(title="against what really happened", title_justify="left")
    for column in ("rule", "incidents", "found", "recall", "alerts", "false", "precision", "near misses", "quiet"):
        table.add_column(column, justify="left" if column == "rule" else "right", no_wrap=True)
    for rule, s in scores.items():
        recall, precision = _judged(s.recall, least_recall), _judged(s.precision, least_precision)
        numbers = (s.incidents, s.found, recall, s.alerts, s.false_alarms, precision, s.near_misses, s.quiet)
        table.add_row(rule, *map(str, numbers))
    console = _console()
    console.print()
    console.print(table)
    for rule, s in scores.items():
        for row in s.missed.iter_rows(named=True):
            console.print(escape(f"missed by {rule}: {row['entity']} {row['case']}"))
        for row in s.false.iter_rows(named=True):
            console.print(escape(f"false alarm of {rule}: {row['key']} {row['case'] or ''}"))


def _alerts(transitions: pl.DataFrame) -> pl.DataFrame:
    """Give one row per alert: its highest level and the sentence of that, when it was raised and cleared."""
    rank = {level: number for number, level in enumerate(LEVELS, start=1)}
    words = {number: level for level, number in rank.items()}
    ranked = transitions.with_columns(rank=pl.col("level").replace_strict(rank, default=0, return_dtype=pl.Int64))
    ordered = ranked.filter(~pl.col("early")).sort("time", "alert_id", "sequence")
    alerts = ordered.group_by("alert_id", maintain_order=True).agg(
        pl.col("rule", "entity", "reason").first(),
        pl.col("time").first().alias("raised"),
        pl.col("time").filter(pl.col("kind") == Transition.CLEARED).last().alias("cleared"),
        pl.col("says").filter(pl.col("rank") == pl.col("rank").max()).first(),
        pl.col("rank").max(),
    )
    says = pl.Series("says", [sentence(text, "en") for text in alerts["says"]], dtype=pl.String)
    return alerts.with_columns(says, level=pl.col("rank").replace_strict(words, default="", return_dtype=pl.String))


def _clock(time_ms: int | None, zone: str) -> str:
    """Write a time of day; the last millisecond of a window is named by the window's end."""
    if time_ms is None:
        return "open"
    moment = time_ms + (time_ms % 1000 == 999)  # noqa: PLR2004  # a window row stands 1 ms before its end
    return f"{datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)):%H:%M:%S}"


def _judged(share: float, least: float) -> str:
    return f"{share:.2f}" if share >= least else f"[bold red]{share:.2f}[/]"


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=LEAST_WIDTH)
